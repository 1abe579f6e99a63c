"""Distances between tables of real and of synthetic rows, each a pure function.

Shapes: N real rows, n synthetic rows, D columns, C input columns (state, action), T target columns (what followed).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import ks_2samp, wasserstein_distance

NUM_QUERIES = 1_000
"""Rows whose nearest neighbour is looked for."""
NUM_NEIGHBOURS = 5
"""Neighbours that span the ball around a real row, for coverage (Naeem et al., 2020, section 3.3)."""
ENSEMBLE_SIZE, NUM_FEATURES, RIDGE = 4, 256, 0.05
"""Of the one-step models: members, random features of each, and ridge penalty for each training row."""


def column_scale(rows: np.ndarray) -> np.ndarray:
    """Standard deviation of each column of rows `[*, D]`; 1 where they are all alike."""
    scale = rows.std(axis=0)
    return np.where(scale > 1e-9, scale, 1.0)


# Marginals and correlations ------------------------------------------------------------------------------------------


def marginal_distances(one: np.ndarray, other: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1-Wasserstein distances in units of `scale` and Kolmogorov-Smirnov distances, each `[D]`, of rows `[*, D]`."""
    pairs = list(zip(one.T, other.T, strict=True))
    wasserstein = np.array([wasserstein_distance(a, b) for a, b in pairs]) / scale
    # The p-value is not used, and its exact form is slow.
    return wasserstein, np.array([ks_2samp(a, b, method="asymp").statistic for a, b in pairs])


def correlation_gap(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of the correlations of all pairs of columns that vary in both; 0 with less than two."""
    vary = (one.std(axis=0) > 1e-9) & (other.std(axis=0) > 1e-9)
    if vary.sum() < 2:
        return 0.0
    above = np.triu_indices(int(vary.sum()), k=1)
    gap = np.corrcoef(one[:, vary], rowvar=False) - np.corrcoef(other[:, vary], rowvar=False)
    return float(np.abs(gap[above]).mean())


# Neighbours ----------------------------------------------------------------------------------------------------------


def novelty(real: np.ndarray, synthetic: np.ndarray) -> float:
    """How far synthetic rows lie from the nearest real one, over how far real rows lie from the nearest other one.

    A ratio of medians: 0 for copies of real rows, about 1 for fresh rows of the same distribution, above 1 for rows
    that lie apart. Every real row was seen in the fit, so all are searched, for the first `NUM_QUERIES` of either kind.
    """
    synthetic = synthetic[:NUM_QUERIES]
    apart = _squared_distances(real[:NUM_QUERIES], real)
    np.fill_diagonal(apart, np.inf)
    usual = float(np.sqrt(np.median(apart.min(axis=1))))
    found = float(np.sqrt(np.median(_squared_distances(synthetic, real).min(axis=1))))
    return found / usual if usual > 0 else float(found > 0)


def coverage(real: np.ndarray, synthetic: np.ndarray, num_neighbours: int = NUM_NEIGHBOURS) -> float:
    """Share of real rows with a synthetic one within the distance of their k-th real neighbour.

    Naeem et al. (2020), "Reliable Fidelity and Diversity Metrics for Generative Models", equation 9. Where both have
    equally many rows of one distribution, it is about 1 - 2 ** -k.
    """
    rank = min(num_neighbours, len(real) - 1)  # rank 0 is the row itself
    radius = np.partition(_squared_distances(real, real), rank, axis=1)[:, rank]
    return float((_squared_distances(real, synthetic).min(axis=1) <= radius).mean())


def _squared_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances `[*, *]` of rows `[*, D]`; float64, so that those of copies are 0 up to 1e-12."""
    squared = one @ (-2.0 * other.T)
    squared += np.square(one).sum(axis=1)[:, None]
    squared += np.square(other).sum(axis=1)
    return np.maximum(squared, 0.0, out=squared)


# One step ------------------------------------------------------------------------------------------------------------


def one_step_errors(
    reference: np.ndarray,
    held_out: np.ndarray,
    synthetic: np.ndarray,
    is_input: np.ndarray,
    is_target: np.ndarray,
    seed: int,
) -> tuple[float, float]:
    """How much of what follows models of the real dynamics fail to explain: in held-out real, and in synthetic rows.

    An ensemble predicts the targets (next state, reward) from state and action, fitted to `reference` alone. Its mean
    squared error, over the real variance of each target, is 0 for a world without chance that it knows and 1 for rows
    whose ending has nothing to do with their beginning. Synthetic rows that obey the real dynamics have the error of
    the held-out ones; far less than it means that the generator has lost the world's chance.
    """
    is_target = is_target & (reference.std(axis=0) > 1e-9)
    if not is_target.any():
        return 0.0, 0.0
    center, scale = reference.mean(axis=0), column_scale(reference)
    reference, held_out, synthetic = ((part - center) / scale for part in (reference, held_out, synthetic))
    rng = np.random.default_rng(seed)
    others = [held_out, synthetic]
    predictions = [np.zeros((len(part), int(is_target.sum()))) for part in others]
    for _ in range(ENSEMBLE_SIZE):
        sample = reference[rng.integers(len(reference), size=len(reference))]
        found = _fit_and_predict(sample, others, is_input, is_target, rng)
        for prediction, more in zip(predictions, found, strict=True):
            prediction += more / ENSEMBLE_SIZE
    errors = [float(np.square(p - part[:, is_target]).mean()) for p, part in zip(predictions, others, strict=True)]
    return errors[0], errors[1]


def _fit_and_predict(
    rows: np.ndarray, others: list[np.ndarray], is_input: np.ndarray, is_target: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """Ridge regression on the inputs and random ReLU features of them: as exact here as a small network, and at once.

    (Rahimi and Recht, 2008, "Weighted Sums of Random Kitchen Sinks".)
    """
    num_inputs = int(is_input.sum())
    weights = rng.normal(size=(num_inputs, NUM_FEATURES)) / np.sqrt(num_inputs)
    bias = rng.normal(size=NUM_FEATURES)

    def features(part: np.ndarray) -> np.ndarray:
        inputs = part[:, is_input]
        return np.concatenate([np.ones((len(part), 1)), inputs, np.maximum(inputs @ weights + bias, 0.0)], axis=1)

    known = features(rows)
    normal = known.T @ known + RIDGE * len(rows) * np.eye(known.shape[1])
    solution = np.linalg.solve(normal, known.T @ rows[:, is_target])
    return [features(part) @ solution for part in others]
