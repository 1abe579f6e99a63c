"""Figures of a comparison: learning curves, performance profile, differences from the baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator, ScalarFormatter

from genreplay.common.statistics import interquartile_mean, percentile_interval, pooled, resamples
from genreplay.common.text import plain, with_unit
from genreplay.comparison.compare import ALL, FEW_SEEDS, Row
from genreplay.comparison.measures import measured
from genreplay.comparison.result import Comparison
from genreplay.comparison.runs import ComparedRun
from genreplay.reporting.charts import GREY, INK, POINTS_FROM

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of the arms after the baseline, for colour-blind readers too (Wong, 2011, "Points of view: Color blindness")."""
MARKERS = "osD^vP*"
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
AXES = {"env_steps": "env steps", "seconds": "wall-clock time", "gradient_steps": "gradient steps"}
TIMES = ((3 * 3600.0, 3600.0, "h"), (300.0, 60.0, "min"), (0.0, 1.0, "s"))
"""From how many seconds on a time is shown in which unit."""
LOG_FROM = 4.0
"""A positive axis is logarithmic where its largest value is this many times the smallest."""
WIDTH = 7.0
LONGEST_NAME = 42
NUM_LEVELS = 200


class Looks:
    """Colour, line and marker of each arm: the baseline in the colour of the text, the others in turn."""

    def __init__(self, arms: Sequence[str]):
        self._places = {arm: i for i, arm in enumerate(arms)}

    def line(self, arm: str) -> dict:
        """Of its line in a figure."""
        i = self._places[arm]
        color = INK if i == 0 else COLORS[(i - 1) % len(COLORS)]
        return {"color": color, "linestyle": DASHES[i // (len(COLORS) + 1) % len(DASHES)], "label": short(arm)}

    def marker(self, arm: str) -> str:
        """Of its points."""
        return MARKERS[self._places[arm] % len(MARKERS)]


def short(name: str) -> str:
    """A name that fits into a legend."""
    name = " ".join(name.split())
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def all_figures(comparison: Comparison) -> dict[str, Figure]:
    """By the name of the file; those that the runs are enough for."""
    found = {"curves": curves(comparison)}
    if len(comparison.runs) > len(comparison.worlds):
        found["profile"] = profile(comparison)
    if len(comparison.arms) > 1:
        found["differences"] = differences(comparison)
    return found


def curves(comparison: Comparison) -> Figure:
    """Interquartile mean of each arm over the axis, with a 95 % band; of few seeds the single runs in place of it."""
    worlds, looks = comparison.worlds, Looks(comparison.arms)
    figure = Figure(figsize=(WIDTH, 0.6 + 3.4 * len(worlds)), layout="constrained")
    for axes, world in zip(figure.subplots(len(worlds), squeeze=False)[:, 0], worlds, strict=True):
        of_world = [run for run in comparison.runs if run.world == world]
        most = max(getattr(point, "seconds") for run in of_world for point in run.points.values())  # noqa: B009
        _, scale, unit = next(entry for entry in TIMES if not most < entry[0])
        if comparison.axis != "seconds":
            scale, unit = 1.0, ""
        for arm in comparison.arms:
            own = [run for run in of_world if run.arm == arm]
            if own:
                _curve(axes, own, comparison.axis, scale, looks)
        level = [run.incumbent for run in of_world if not math.isnan(run.incumbent)]
        if level:
            axes.axhline(float(np.mean(level)), color=GREY, linestyle=":", linewidth=1.4, label="incumbent controller")
        spread = "" if comparison.axis == "env_steps" else ", mean over seeds"
        axes.set_xlabel(with_unit(AXES[comparison.axis], unit) + spread)
        axes.set_ylabel(with_unit(plain(comparison.metric.name), comparison.metric.unit))
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=comparison.axis != "seconds"))
        axes.margins(x=0.02)
        if len(worlds) > 1:
            axes.set_title(short(world), fontsize="medium", loc="left")
        _log_if_wide(axes)
    _legend(figure)
    return figure


def _curve(axes: Axes, runs: Sequence[ComparedRun], axis: str, scale: float, looks: Looks) -> None:
    values = np.array([[point.value for point in run.points.values()] for run in runs]).T  # [T, S]
    if axis == "env_steps":
        places = np.array(list(runs[0].points), dtype=np.float64)
    else:
        places = np.mean([[getattr(point, axis) for point in run.points.values()] for run in runs], axis=0) / scale
    look = looks.line(runs[0].arm)
    marker = looks.marker(runs[0].arm) if len(places) < POINTS_FROM else ""
    axes.plot(places, interquartile_mean(values), linewidth=2, marker=marker, markersize=4, **look)
    if len(runs) >= FEW_SEEDS:
        low, high = percentile_interval(resamples([values], interquartile_mean))
        axes.fill_between(places, low, high, color=look["color"], alpha=0.13, linewidth=0)
    elif len(runs) > 1:
        axes.plot(places, values, color=look["color"], linewidth=0.8, alpha=0.45)


def profile(comparison: Comparison) -> Figure:
    """Performance profile of the main measure (Agarwal et al., 2021, section 4.2): the share of runs that good."""
    measure, looks = comparison.main, Looks(comparison.arms)
    values = {
        arm: [
            np.array([measured(run, measure, comparison.metric, comparison.threshold) for run in own])
            for world in comparison.worlds
            if (own := [run for run in comparison.runs if (run.arm, run.world) == (arm, world)])
        ]
        for arm in comparison.arms
    }
    every = np.concatenate([stratum for strata in values.values() for stratum in strata])
    margin = 0.03 * (every.max() - every.min()) or 1.0
    levels = np.linspace(every.min() - margin, every.max() + margin, NUM_LEVELS)
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for arm, strata in values.items():
        reached = [reaching(stratum, levels, measure.minimise) for stratum in strata]
        look = looks.line(arm)
        axes.plot(levels, pooled(np.mean)(*reached), linewidth=2, **look)
        if min(map(len, strata)) >= FEW_SEEDS:
            low, high = percentile_interval(resamples(reached, pooled(np.mean)))
            axes.fill_between(levels, low, high, color=look["color"], alpha=0.13, linewidth=0)
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("share of runs")
    axes.set_xlabel(f"{'at most' if measure.minimise else 'at least'} this {measure.label}")
    if measure.minimise:
        axes.invert_xaxis()
    _legend(figure)
    return figure


def reaching(values: np.ndarray, levels: np.ndarray, minimise: bool) -> np.ndarray:
    """`[L, S]`: whether each value `[S]` is at least as good as each level `[L]`, as 0 or 1."""
    return (values <= levels[:, None] if minimise else values >= levels[:, None]).astype(np.float64)


def differences(comparison: Comparison) -> Figure:
    """Difference of each arm from the baseline in the main measure: 95 % thick, of all comparisons together thin."""
    measure, looks = comparison.main, Looks(comparison.arms)
    rows = [row for row in comparison.tables[measure] if row.difference is not None]
    figure = Figure(figsize=(WIDTH, 1.1 + 0.42 * max(len(rows), 1)), layout="constrained")
    axes = figure.add_subplot()
    for i, row in enumerate(rows):
        _difference(axes, i, row, {**looks.line(row.arm), "label": None}, looks.marker(row.arm))
    axes.axvline(0, color=INK, linewidth=1, linestyle="--")
    several = len(comparison.worlds) > 1
    names = [short(f"{row.arm}, {row.world}" if several or row.world == ALL else row.arm) for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False)
    better = "left" if measure.minimise else "right"
    axes.set_xlabel(f"{measure.label}, minus {short(comparison.baseline)}\n(better to the {better} of 0)")
    return figure


def _difference(axes: Axes, place: int, row: Row, look: Mapping, marker: str) -> None:
    assert row.difference is not None
    for estimate, width in ((row.adjusted, 1.2), (row.difference, 3.5)):
        if estimate is not None and not math.isnan(estimate.low):
            axes.plot([estimate.low, estimate.high], [place, place], color=look["color"], linewidth=width)
    axes.plot([row.difference.value], [place], marker, color=look["color"], markersize=8)


def _legend(figure: Figure) -> None:
    """One for all axes, above them."""
    entries = {
        name: handle for axes in figure.axes for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if len(entries) > 1:
        widths = [0.6 + 0.085 * len(name) for name in entries]  # in inches: mark, gaps and letters of the default font
        columns = len(entries) if sum(widths) < WIDTH - 0.3 else max(1, int((WIDTH - 0.3) / max(widths)))
        figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=columns, frameon=False)


def _log_if_wide(axes: Axes) -> None:
    low, high = axes.dataLim.y0, axes.dataLim.y1
    if low > 0 and high > LOG_FROM * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.6)))
