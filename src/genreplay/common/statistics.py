"""Statistics over a few seeds: robust averages, improvement over a baseline, bootstrap and Student's intervals.

Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice", section 4. Bootstrap
intervals are SciPy's, with percentiles.
Shapes: S seeds (or other units that are resampled as a whole), B resamples.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

NUM_RESAMPLES = 2_000
LEVEL = 0.95


class Estimate(NamedTuple):
    """A statistic with its interval, NaN where there are too few values for one."""

    value: float
    low: float
    high: float


def interquartile_mean(values: Sequence[float] | np.ndarray, axis: int = -1) -> Any:
    """Mean without the lowest and the highest quarter (each rounded down to whole values), along `axis`.

    Steadier than the median, and unmoved by a gridlocked episode where the mean is not.
    """
    ordered = np.moveaxis(np.sort(np.asarray(values, dtype=np.float64), axis=axis), axis, -1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def pooled(statistic: Callable[..., Any]) -> Callable[..., Any]:
    """The statistic, a function of values and axis, of several samples (strata) taken together."""
    return lambda *samples, axis=-1: statistic(np.concatenate(samples, axis=axis), axis=axis)


def optimality_gap(values: np.ndarray, target: float, minimise: bool, axis: int = -1) -> Any:
    """Mean amount by which values miss the target; one that is better counts as the target (Agarwal, section 4.3)."""
    missed = values - target if minimise else target - values
    return np.maximum(missed, 0.0).mean(axis=axis)


def probability_of_improvement(values: np.ndarray, baseline: np.ndarray, minimise: bool, axis: int = -1) -> Any:
    """Share of all pairs in which `values` `[S]` is better than `baseline` `[S']`; a tie counts half (section 4.3)."""
    one = np.moveaxis(np.asarray(values), axis, -1)[..., :, None]
    other = np.moveaxis(np.asarray(baseline), axis, -1)[..., None, :]
    sign = np.sign(one - other) * (-1 if minimise else 1)
    return 0.5 + sign.mean(axis=(-2, -1)) / 2


def resamples(
    samples: Sequence[np.ndarray],
    statistic: Callable[..., Any],
    rng: np.random.Generator | None = None,
    num_resamples: int = NUM_RESAMPLES,
) -> np.ndarray:
    """`[..., B]`: a statistic of resamples with replacement.

    Args:
        samples: one or more, `[..., S]`. Each is resampled by itself, which makes the bootstrap a stratified one.
        statistic: of as many samples, along `axis`.
        rng: None for the same numbers at every call.
        num_resamples: B.

    Raises:
        ValueError: a sample has fewer than two values.
    """
    from scipy.stats import DegenerateDataWarning, bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # a statistic may be NaN for some resamples
        found = bootstrap(
            samples,
            statistic,
            n_resamples=num_resamples,
            vectorized=True,
            axis=-1,
            method="percentile",
            rng=np.random.default_rng(0) if rng is None else rng,
        )
    return found.bootstrap_distribution


def percentile_interval(statistics: Sequence[float] | np.ndarray, level: float = LEVEL) -> tuple[Any, Any]:
    """The interval from a statistic of each resample `[..., B]`."""
    low, high = np.quantile(statistics, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return low, high


def student_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean of `values` `[S]` by Student's t; NaN for fewer than two.

    What traffic engineering asks of repeated simulations (FHWA, Traffic Analysis Toolbox III, appendix B); with five
    seeds the bootstrap's interval is too narrow.
    """
    from scipy.stats import t

    num_values = len(values)
    if num_values < 2:
        return float("nan"), float("nan")
    reach = float(t.ppf((1 + LEVEL) / 2, num_values - 1) * np.std(values, ddof=1) / np.sqrt(num_values))
    return float(np.mean(values)) - reach, float(np.mean(values)) + reach


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of `values` `[S]`; the same numbers at every call."""
    if len(values) < 2:
        return float(values[0]), float(values[0])
    low, high = percentile_interval(resamples([np.asarray(values, dtype=np.float64)], np.mean))
    return float(low), float(high)
