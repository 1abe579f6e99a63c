"""Per-player view of a joint transition: observation, action, reward.

Shapes: B joint transitions (any leading dimensions before them), R seat rows of them, O observation, A actions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from tensordict import TensorDictBase
from torch import Tensor

from genreplay.transitions.columns import Seats
from genreplay.transitions.keys import (
    ACTION,
    DURATION,
    IS_SYNTHETIC,
    LEARNER,
    NEXT_OBSERVATION,
    OBSERVATION,
    REWARD,
    SHAPED_REWARD,
    TERMINATED,
)


class SeatRows(NamedTuple):
    """Seat rows. Where both seats may learn R = 2B, all rows of player 0 first; where one does R = B."""

    observation: Tensor
    """`[..., R, O]`, the own seat first."""
    action: Tensor
    """`[..., R, A]`, one-hot, the seat's own."""
    reward: Tensor
    """`[..., R, 1]`, the team's sparse reward and the coefficient times the seat's own shaped reward."""
    next_observation: Tensor
    """`[..., R, O]`."""
    duration: Tensor
    """`[..., R, 1]`."""
    terminated: Tensor
    """`[..., R, 1]`, bool."""
    is_synthetic: Tensor
    """`[..., R, 1]`, bool."""
    learns: Tensor
    """`[..., R, 1]`, 0 or 1: whether this seat learns from the transition, the row's weight in every mean."""


def seat_rows(transitions: TensorDictBase, permutation: Tensor, seats: Seats, shaping_coefficient: float) -> SeatRows:
    """Seat rows `[..., R]` of joint transitions `[..., B]`.

    Args:
        transitions: as `Seats` describes them.
        permutation: that of `seats`, on the device of `transitions`.
        seats: which seats learn, and how many actions they have.
        shaping_coefficient: of the shaped reward, in units of sparse reward.
    """
    learner, shaped_reward = transitions[LEARNER], transitions[SHAPED_REWARD]
    # With a partner only one row of a transition is learned from: the other one is not even made.
    is_second = learner[..., 1:] > learner[..., :1] if seats.learners == "one" else None

    def join(first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([first, second], dim=-2) if is_second is None else torch.where(is_second, second, first)

    def same(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor], dim=-2) if is_second is None else tensor

    def ego(observation: Tensor) -> Tensor:
        return join(observation, observation[..., permutation])

    reward = transitions[REWARD] + shaping_coefficient * shaped_reward
    return SeatRows(
        observation=ego(transitions[OBSERVATION]),
        action=join(*transitions[ACTION].split(seats.num_actions, dim=-1)),
        reward=join(reward[..., :1], reward[..., 1:]),
        next_observation=ego(transitions[NEXT_OBSERVATION]),
        duration=same(transitions[DURATION]),
        terminated=same(transitions[TERMINATED]),
        is_synthetic=same(transitions[IS_SYNTHETIC]),
        learns=join(learner[..., :1], learner[..., 1:]),
    )
