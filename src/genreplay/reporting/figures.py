"""Matplotlib figures of runs, which need no display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, ScalarFormatter

from genreplay.common.text import plain
from genreplay.diagnostics.diagnose import Diagnosis
from genreplay.evaluation.greens import HIGH, LOW, Greens

LOG_FROM = 8.0
"""An axis is logarithmic where its largest value is this many times the smallest."""

STAGE_COLORS = ("#7fb8ea", "#f2b271", "#86d3a2", "#d9a5d5", "#e99b95", "#f0dd7a", "#7fd6d8", "#c3c38a")
"""Light enough for dark letters."""

NUM_MARGINALS = 6
"""Columns drawn: those whose marginals differ most."""


def learning_curve(
    env_steps: Sequence[float],
    values: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    metric: str,
    baseline: float | None,
    baseline_name: str,
) -> Figure:
    """The evaluation metric over environment steps, with its range over episodes and the baseline's level."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.fill_between(env_steps, low, high, alpha=0.15, color="C0", linewidth=0, label="range over episodes")
    axes.plot(env_steps, values, marker="o", color="C0", label="mean over the evaluation episodes")
    if baseline is not None:
        axes.axhline(baseline, color="0.3", linestyle="--", label=baseline_name)
    axes.set_xlabel("environment steps (decisions)")
    axes.set_ylabel(metric)
    axes.set_ylim(bottom=min(0.0, *low) if low else None)
    axes.legend(frameon=False)
    return figure


def synthetic_and_real(diagnosis: Diagnosis, title: str) -> Figure:
    """Marginals of the columns that differ most, and the correlations of all columns, real and synthetic."""
    figure = Figure(figsize=(11, 9), layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(3, 6, height_ratios=(1, 1, 1.7))
    worst = np.argsort(-diagnosis.columns.wasserstein)[:NUM_MARGINALS]
    for place, column in enumerate(worst):
        axes = figure.add_subplot(grid[place // 3, 2 * (place % 3) : 2 * (place % 3) + 2])
        _marginals(axes, diagnosis, int(column))
        if place == 0:
            axes.legend(frameon=False, fontsize="small")
    shown = (diagnosis.real.std(axis=0) > 1e-9) & (diagnosis.synthetic.std(axis=0) > 1e-9)
    if shown.sum() < 2:
        return figure
    real, synthetic = (np.corrcoef(rows[:, shown], rowvar=False) for rows in (diagnosis.real, diagnosis.synthetic))
    panels = (("real", real), ("synthetic", synthetic), ("synthetic - real", synthetic - real))
    for place, (name, values) in enumerate(panels):
        axes = figure.add_subplot(grid[2, 2 * place : 2 * place + 2])
        image = axes.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
        axes.set_title(f"correlation, {name}", fontsize="medium")
        axes.set_xlabel("column of the transition")
    figure.colorbar(image, ax=figure.axes[-3:], shrink=0.8)
    return figure


def _marginals(axes: Axes, diagnosis: Diagnosis, column: int) -> None:
    """Histograms on the same bins."""
    real, synthetic = diagnosis.real[:, column], diagnosis.synthetic[:, column]
    low, high = min(real.min(), synthetic.min()), max(real.max(), synthetic.max())
    bins = np.linspace(low, high if high > low else low + 1.0, 21).tolist()
    axes.hist(real, bins, weights=np.full(len(real), 1.0 / len(real)), color="0.55", alpha=0.6, label="real")
    columns = diagnosis.columns
    found, yardstick = columns.wasserstein[column], columns.wasserstein_yardstick[column]
    title = f"{columns.names[column]}\nW1 {found:.2f} sd (real halves {yardstick:.2f})"
    lines = [("synthetic", synthetic, "C1")]
    if diagnosis.prompted is not None:
        lines.insert(0, ("real, as prompted", diagnosis.prompted[:, column], "C0"))
        found, yardstick = columns.prompted_wasserstein[column], columns.prompted_wasserstein_yardstick[column]
        title += f"\nas prompted {found:.2f} sd (halves {yardstick:.2f})"
    for label, values, color in lines:
        weights = np.full(len(values), 1.0 / len(values))
        axes.hist(values, bins, weights=weights, histtype="step", linewidth=1.6, color=color, label=label)
    axes.set_title(title, fontsize="small")
    axes.set_ylabel("share of rows")


def by_demand(
    demands: Sequence[str], values: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], labels: Mapping[str, str]
) -> Figure:
    """Each metric by demand: a small point for every episode, a large one for the mean, a colour for each controller.

    Args:
        demands: names along the axis.
        values: by metric, then controller: for each demand, one value a seed.
        labels: of the metrics, with units.
    """
    num_columns = min(2, len(values))
    num_rows = -(-len(values) // num_columns)
    width = max(6.0, 1.3 * len(demands))
    figure = Figure(figsize=(width * num_columns, 4.2 * num_rows), layout="constrained")
    for place, (metric, of_controller) in enumerate(values.items(), start=1):
        axes = figure.add_subplot(num_rows, num_columns, place)
        slot = 0.85 / len(of_controller)
        for i, (controller, of_demand) in enumerate(of_controller.items()):
            centres = [x + (i - (len(of_controller) - 1) / 2) * slot for x in range(len(demands))]
            means = [sum(group) / len(group) for group in of_demand]
            points = [(x, value) for x, group in zip(centres, of_demand, strict=True) for value in group]
            axes.plot(*zip(*points, strict=True), ".", color=f"C{i}", alpha=0.6, markersize=4)
            axes.plot(centres, means, "D", color=f"C{i}", markersize=6, label=plain(controller))
        axes.set_xticks(range(len(demands)), demands)
        axes.set_ylabel(labels[metric])
        _log_if_wide(axes, [v for of_demand in of_controller.values() for group in of_demand for v in group])
        axes.grid(axis="y", alpha=0.3)
    handles, names = figure.axes[0].get_legend_handles_labels()
    columns = legend_columns(names, width * num_columns)
    figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False)
    return figure


def legend_columns(names: Sequence[str], width: float) -> int:
    """How many columns of a legend fit into a figure, so that none is clipped.

    Args:
        names: of the entries.
        width: of the figure, inches.
    """
    # An entry of Matplotlib's default font takes so much for its mark, gaps and each letter.
    return max(1, min(len(names), int((width - 0.3) / (0.75 + 0.085 * max(map(len, names))))))


def green_bars(shares: Mapping[str, Sequence[float]]) -> Figure:
    """A bar for each controller, parted into the time for which each stage is green, and the rest.

    Args:
        shares: by controller, of each stage, between 0 and 1.
    """
    num_stages = len(next(iter(shares.values())))
    figure = Figure(figsize=(8.4, 1.3 + 0.36 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    starts = np.zeros(len(shares))
    rows = range(len(shares))
    for stage in range(num_stages + 1):
        is_rest = stage == num_stages
        widths = np.array([100 * (1 - sum(s) if is_rest else s[stage]) for s in shares.values()])
        label = "yellow, all-red, clearance" if is_rest else f"stage {stage}"
        color = "#b4b8bd" if is_rest else STAGE_COLORS[stage % len(STAGE_COLORS)]
        bars = axes.barh(rows, widths, left=starts, height=0.72, label=label, color=color)
        texts = [f"{width:.0f}" if width >= 4 else "" for width in widths]
        axes.bar_label(bars, texts, label_type="center", color="#14181c", fontsize="small")
        starts += widths
    axes.set_yticks(rows, [plain(controller) for controller in shares])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the time (%)")
    axes.grid(visible=False)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=legend_columns(names, 8.4), frameon=False)
    return figure


def greens(shown: Mapping[tuple[str, str], Sequence[Greens]]) -> Figure:
    """A panel for each controller: the median green of each stage with its quantiles, a colour for each demand.

    Args:
        shown: by controller and demand, a row for each stage; one without greens has no mark.
    """
    controllers, demands = (list(dict.fromkeys(names)) for names in zip(*shown, strict=True))
    width = 4.2 * len(controllers)
    figure = Figure(figsize=(width, 3.6), layout="constrained")
    panels = figure.subplots(1, len(controllers), sharey=True, squeeze=False)[0]
    for axes, controller in zip(panels, controllers, strict=True):
        for i, demand in enumerate(demands):
            rows = [row for row in shown[controller, demand] if row.median is not None]
            places = [row.stage + 0.24 * (i - (len(demands) - 1) / 2) for row in rows]
            axes.vlines(places, [row.low for row in rows], [row.high for row in rows], color=f"C{i}", linewidth=3)
            axes.plot(places, [row.median for row in rows], "D", color=f"C{i}", label=f"demand {demand}")
        axes.set_title(plain(controller), fontsize="medium")
        axes.set_xticks([row.stage for row in shown[controller, demands[0]]])
        axes.set_xlabel("stage")
        axes.grid(axis="y", alpha=0.3)
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel(f"green (s): median, {LOW} to {HIGH} %")
    handles, names = panels[0].get_legend_handles_labels()
    columns = legend_columns(names, width)
    figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False)
    return figure


def cross_play(names: Sequence[str], returns: np.ndarray) -> Figure:
    """Mean returns `[R, R]` of every run (row, cook 0) with every run (column, cook 1) as a heat map with numbers."""
    side = max(4.0, 0.9 * len(names) + 2.5)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(returns, cmap="viridis", vmin=min(0.0, float(returns.min())))
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("cook 1")
    axes.set_ylabel("cook 0")
    low, high = image.get_clim()
    for (i, j), value in np.ndenumerate(returns):
        color = "black" if value > (low + high) / 2 else "white"
        axes.text(j, i, f"{value:.0f}", ha="center", va="center", color=color)
    figure.colorbar(image, ax=axes, shrink=0.8, label="mean sparse return")
    return figure


def _log_if_wide(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic vertical axis where the values are positive and differ by a factor of `LOG_FROM`."""
    if min(values) > 0 and max(values) > LOG_FROM * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.6)))
