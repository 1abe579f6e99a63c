"""The simulator's own step, for environments whose state follows from the observation. Shapes: N transitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from tensordict import TensorDict, TensorDictBase

from genreplay.envs.facets import Oracle
from genreplay.envs.gymnasium.config import GymnasiumConfig
from genreplay.envs.gymnasium.env import flat, make, scaled
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION, POSSIBLE, REWARD, TERMINATED

StateOf = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""States of observations `[N, O]`, and which of them are possible `[N]`."""

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


class StateOracle(Oracle):
    """Steps from given states.

    Args:
        config: the environment.
        state_of: its `state` from observations (see `STATES`).
        action_space: its bounds.
    """

    def __init__(self, config: GymnasiumConfig, state_of: StateOf, action_space: Box):
        self.config, self._state_of, self._action_space = config, state_of, action_space

    def simulate(self, transitions: TensorDictBase) -> TensorDict:
        """One step from each state `[N]`."""
        env = make(self.config)
        states, possible = self._state_of(transitions.get(OBSERVATION).double().cpu().numpy())
        actions = transitions.get(ACTION).cpu().numpy()
        bare: Any = env.unwrapped
        bare.reset(seed=0)
        steps = []
        for state, action in zip(states, actions, strict=True):
            bare.state = state
            steps.append(bare.step(scaled(action, self._action_space)))
        env.close()
        return TensorDict(
            {
                NEXT_OBSERVATION: torch.from_numpy(np.stack([flat(step[0]) for step in steps])),
                REWARD: torch.tensor([[float(step[1])] for step in steps]),
                TERMINATED: torch.tensor([[bool(step[2])] for step in steps]),
                POSSIBLE: torch.from_numpy(possible),
            },
            batch_size=[len(steps)],
        )
