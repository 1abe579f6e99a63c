"""Base class of the relevance functions: F(s, a, s', r), one number for each transition.

Shapes: N transitions, B rows of a training batch, O observation, A action.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import torch
from tensordict import TensorDictBase
from torch import Tensor, nn

from genreplay.common.errors import UserError
from genreplay.transitions.columns import TransitionLayout

CHUNK_ROWS = 16_384
"""Transitions scored at a time, which bounds the memory of scoring a whole replay buffer."""

TdErrors = Callable[[TensorDictBase], Tensor]
"""Absolute TD errors `[N, 1]` of transitions `[N]` under the agent."""


class Relevance(nn.Module, ABC):
    """Scores transitions by how much the agent should see more like them (Wang et al., 2025, section 4).

    A new relevance function writes `for_layout` and `relevance`. One that learns also sets `optimizer` and writes
    `update`.
    """

    optimizer: torch.optim.Optimizer | None = None

    @classmethod
    @abstractmethod
    def for_layout(cls, config: Any, layout: TransitionLayout, td_error: TdErrors) -> Self:
        """A relevance function for an environment's transitions, with fresh weights from torch's global generator.

        Args:
            config: its options.
            layout: of the transitions.
            td_error: the agent's.
        """

    @abstractmethod
    def relevance(self, transitions: TensorDictBase) -> Tensor:
        """Relevance `[N, 1]` of transitions `[N]`; `score` calls it without gradients, a chunk at a time."""

    def update(self, transitions: TensorDictBase) -> dict[str, Tensor]:
        """One training step on *real* transitions `[B]`; returns its losses as scalars, none if it does not learn."""
        return {}

    @torch.no_grad()
    def score(self, transitions: TensorDictBase) -> Tensor:
        """Relevance `[N, 1]`, without gradients and without changing anything.

        Raises:
            UserError: a score is not finite.
        """
        scores = torch.cat([self.relevance(chunk) for chunk in transitions.split(CHUNK_ROWS)])
        if not scores.isfinite().all():
            raise UserError(
                f"{type(self).__name__}: relevance is not finite for {int((~scores.isfinite()).sum())} of "
                f"{len(scores)} transitions; the network has diverged, lower its learning rate"
            )
        return scores

    def optimizer_state_dict(self) -> dict[str, Any]:
        """State of the optimiser; empty if there is none."""
        return {} if self.optimizer is None else self.optimizer.state_dict()

    def load_optimizer_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the optimiser's state from a checkpoint.

        Raises:
            ValueError: it has an optimiser and the checkpoint none, or the reverse.
        """
        if bool(state) != (self.optimizer is not None):
            raise ValueError(f"{type(self).__name__}: the checkpoint is of a relevance function of another kind")
        if self.optimizer is not None:
            self.optimizer.load_state_dict(state)
