"""Gymnasium environments with flat observations and continuous actions, for comparison with published tables.

Shapes: O observation, A action. Actions come in [-1, 1] and are scaled to the environment's own bounds.
"""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.spaces import Box
from tensordict import TensorDictBase

from genreplay.common.errors import UserError
from genreplay.envs.batched import BatchedEnv, EpisodeSeeds
from genreplay.envs.gymnasium.config import GymnasiumConfig
from genreplay.envs.gymnasium.env import GymnasiumEnv, make
from genreplay.envs.gymnasium.oracle import STATES, StateOracle
from genreplay.envs.world import World
from genreplay.transitions.columns import Column, TransitionLayout, continuous_columns
from genreplay.transitions.keys import (
    ACTION,
    DURATION,
    NEXT_OBSERVATION,
    OBSERVATION,
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
        state_of = STATES.get("" if env.spec is None else env.spec.name)
        self.oracle = None if state_of is None else StateOracle(config, state_of, self.action_space)
        env.close()
        self.layout = _layout(self.observation_space, self.action_space)

    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> BatchedEnv:
        """Environments stepped one after the other in this process; the same for training and evaluation."""
        envs = [make(self.config) for _ in range(num_workers)]
        return GymnasiumEnv(self.config.id, envs, self.observation_space, self.action_space, episode_seeds)


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
