"""Charts of a run for its page: SVG in data URIs, in the page's light or dark colours."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from cycler import cycler
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from genreplay.common.text import plain, with_unit
from genreplay.runs.record import Series

INK = "#010101"
"""Stands for the page's text colour while Matplotlib draws."""
GREY = "#4d4d4d"
"""The grey of `figures`, which a dark page could not show."""
STYLE = (
    "<style>svg{color:#1d2530}@media screen and (prefers-color-scheme:dark){svg{color:#dfe5ec}}"
    "text{font-family:system-ui,'Segoe UI',Roboto,'Helvetica Neue','DejaVu Sans',sans-serif}</style>"
)
COLORS = ("#2f7fc4", "#e07b1a", "#2f9e58", "#b657b0", "#c8463f", "#8a8d91", "#1ba3a6", "#a88b14")
"""Readable on white and on near-black."""
SIZE = 3.7, 2.4
"""Of a chart, inches."""
POINTS_FROM = 30
"""A line with fewer values shows each as a point."""


class Picture(NamedTuple):
    """An image to put into the page."""

    uri: str
    alt: str
    """What it shows, for whoever cannot see it."""


class Line(NamedTuple):
    """One metric in a chart."""

    metric: str
    label: str
    is_reference: bool = False
    """Dashed: what the others are compared with."""


@dataclass(frozen=True)
class Chart:
    """Metrics that belong together, over env steps."""

    title: str
    lines: Sequence[Line]
    is_log: bool = False
    level: float | None = None
    """A value to compare the lines with."""

    def draw(self, metrics: Mapping[str, Series]) -> Picture | None:
        """The lines that the run has; None where it has none of them but references."""
        shown = [line for line in self.lines if line.metric in metrics]
        if all(line.is_reference for line in shown):
            return None
        return as_svg(lambda: self._figure(shown, metrics), self._alt(shown, metrics))

    def _figure(self, shown: Sequence[Line], metrics: Mapping[str, Series]) -> Figure:
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        for line in shown:
            steps, values = metrics[line.metric]
            marker = "o" if len(steps) < POINTS_FROM else ""
            (drawn,) = axes.plot(steps, values, marker=marker, markersize=3.5, label=line.label)
            if line.is_reference:
                drawn.set(linestyle="--", color=INK, linewidth=1.1)
        if self.level is not None:
            axes.axhline(self.level, color=INK, linestyle="--", linewidth=1.1, label="perfect")
        if self.is_log and all(value > 0 for line in shown for value in metrics[line.metric].values):
            axes.set_yscale("log")
        axes.set_title(self.title, fontsize="medium", loc="left")
        axes.set_xlabel("env steps")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if len(shown) > 1 or self.level is not None:
            axes.legend(frameon=False, fontsize="small")
        return figure

    def _alt(self, shown: Sequence[Line], metrics: Mapping[str, Series]) -> str:
        parts = []
        for line in shown:
            steps, values = metrics[line.metric]
            parts.append(f"{line.label} {values[0]:.3g} at env step {steps[0]}, {values[-1]:.3g} at {steps[-1]}")
        return f"{self.title}: {'; '.join(parts)}"


def as_svg(draw: Callable[[], Figure], alt: str) -> Picture:
    """The figure that `draw` makes, as an SVG whose text and axes have the page's colour."""
    with theme():
        head, bracket, rest = svg(draw()).partition(">")
    return Picture(as_uri((head + bracket + STYLE + rest).encode(), "image/svg+xml"), alt)


def svg(figure: Figure) -> str:
    """The SVG element of a figure drawn in the `theme`: text and axes have the colour of the text around it."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    for color in (INK, GREY):
        text = text.replace(color, "currentColor")
    return text


def as_uri(data: bytes, kind: str) -> str:
    """A file as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


@contextmanager
def theme() -> Iterator[None]:
    """The style of everything that Matplotlib draws within the block."""
    inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    options: Any = {
        **dict.fromkeys(inks, INK),
        "axes.prop_cycle": cycler(color=COLORS),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "grid.alpha": 0.25,
        "grid.color": GREY,
        "font.size": 9.5,
        "svg.fonttype": "none",
        "svg.hashsalt": "genreplay",
    }
    with rc_context(options):
        yield


# What a run logs -----------------------------------------------------------------------------------------------------


def of_training(primary_metric: str, unit: str) -> list[Chart]:
    """Progress of the policy and the critics."""
    returns = [Line("training/return", "training episodes"), Line("evaluation/return", "evaluation episodes")]
    label = with_unit(f"{plain(primary_metric).capitalize()} of training episodes", unit)
    return [
        *(
            []
            if primary_metric == "return"
            else [Chart(label, [Line(f"training/{primary_metric}", "training episodes")])]
        ),
        Chart("Return", returns),
        Chart(
            "Critic loss",
            [
                Line("agent/critic_loss", "all rows"),
                Line("agent/critic_loss_real", "real rows"),
                Line("agent/critic_loss_synthetic", "synthetic rows"),
            ],
            is_log=True,
        ),
        Chart("Actor loss", [Line("agent/actor_loss", "actor loss")]),
        Chart("Q of the critics and its target", [Line("agent/q_mean", "Q"), Line("agent/target_mean", "target")]),
        Chart("Entropy of the policy (nats)", [Line("agent/entropy", "entropy")]),
        Chart("Temperature", [Line("agent/temperature", "temperature")]),
    ]


def of_generator() -> list[Chart]:
    """Progress of the generator's fits."""
    return [
        Chart(
            "Generator loss of each fit",
            [Line("generator/loss_first", "at its beginning"), Line("generator/loss_last", "at its end")],
        ),
        Chart(
            "Reward of the transitions (mean)",
            [Line("synthetic/reward_mean", "synthetic"), Line("real/reward_mean", "real", True)],
        ),
    ]


def of_relevance(metrics: Mapping[str, Series]) -> list[Chart]:
    """All metrics of the relevance in use."""
    names = [name for name in metrics if name.startswith("relevance/")]
    texts = {name: plain(name.partition("/")[2]) for name in names}
    return [Chart(f"Relevance: {texts[name]}", [Line(name, texts[name])]) for name in names]


def of_diagnostics() -> list[Chart]:
    """Quality of the synthetic rows of each fit, compared with distances between real rows."""

    def with_yardstick(title: str, name: str, yardstick: str) -> Chart:
        reference = Line(f"diagnostics/{yardstick}", "between real halves", True)
        return Chart(title, [Line(f"diagnostics/{name}", "synthetic"), reference])

    return [
        with_yardstick("Wasserstein distance of the marginals (sd)", "wasserstein_mean", "wasserstein_yardstick"),
        with_yardstick("Gap of the correlations", "correlation_gap", "correlation_gap_yardstick"),
        with_yardstick("One-step error", "one_step_error", "one_step_error_yardstick"),
        with_yardstick("Coverage of the real rows", "coverage", "coverage_yardstick"),
        Chart("Novelty", [Line("diagnostics/novelty", "synthetic")], level=1.0),
        Chart("Share of invalid rows", [Line("diagnostics/invalid_rows", "synthetic")], level=0.0),
    ]
