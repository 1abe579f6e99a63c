"""Gymnasium environments behind one TorchRL environment.

Shapes: O observation, A action. Actions come in [-1, 1] and are scaled to the environment's own bounds.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from torchrl.data import Bounded, Unbounded

from genreplay.common.errors import UserError
from genreplay.envs.batched import BatchedEnv, EpisodeSeeds, Step
from genreplay.envs.gymnasium.config import GymnasiumConfig


class GymnasiumEnv(BatchedEnv):
    """W Gymnasium environments side by side.

    Args:
        envs: one for each worker.
        observation_space: flat, `[O]`.
        action_space: flat and bounded, `[A]`.
        episode_seeds: the seed of each worker's i-th episode.
    """

    def __init__(
        self,
        envs: list[gymnasium.Env[Any, Any]],
        observation_space: Box,
        action_space: Box,
        episode_seeds: EpisodeSeeds,
    ):
        action_spec = Bounded(-1.0, 1.0, shape=action_space.shape)
        super().__init__(_observation_spec(observation_space), action_spec, len(envs), episode_seeds)
        self.envs = envs
        self._action_space = action_space

    def start(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """Reset each named environment with its seed."""
        return {worker: flat(self.envs[worker].reset(seed=seed)[0]) for worker, seed in seeds.items()}

    def advance(self, actions: dict[int, np.ndarray]) -> dict[int, Step]:
        """One environment step in each named worker."""
        return {worker: self._step_one(worker, action) for worker, action in actions.items()}

    def metrics(self, worker: int) -> dict[str, float]:
        """None in addition to the return, which the base class keeps."""
        return {}

    def close(self, *, raise_if_closed: bool = True) -> None:
        """Close every environment."""
        for env in self.envs:
            env.close()
        super().close(raise_if_closed=raise_if_closed)

    def _step_one(self, worker: int, action: np.ndarray) -> Step:
        action_in_bounds = scaled(action, self._action_space)
        observation, reward, terminated, truncated, _ = self.envs[worker].step(action_in_bounds)
        return Step(flat(observation), float(reward), 1.0, bool(terminated), bool(truncated))


def make(config: GymnasiumConfig) -> gymnasium.Env[Any, Any]:
    """The environment of `config.id`. UserError where it does not exist or needs a package that is missing."""
    try:
        return gymnasium.make(config.id, max_episode_steps=config.max_episode_steps)
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError(f"env.id: {config.id} needs a package that is not installed: {error}") from error
    except (gymnasium.error.Error, ImportError) as error:
        raise UserError(f"env.id: Gymnasium cannot make {config.id!r}: {error}") from error


def scaled(action: np.ndarray, space: Box) -> np.ndarray:
    """An action `[A]` in [-1, 1], which it is clipped to, within the bounds of `space`."""
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    within = low + (np.clip(action.astype(np.float64), -1.0, 1.0) + 1.0) / 2.0 * (high - low)
    return within.astype(space.dtype)


def _observation_spec(space: Box) -> Bounded | Unbounded:
    if space.is_bounded():
        low, high = torch.from_numpy(space.low).float(), torch.from_numpy(space.high).float()
        return Bounded(low, high, dtype=torch.float32)
    return Unbounded(space.shape, dtype=torch.float32)


def flat(observation: Any) -> np.ndarray:
    """The observation as float32 `[O]`."""
    return np.asarray(observation, dtype=np.float32)
