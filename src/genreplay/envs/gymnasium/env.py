"""Gymnasium environments behind one TorchRL environment.

Shapes: O observation, A action. Actions come in [-1, 1] and are scaled to the environment's own bounds.
"""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from functools import partial
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from torchrl.data import Bounded, Unbounded

from genreplay.common.errors import UserError
from genreplay.envs.batched import BatchedEnv, EpisodeSeeds, Step
from genreplay.envs.faults import EnvironmentFault
from genreplay.envs.gymnasium.config import GymnasiumConfig


class GymnasiumEnv(BatchedEnv):
    """W Gymnasium environments side by side.

    Args:
        env_id: their name in messages.
        envs: one for each worker.
        observation_space: flat, `[O]`.
        action_space: flat and bounded, `[A]`.
        episode_seeds: the seed of each worker's i-th episode.
    """

    def __init__(
        self,
        env_id: str,
        envs: list[gymnasium.Env[Any, Any]],
        observation_space: Box,
        action_space: Box,
        episode_seeds: EpisodeSeeds,
    ):
        action_spec = Bounded(-1.0, 1.0, shape=action_space.shape)
        super().__init__(_observation_spec(observation_space), action_spec, len(envs), episode_seeds)
        self.envs, self._action_space = envs, action_space
        self.checks.label = f"env.id: {env_id}"

    def start(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """Reset each named environment with its seed."""
        attempt = self.checks.attempt
        return {w: attempt([w], partial(self.envs[w].reset, seed=seed))[0] for w, seed in seeds.items()}

    def advance(self, actions: dict[int, np.ndarray]) -> dict[int, Step | EnvironmentFault]:
        """One environment step in each named worker."""
        return {worker: self._step_one(worker, action) for worker, action in actions.items()}

    def metrics(self, worker: int) -> dict[str, float]:
        """None in addition to the return, which the base class keeps."""
        return {}

    def close(self, *, raise_if_closed: bool = True) -> None:
        """Close every environment."""
        for worker, env in enumerate(self.envs):
            with suppress(EnvironmentFault):  # it has ended in any case
                self.checks.attempt([worker], env.close)
        super().close(raise_if_closed=raise_if_closed)

    def _step_one(self, worker: int, action: np.ndarray) -> Step | EnvironmentFault:
        def step() -> Step:
            observation, reward, terminated, truncated, _ = self.envs[worker].step(scaled(action, self._action_space))
            # Copied, as some environments change one array in place.
            return Step(copy(observation), cast(float, reward), 1.0, bool(terminated), bool(truncated))

        try:
            return self.checks.attempt([worker], step)
        except EnvironmentFault as fault:
            return fault


def make(config: GymnasiumConfig) -> gymnasium.Env[Any, Any]:
    """The environment of `config.id`. UserError where it does not exist or needs a package that is missing."""
    try:
        return gymnasium.make(config.id, max_episode_steps=config.max_episode_steps)
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError(f"env.id: {config.id} needs a package that is not installed: {error}") from error
    except (gymnasium.error.Error, ImportError) as error:
        raise UserError(f"env.id: Gymnasium cannot make {config.id!r}: {error}") from error


def scaled(action: np.ndarray, space: Box) -> np.ndarray:
    """An action `[A]` in [-1, 1], which it is clipped to, within the bounds of `space` to the last digit.

    Where the space has whole numbers, each of them has an equal share of [-1, 1].
    """
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    share = (np.clip(action.astype(np.float64), -1.0, 1.0) + 1.0) / 2.0
    if np.issubdtype(space.dtype, np.integer):
        return np.minimum(low + np.floor(share * (high - low + 1.0)), high).astype(space.dtype)
    return np.clip(low + share * (high - low), low, high).astype(space.dtype)


def _observation_spec(space: Box) -> Bounded | Unbounded:
    if space.is_bounded():
        low, high = torch.from_numpy(space.low).float(), torch.from_numpy(space.high).float()
        return Bounded(low, high, dtype=torch.float32)
    return Unbounded(space.shape, dtype=torch.float32)


def flat(observation: Any) -> np.ndarray:
    """A copy of the observation as float32 `[O]`: some environments change one array in place."""
    return np.array(observation, dtype=np.float32)
