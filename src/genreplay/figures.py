"""Figures of a run, as Matplotlib objects that need no display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, ScalarFormatter

LOG_FROM = 8.0
"""An axis is logarithmic where its largest value is this many times the smallest."""


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
            axes.plot(centres, means, "D", color=f"C{i}", markersize=6, label=controller)
        axes.set_xticks(range(len(demands)), demands)
        axes.set_ylabel(labels[metric])
        flat = [value for of_demand in of_controller.values() for group in of_demand for value in group]
        if min(flat) > 0 and max(flat) > LOG_FROM * min(flat):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(ScalarFormatter())
            axes.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.6)))
        axes.grid(axis="y", alpha=0.3)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 5), frameon=False)
    return figure
