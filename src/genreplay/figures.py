"""Figures of a run, as Matplotlib objects that need no display."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure


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
