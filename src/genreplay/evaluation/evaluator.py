"""Evaluate a policy and the incumbent baseline on the same fixed-seed episodes, during training.

Evaluation has simulators of its own (for SUMO: processes of its own), so it never disturbs the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tensordict.nn import TensorDictModule

from genreplay.envs.batched import BatchedEnv
from genreplay.envs.episodes import Episode, greedy, play_all
from genreplay.envs.facets import BaselineRun
from genreplay.envs.world import World


@dataclass(frozen=True)
class Evaluation:
    """Episodes of one policy, in the order of the evaluation seeds."""

    episodes: list[Episode]

    def mean(self, metric: str) -> float:
        """Mean of `metric` over the episodes."""
        return float(np.mean([episode[metric] for episode in self.episodes]))

    def means(self) -> dict[str, float]:
        """Mean of every metric that all episodes have."""
        shared = set.intersection(*map(set, self.episodes))
        return {metric: self.mean(metric) for metric in self.episodes[0] if metric in shared - {"seed"}}


class Evaluator:
    """Runs policies and the baseline on the same fixed episodes.

    Args:
        world: what to evaluate in.
        num_workers: simulators to run side by side.
        seeds: one episode each.
    """

    def __init__(self, world: World, num_workers: int, seeds: Sequence[int]):
        self.world, self.seeds = world, list(seeds)
        self.env: BatchedEnv = world.make_env(min(num_workers, len(self.seeds)), _unused_seeds, evaluation=True)

    def evaluate_policy(self, policy: TensorDictModule, on_episode: Callable[[], None] = lambda: None) -> Evaluation:
        """Every evaluation episode under `policy` (deterministic, observation -> action).

        Raises:
            UserError: an episode failed in the simulator several times.
        """
        return Evaluation(play_all(self.env, greedy(policy), self.seeds, on_episode))

    def evaluate_baseline(self, on_episode: Callable[[], None] = lambda: None) -> Evaluation | None:
        """The incumbent baseline (for SUMO: the map's own programme) on every evaluation episode; None without one."""
        if not self.world.evaluation.baselines:
            return None
        incumbent = BaselineRun(self.world.evaluation.baselines[0])
        episodes: list[Episode] = []
        for first in range(0, len(self.seeds), self.env.num_workers):
            wave = dict(enumerate(self.seeds[first : first + self.env.num_workers]))
            metrics = self.env.play_baseline(incumbent, wave)
            for worker, seed in wave.items():
                episodes.append({"seed": float(seed), **metrics[worker]})
                on_episode()
        return Evaluation(episodes)

    def close(self) -> None:
        """Stop the evaluation's simulators."""
        self.env.close()


def _unused_seeds(worker: int, index: int) -> int:
    raise RuntimeError("the evaluator names its seeds itself")
