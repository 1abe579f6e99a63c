"""Statistics of arms over training seeds, for each measure and environment.

Estimates are interquartile means with 95 % intervals of the bootstrap, stratified by environment (Agarwal et al., 2021,
section 4). Where several arms are compared with the baseline, the adjusted intervals hold together with 95 %: each has
the level 1 - 0.05 / number of comparisons (Bonferroni; Dunn, 1961, "Multiple Comparisons among Means").

Shapes: S seeds, B resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genreplay.common.statistics import (
    LEVEL,
    Estimate,
    interquartile_mean,
    optimality_gap,
    percentile_interval,
    pooled,
    probability_of_improvement,
    resamples,
)
from genreplay.comparison.measures import Measure, measured, reaches
from genreplay.comparison.runs import ComparedRun, Metric

NUM_RESAMPLES = 10_000
FEW_SEEDS = 5
"""With fewer seeds a bootstrap's interval is much too narrow."""
NAN = float("nan")
ALL = "all environments"

Values = Mapping[str, Mapping[int, float]]
"""A measure of one arm's runs, by environment and seed."""


@dataclass(frozen=True)
class Row:
    """One measure of one arm in one environment, or in all of them."""

    measure: Measure
    world: str
    arm: str
    num_runs: int
    iqm: Estimate
    median: Estimate
    mean: float
    gap: Estimate | None
    """Optimality gap; None without a target."""
    reached: float | None
    """Share of the runs that reach the threshold."""
    is_paired: bool = False
    """Whether the differences are of the same seeds."""
    difference: Estimate | None = None
    """From the baseline; None for the baseline itself."""
    adjusted: Estimate | None = None
    """The same, with an interval for all comparisons together; None where there is one comparison."""
    improvement: Estimate | None = None
    """Probability that a run is better than one of the baseline."""


def rows(
    runs: Sequence[ComparedRun], measure: Measure, metric: Metric, baseline: str, threshold: float | None
) -> list[Row]:
    """The statistics of every arm, the baseline first, by environment and, where there are several, of all together.

    All together are given where every arm has every environment.
    """
    arms = [baseline, *(arm for arm in dict.fromkeys(run.arm for run in runs) if arm != baseline)]
    worlds = list(dict.fromkeys(run.world for run in runs))
    found = [row for world in worlds for row in _of_worlds(runs, [world], world, arms, measure, metric, threshold)]
    if len(worlds) > 1 and all({run.world for run in runs if run.arm == arm} == set(worlds) for arm in arms):
        found += _of_worlds(runs, worlds, ALL, arms, measure, metric, threshold)
    return found


def _of_worlds(
    runs: Sequence[ComparedRun],
    worlds: Sequence[str],
    name: str,
    arms: Sequence[str],
    measure: Measure,
    metric: Metric,
    threshold: float | None,
) -> list[Row]:
    rng = np.random.default_rng(0)
    of_arm = {arm: [run for run in runs if run.arm == arm and run.world in worlds] for arm in arms}
    values: dict[str, Values] = {
        arm: {
            world: {r.seed: measured(r, measure, metric, threshold) for r in own if r.world == world}
            for world in worlds
        }
        for arm, own in of_arm.items()
        if own
    }
    num_comparisons = sum(arm != arms[0] for arm in values) if arms[0] in values else 0
    found = []
    for arm, own in values.items():
        strata = _strata(own)
        every = np.concatenate(strata)
        target = None if measure.is_time else threshold
        reached = None if threshold is None else float(np.mean([_reaches(r, metric, threshold) for r in of_arm[arm]]))
        row = Row(
            measure,
            name,
            arm,
            len(every),
            estimate(strata, interquartile_mean, rng),
            estimate(strata, np.median),
            float(every.mean()),
            None if target is None else estimate(strata, _gap(target, measure.minimise)),
            reached,
        )
        found.append(
            _against(row, own, values[arms[0]], num_comparisons, rng) if arm != arms[0] and num_comparisons else row
        )
    return found


def _reaches(run: ComparedRun, metric: Metric, threshold: float) -> bool:
    return reaches(run, metric, threshold) is not None


def _gap(target: float, minimise: bool) -> Callable[..., Any]:
    return lambda values, axis=-1: optimality_gap(values, target, minimise, axis)


def _strata(values: Values) -> list[np.ndarray]:
    return [np.array([of_seed[seed] for seed in sorted(of_seed)]) for of_seed in values.values()]


def estimate(
    strata: Sequence[np.ndarray], statistic: Callable[..., Any], rng: np.random.Generator | None = None
) -> Estimate:
    """A statistic of all values, with an interval where each stratum `[S]` has two values or more."""
    value = float(pooled(statistic)(*strata))
    if min(map(len, strata)) < 2:
        return Estimate(value, NAN, NAN)
    return Estimate(value, *_interval(resamples(strata, pooled(statistic), rng, NUM_RESAMPLES)))


def _interval(statistics: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    low, high = percentile_interval(statistics, level)
    return float(low), float(high)


def _against(row: Row, own: Values, baseline: Values, num_comparisons: int, rng: np.random.Generator) -> Row:
    """The row with its comparison with the baseline: of paired seeds where the two have the same ones."""
    is_paired = all(own[world].keys() == baseline[world].keys() for world in own)
    one, other = _strata(own), _strata(baseline)
    value, drawn = difference(one, other, is_paired, rng)
    adjusted = None
    if num_comparisons > 1:
        adjusted = Estimate(value, *_bounds(drawn, 1 - (1 - LEVEL) / num_comparisons))
    return Row(
        **{
            **vars(row),
            "is_paired": is_paired,
            "difference": Estimate(value, *_bounds(drawn, LEVEL)),
            "adjusted": adjusted,
            "improvement": improvement(one, other, row.measure.minimise),
        }
    )


def _bounds(drawn: np.ndarray | None, level: float) -> tuple[float, float]:
    return (NAN, NAN) if drawn is None else _interval(drawn, level)


def difference(
    own: Sequence[np.ndarray], baseline: Sequence[np.ndarray], is_paired: bool, rng: np.random.Generator
) -> tuple[float, np.ndarray | None]:
    """Interquartile mean of the arm less that of the baseline, of paired differences where they are paired.

    Args:
        own: by environment, `[S]`.
        baseline: in the same order.
        is_paired: whether the seeds are the same ones, in the same order.
        rng: of the bootstrap.

    Returns:
        The difference, and resamples `[B]` of it; None where a stratum has one value.
    """
    can = min(map(len, (*own, *baseline))) > 1
    if is_paired:
        pairs = [one - other for one, other in zip(own, baseline, strict=True)]
        value = float(pooled(interquartile_mean)(*pairs))
        return value, resamples(pairs, pooled(interquartile_mean), rng, NUM_RESAMPLES) if can else None

    def statistic(*samples: np.ndarray, axis: int = -1) -> Any:
        first, second = samples[: len(baseline)], samples[len(baseline) :]
        return pooled(interquartile_mean)(*second, axis=axis) - pooled(interquartile_mean)(*first, axis=axis)

    samples = [*baseline, *own]
    return float(statistic(*samples)), resamples(samples, statistic, rng, NUM_RESAMPLES) if can else None


def improvement(own: Sequence[np.ndarray], baseline: Sequence[np.ndarray], minimise: bool) -> Estimate:
    """Probability that a run is better than one of the baseline, the mean over environments."""

    def statistic(*samples: np.ndarray, axis: int = -1) -> Any:
        pairs = zip(samples[: len(own)], samples[len(own) :], strict=True)
        return np.mean([probability_of_improvement(x, y, minimise, axis) for x, y in pairs], axis=0)

    samples = [*own, *baseline]
    value = float(statistic(*samples))
    if min(map(len, samples)) < 2:
        return Estimate(value, NAN, NAN)
    return Estimate(value, *_interval(resamples(samples, statistic)))
