"""An environment: a point on a line, to be brought to the middle."""

from dataclasses import dataclass

import numpy as np
from torchrl.data import Bounded

from genreplay.envs.batched import BatchedEnv, EpisodeSeeds, Step
from genreplay.envs.world import World
from genreplay.transitions.columns import Column, TransitionLayout, continuous_columns
from genreplay.transitions.keys import ACTION, DURATION, NEXT_OBSERVATION, OBSERVATION, REWARD, TERMINATED

SPEED = 0.2
"""Largest step of the point, m."""


@dataclass
class LineConfig:
    """A point on a line from -1 m to 1 m."""

    name: str = "line"
    """Which environment: `line`."""
    num_steps: int = 20
    """Decisions of an episode."""


class LineEnv(BatchedEnv):
    """Observes the place `[1]`, acts with a velocity `[1]` in [-1, 1], and pays minus the squared place."""

    def __init__(self, config: LineConfig, num_workers: int, episode_seeds: EpisodeSeeds):
        bounds = Bounded(-1.0, 1.0, shape=(1,))
        super().__init__(bounds, bounds, num_workers, episode_seeds)
        self.num_steps, self.place, self.time = config.num_steps, np.zeros((num_workers, 1), np.float32), {}

    def start(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """A random place, which the seed decides."""
        for worker, seed in seeds.items():
            self.place[worker], self.time[worker] = np.random.default_rng(seed).uniform(-1, 1), 0
        return {worker: self.place[worker].copy() for worker in seeds}

    def advance(self, actions: dict[int, np.ndarray]) -> dict[int, Step]:
        """Move, and end after `num_steps`."""
        return {worker: self._move(worker, action) for worker, action in actions.items()}

    def _move(self, worker: int, action: np.ndarray) -> Step:
        place = self.place[worker] = np.clip(self.place[worker] + SPEED * action, -1, 1)
        self.time[worker] += 1
        return Step(place.copy(), -float(place[0] ** 2), 1.0, truncated=self.time[worker] == self.num_steps)

    def metrics(self, worker: int) -> dict[str, float]:
        """How far from the middle the episode ended, m."""
        return {"distance": float(abs(self.place[worker, 0]))}


class LineWorld(World):
    """What the rest of genreplay must know: the columns of a transition, and the metric that counts."""

    primary_metric, primary_unit, minimise = "distance", "m", True
    layout = TransitionLayout(
        (
            *continuous_columns(OBSERVATION, ["place"], -1.0, 1.0),
            *continuous_columns(ACTION, ["velocity"], -1.0, 1.0),
            *continuous_columns(NEXT_OBSERVATION, ["next place"], -1.0, 1.0),
            Column(REWARD, 0, "continuous", "reward", low=-1.0, high=0.0),
            Column(TERMINATED, 0, "binary", "terminated"),
            Column(DURATION, 0, "continuous", "duration", low=1.0, high=1.0),
        )
    )

    def __init__(self, config: LineConfig):
        self.config = config

    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> BatchedEnv:
        """Training and evaluation do not differ."""
        return LineEnv(self.config, num_workers, episode_seeds)
