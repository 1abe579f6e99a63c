"""Reward: transitions that paid. The plainest relevance function, and a control for the others."""

from __future__ import annotations

from collections.abc import Callable

from tensordict import TensorDictBase
from torch import Tensor

from genreplay.relevance.base import Relevance
from genreplay.relevance.config import RewardConfig
from genreplay.transitions.keys import REWARD


class Reward(Relevance):
    """The reward with its sign: where rewards are penalties, the least bad is the most relevant.

    Args:
        config: empty.
        observation_width: not used.
        action_width: not used.
        td_error: not used.
    """

    def __init__(
        self,
        config: RewardConfig,
        observation_width: int,
        action_width: int,
        td_error: Callable[[TensorDictBase], Tensor],
    ):
        super().__init__()

    def relevance(self, transitions: TensorDictBase) -> Tensor:
        """`[N, 1]`, a copy."""
        return transitions[REWARD].clone()
