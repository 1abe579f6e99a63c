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

    Raises a `UserError` that names the environment and the step where an observation or a reward is no finite number or
    has the wrong shape.

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
        self.envs = envs
        self._env_id, self._action_space, self._shape = env_id, action_space, observation_space.shape
        self._seeds: dict[int, int] = {}
        self._num_steps: dict[int, int] = {}
        """Of each worker's running episode."""

    def start(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """Reset each named environment with its seed."""
        self._seeds |= seeds
        self._num_steps |= dict.fromkeys(seeds, 0)
        return {worker: self._observed(worker, self.envs[worker].reset(seed=seed)[0]) for worker, seed in seeds.items()}

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
        self._num_steps[worker] += 1
        if not np.isfinite(action).all():
            remedy = "scale its observations to about 1, or lower the agent's learning rates"
            raise self._fault(worker, "was given an action that is no number", remedy)
        observation, reward, terminated, truncated, _ = self.envs[worker].step(scaled(action, self._action_space))
        row = self._observed(worker, observation)
        return Step(row, self._reward(worker, reward), 1.0, bool(terminated), bool(truncated))

    def _observed(self, worker: int, observation: Any) -> np.ndarray:
        """The observation as float32 `[O]`; UserError unless it is as its space says and finite."""
        try:
            row = flat(observation)
        except (TypeError, ValueError):
            raise self._fault(worker, f"observed {_shown(observation)}, which is no array of numbers") from None
        if row.shape != self._shape:
            raise self._fault(worker, f"observed an array of shape {row.shape}, but its space has shape {self._shape}")
        if not np.isfinite(row).all():
            index = int(np.flatnonzero(~np.isfinite(row))[0])
            raise self._fault(worker, f"observed {row[index]} in entry {index}, which is no finite number (float32)")
        return row

    def _reward(self, worker: int, reward: Any) -> float:
        """The reward, a number or an array of one; UserError unless it is finite."""
        try:
            value = np.asarray(reward, dtype=np.float32)
        except (TypeError, ValueError):
            value = np.empty(0, np.float32)
        if value.size != 1:
            raise self._fault(worker, f"gave the reward {_shown(reward)}, which is not one number")
        if not np.isfinite(value).all():
            raise self._fault(worker, f"gave the reward {value.item()}, which is no finite number (float32)")
        return float(np.asarray(reward).item())

    def _fault(self, worker: int, what: str, remedy: str = "correct the environment") -> UserError:
        step = self._num_steps[worker]
        when = f"at step {step}" if step else "at the start"
        return UserError(
            f"env.id: {self._env_id} {what}, {when} of the episode with seed {self._seeds[worker]}; {remedy}"
        )


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


def _shown(value: Any) -> str:
    """The value on one line, shortened."""
    return " ".join(repr(value).split())[:200]


def flat(observation: Any) -> np.ndarray:
    """A copy of the observation as float32 `[O]`: some environments change one array in place."""
    return np.array(observation, dtype=np.float32)
