"""Statistics over a few seeds: interquartile means, intervals of the percentile bootstrap and of Student's t.

Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice", sections 4.1 and 4.3.
Shapes: S seeds (or other units that are resampled as a whole), B resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

NUM_RESAMPLES = 2_000
LEVEL = 0.95


def interquartile_mean(values: Sequence[float] | np.ndarray, axis: int = -1) -> Any:
    """Mean without the lowest and the highest quarter (each rounded down to whole values), along `axis`.

    Steadier than the median, and unmoved by a gridlocked episode where the mean is not.
    """
    ordered = np.moveaxis(np.sort(np.asarray(values, dtype=np.float64), axis=axis), axis, -1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def resample(values: np.ndarray, rng: np.random.Generator, num_resamples: int = NUM_RESAMPLES) -> np.ndarray:
    """`[B, S]`: each row draws as many of the values `[S]` as there are, with replacement."""
    return values[rng.integers(len(values), size=(num_resamples, len(values)))]


def percentile_interval(statistics: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The 95 % interval from a statistic of each resample `[B]`."""
    low, high = np.quantile(statistics, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


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
    drawn = resample(np.asarray(values, dtype=np.float64), np.random.default_rng(0))
    return percentile_interval(drawn.mean(axis=1))
