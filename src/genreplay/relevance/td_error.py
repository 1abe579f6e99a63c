"""TD error: transitions that the critics predict badly (Schaul et al., 2016; PGR's section 4.2)."""

from __future__ import annotations

from collections.abc import Callable

from tensordict import TensorDictBase
from torch import Tensor

from genreplay.relevance.base import Relevance
from genreplay.relevance.config import TdErrorConfig


class TdError(Relevance):
    """Absolute TD error under the agent as it is now. It learns nothing of its own.

    Args:
        config: empty.
        observation_width: not used.
        action_width: not used.
        td_error: the agent's, transitions `[N]` -> `[N, 1]`.
    """

    def __init__(
        self,
        config: TdErrorConfig,
        observation_width: int,
        action_width: int,
        td_error: Callable[[TensorDictBase], Tensor],
    ):
        super().__init__()
        self.td_error = td_error

    def relevance(self, transitions: TensorDictBase) -> Tensor:
        """`[N, 1]`."""
        return self.td_error(transitions)
