"""TD error as relevance (Schaul et al., 2016; PGR's section 4.2)."""

from __future__ import annotations

from typing import Self

from tensordict import TensorDictBase
from torch import Tensor

from genreplay.relevance.base import Relevance, TdErrors
from genreplay.relevance.config import TdErrorConfig
from genreplay.transitions.columns import TransitionLayout


class TdError(Relevance):
    """Absolute TD error under the current agent. It learns nothing of its own.

    Args:
        td_error: the agent's.
    """

    def __init__(self, td_error: TdErrors):
        super().__init__()
        self.td_error = td_error

    @classmethod
    def for_layout(cls, config: TdErrorConfig, layout: TransitionLayout, td_error: TdErrors) -> Self:
        """The TD error in any environment."""
        return cls(td_error)

    def relevance(self, transitions: TensorDictBase) -> Tensor:
        """`[N, 1]`."""
        return self.td_error(transitions)
