"""Cross-play: policies of several Overcooked runs with each other.

Shapes: R runs, S episodes of a pair.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tensordict.nn import TensorDictModule

from genreplay.common.progress import Bars
from genreplay.common.statistics import percentile_interval, resamples
from genreplay.envs import episodes
from genreplay.envs.overcooked.config import SELF
from genreplay.envs.world import World

MIN_RUNS_FOR_INTERVAL = 3


class Summary(NamedTuple):
    """A mean with its interval over runs."""

    mean: float
    low: float | None
    """None where there are too few runs for an interval."""
    high: float | None


def play_all(world: World, policies: Sequence[TensorDictModule], episode_seeds: Sequence[int]) -> np.ndarray:
    """`[R, R, S]`: sparse return of every policy as cook 0 with every policy as cook 1; the same numbers each time."""
    returns = np.zeros((len(policies), len(policies), len(episode_seeds)))
    with Bars(len(policies) ** 2, what="pairs") as bars:
        for done, (i, j) in enumerate(itertools.product(range(len(policies)), repeat=2)):
            returns[i, j] = play(world, policies[i], policies[j], episode_seeds)
            bars.advance(done + 1)
    return returns


def play(world: World, first: TensorDictModule, second: TensorDictModule, episode_seeds: Sequence[int]) -> list[float]:
    """Sparse return of `first` as cook 0 with `second` as cook 1, one kitchen for each seed, all in parallel."""
    env = world.make_env(len(episode_seeds), lambda worker, index: episode_seeds[worker], evaluation=True)
    env.demand = SELF  # the policy plays both seats, whatever partners the run was trained with
    cooks = episodes.greedy(first), episodes.greedy(second)

    def act(observations: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        of_both = [cook(observations) for cook in cooks]
        return {worker: np.stack([of_both[0][worker][0], of_both[1][worker][1]]) for worker in observations}

    return [episode["return"] for episode in episodes.play_all(env, act, episode_seeds)]


def summaries(matrix: np.ndarray) -> tuple[Summary, Summary]:
    """Self-play and cross-play of mean returns `[R, R]`, each with the interval of a bootstrap over runs.

    Entries of one row or column share a run, so whole runs are resampled, and a run's copies do not meet each other.
    """
    num_runs = len(matrix)
    apart = ~np.eye(num_runs, dtype=bool)
    means = float(matrix.diagonal().mean()), float(matrix[apart].mean())
    if num_runs < MIN_RUNS_FOR_INTERVAL:
        return Summary(means[0], None, None), Summary(means[1], None, None)

    def of_pairs(chosen: np.ndarray, axis: int) -> np.ndarray:
        differ = chosen[..., :, None] != chosen[..., None, :]
        total = np.where(differ, matrix[chosen[..., :, None], chosen[..., None, :]], 0.0).sum(axis=(-2, -1))
        count = differ.sum(axis=(-2, -1))
        return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)

    runs = [np.arange(num_runs)]
    found = resamples(runs, lambda chosen, axis: matrix[chosen, chosen].mean(axis=axis)), resamples(runs, of_pairs)
    intervals = [percentile_interval(values[~np.isnan(values)]) for values in found]
    own, cross = (Summary(mean, float(low), float(high)) for mean, (low, high) in zip(means, intervals, strict=True))
    return own, cross
