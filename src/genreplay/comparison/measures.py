"""What is made of one run's evaluation curve: a number for each measure that a study's plan may name."""

from __future__ import annotations

from statistics import fmean
from typing import NamedTuple

from genreplay.common.text import plain, with_unit
from genreplay.comparison.runs import ComparedRun, Metric
from genreplay.studies.config import MEASURES

LABELS = {
    "area": "area under the curve",
    "end": "last evaluation",
    "worst": "worst evaluation",
    "steps_to_threshold": "env steps to the threshold",
    "seconds_to_threshold": "seconds to the threshold",
}
"""The area is the mean of the evaluations, in the metric's unit."""


class Measure(NamedTuple):
    """One measure of a metric."""

    name: str
    metric: str
    unit: str
    minimise: bool
    """True where lower is better."""

    @property
    def is_time(self) -> bool:
        """Whether it says when a threshold is reached."""
        return self.name.endswith("threshold")

    @property
    def label(self) -> str:
        """Its name and unit for a reader."""
        return (
            LABELS[self.name] if self.is_time else with_unit(f"{LABELS[self.name]} of {plain(self.metric)}", self.unit)
        )


def measures(metric: Metric, threshold: float | None) -> list[Measure]:
    """All that can be made of the metric; those of a threshold where there is one."""
    names = [name for name in MEASURES if threshold is not None or not name.endswith("threshold")]
    units = {"steps_to_threshold": "env steps", "seconds_to_threshold": "s"}
    return [Measure(n, metric.name, units.get(n, metric.unit), n in units or metric.minimise) for n in names]


def measured(run: ComparedRun, measure: Measure, metric: Metric, threshold: float | None) -> float:
    """The measure of the run's points.

    A run that never reaches the threshold has the step, or the seconds, of its last evaluation: a restricted time
    (Royston and Parmar, 2013).
    """
    values = [point.value for point in run.points.values()]
    if measure.name == "area":
        return fmean(values)
    if measure.name == "end":
        return values[-1]
    if measure.name == "worst":
        return max(values) if metric.minimise else min(values)
    step = reaches(run, metric, threshold)
    step = list(run.points)[-1] if step is None else step
    return float(step) if measure.name == "steps_to_threshold" else run.points[step].seconds


def reaches(run: ComparedRun, metric: Metric, threshold: float | None) -> int | None:
    """The env step of the first evaluation that is as good as the threshold; None where there is none."""
    assert threshold is not None
    for step, point in run.points.items():
        if point.value <= threshold if metric.minimise else point.value >= threshold:
            return step
    return None
