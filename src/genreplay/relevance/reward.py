"""Reward as relevance: the simplest relevance function, and a control for the others."""

from __future__ import annotations

from typing import Self

from tensordict import TensorDictBase
from torch import Tensor

from genreplay.relevance.base import Relevance, TdErrors
from genreplay.relevance.config import RewardConfig
from genreplay.transitions.columns import TransitionLayout
from genreplay.transitions.keys import REWARD


class Reward(Relevance):
    """The reward with its sign: where rewards are penalties, the least bad is the most relevant."""

    @classmethod
    def for_layout(cls, config: RewardConfig, layout: TransitionLayout, td_error: TdErrors) -> Self:
        """The reward of any environment."""
        return cls()

    def relevance(self, transitions: TensorDictBase) -> Tensor:
        """`[N, 1]`, a copy."""
        return transitions[REWARD].clone()
