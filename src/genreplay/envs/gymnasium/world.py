"""Gymnasium environments with flat observations and continuous actions: the tie to published tables.

Shapes: O observation, A action. Actions come in [-1, 1] and are scaled to the environment's own bounds.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Bounded, Unbounded

from genreplay.common.errors import UserError
from genreplay.envs.batched import BatchedEnv, EpisodeSeeds, Step
from genreplay.envs.gymnasium.config import GymnasiumConfig
from genreplay.envs.world import World
from genreplay.transitions.columns import Column, TransitionLayout, continuous_columns
from genreplay.transitions.keys import (
    ACTION,
    DURATION,
    NEXT_OBSERVATION,
    OBSERVATION,
    POSSIBLE,
    REWARD,
    TERMINATED,
    Key,
)


class GymnasiumWorld(World):
    """One Gymnasium environment by its id."""

    primary_metric = "return"
    primary_unit = ""
    minimise = False

    def __init__(self, config: GymnasiumConfig):
        self.config = config
        env = make(config)
        self.observation_space, self.action_space = _spaces(env, config.id)
        if config.max_episode_steps is None and (env.spec is None or env.spec.max_episode_steps is None):
            raise UserError(
                f"env.max_episode_steps: {config.id} has no time limit of its own, so its episodes might "
                "never end; set one"
            )
        env.close()
        self.layout = _layout(self.observation_space, self.action_space)

    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> BatchedEnv:
        """Environments stepped one after the other in this process; the same for training and evaluation."""
        envs = [make(self.config) for _ in range(num_workers)]
        return GymnasiumEnv(envs, self.observation_space, self.action_space, episode_seeds)

    def simulate(self, transitions: TensorDictBase) -> TensorDict | None:
        """One step from each state, for the environments in `STATES`; None for any other."""
        env = make(self.config)
        state_of = STATES.get("" if env.spec is None else env.spec.name)
        if state_of is None:
            env.close()
            return None
        states, possible = state_of(transitions.get(OBSERVATION).double().cpu().numpy())
        actions = transitions.get(ACTION).cpu().numpy()
        bare: Any = env.unwrapped
        bare.reset(seed=0)
        steps = []
        for state, action in zip(states, actions, strict=True):
            bare.state = state
            steps.append(bare.step(_scaled(action, self.action_space)))
        env.close()
        return TensorDict(
            {
                NEXT_OBSERVATION: torch.from_numpy(np.stack([_flat(step[0]) for step in steps])),
                REWARD: torch.tensor([[float(step[1])] for step in steps]),
                TERMINATED: torch.tensor([[bool(step[2])] for step in steps]),
                POSSIBLE: torch.from_numpy(possible),
            },
            batch_size=[len(steps)],
        )


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
        return {worker: _flat(self.envs[worker].reset(seed=seed)[0]) for worker, seed in seeds.items()}

    def advance(self, actions: dict[int, np.ndarray]) -> dict[int, Step]:
        """One environment step in each named worker."""
        return {worker: self._step_one(worker, action) for worker, action in actions.items()}

    def metrics(self, worker: int) -> dict[str, float]:
        """None beside the return, which the base class keeps."""
        return {}

    def close(self, *, raise_if_closed: bool = True) -> None:
        """Close every environment."""
        for env in self.envs:
            env.close()
        super().close(raise_if_closed=raise_if_closed)

    def _step_one(self, worker: int, action: np.ndarray) -> Step:
        scaled = _scaled(action, self._action_space)
        observation, reward, terminated, truncated, _ = self.envs[worker].step(scaled)
        return Step(_flat(observation), float(reward), 1.0, bool(terminated), bool(truncated))


CIRCLE_TOLERANCE = 1e-3
"""How far from 1 the length of (cos, sin) may be for an angle's observation to be possible."""


def _pendulum_states(observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angle and angular velocity `[N, 2]` of (cos, sin, velocity) `[N, 3]`, and which of them are on the circle."""
    cos, sin, velocity = observations.T
    on_circle = np.abs(np.hypot(cos, sin) - 1.0) <= CIRCLE_TOLERANCE
    return np.stack([np.arctan2(sin, cos), velocity], axis=1), on_circle & (np.abs(velocity) <= 8.0)


def _observed_states(observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the observation is the state."""
    return observations, np.ones(len(observations), dtype=bool)


STATES = {"Pendulum": _pendulum_states, "MountainCarContinuous": _observed_states}
"""By name of the environment, without its version: the `state` of its observations, and which of them are possible.
MuJoCo's are not among them: a step there depends on the solver's last solution, which no observation tells."""


def _scaled(action: np.ndarray, space: Box) -> np.ndarray:
    """An action `[A]` in [-1, 1], which it is clipped to, within the bounds of `space`."""
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    scaled = low + (np.clip(action.astype(np.float64), -1.0, 1.0) + 1.0) / 2.0 * (high - low)
    return scaled.astype(space.dtype)


def make(config: GymnasiumConfig) -> gymnasium.Env[Any, Any]:
    """The environment of `config.id`. UserError where there is none, or where a package it needs lacks."""
    try:
        return gymnasium.make(config.id, max_episode_steps=config.max_episode_steps)
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError(f"env.id: {config.id} needs a package that is not installed: {error}") from error
    except (gymnasium.error.Error, ImportError) as error:
        raise UserError(f"env.id: Gymnasium cannot make {config.id!r}: {error}") from error


def _spaces(env: gymnasium.Env[Any, Any], env_id: str) -> tuple[Box, Box]:
    """Observation and action space. UserError unless both are flat boxes and every action is bounded."""
    observation_space, action_space = env.observation_space, env.action_space
    if not isinstance(observation_space, Box) or len(observation_space.shape) != 1:
        raise UserError(
            f"env.id: {env_id} observes {observation_space}; choose an environment that observes a flat Box"
        )
    if not isinstance(action_space, Box) or len(action_space.shape) != 1:
        raise UserError(f"env.id: {env_id} acts in {action_space}; choose one with continuous actions")
    if not action_space.is_bounded():
        raise UserError(f"env.id: {env_id} acts in {action_space}; choose one with bounded actions")
    return observation_space, action_space


def _observation_spec(space: Box) -> Bounded | Unbounded:
    if space.is_bounded():
        low, high = torch.from_numpy(space.low).float(), torch.from_numpy(space.high).float()
        return Bounded(low, high, dtype=torch.float32)
    return Unbounded(space.shape, dtype=torch.float32)


def _layout(observation_space: Box, action_space: Box) -> TransitionLayout:
    def observation(key: Key, prefix: str) -> list[Column]:
        bounds = zip(observation_space.low.tolist(), observation_space.high.tolist(), strict=True)
        return [
            Column(key, i, "continuous", f"{prefix}[{i}]", low=low, high=high) for i, (low, high) in enumerate(bounds)
        ]

    actions = [f"action[{i}]" for i in range(action_space.shape[0])]

    return TransitionLayout(
        columns=(
            *observation(OBSERVATION, "observation"),
            *continuous_columns(ACTION, actions, -1.0, 1.0),
            *observation(NEXT_OBSERVATION, "next observation"),
            Column(REWARD, 0, "continuous", "reward"),
            Column(TERMINATED, 0, "binary", "terminated"),
            Column(DURATION, 0, "continuous", "duration", low=1.0, high=1.0, derived=True),
        ),
        derive=_set_duration,
    )


def _set_duration(transitions: TensorDictBase) -> None:
    """Every step takes one unit of time."""
    transitions.get(DURATION).fill_(1.0)


def _flat(observation: Any) -> np.ndarray:
    return np.asarray(observation, dtype=np.float32)
