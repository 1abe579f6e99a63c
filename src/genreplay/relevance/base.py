"""What a relevance function is: F(s, a, s', r), one number for each transition.

Shapes: N transitions, B rows of a training batch, O observation, A action.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from tensordict import TensorDictBase
from torch import Tensor, nn

CHUNK_ROWS = 16_384
"""Transitions scored at a time: bounds the memory of scoring a whole replay buffer."""


class Relevance(nn.Module, ABC):
    """Scores transitions by how much the agent should see more like them (Wang et al., 2025, section 4).

    A new relevance function writes `relevance`, and `update` with the two optimiser methods if it learns.
    """

    @abstractmethod
    def relevance(self, transitions: TensorDictBase) -> Tensor:
        """Relevance `[N, 1]` of transitions `[N]`; `score` calls it without gradients, a chunk at a time."""

    def update(self, transitions: TensorDictBase) -> dict[str, Tensor]:
        """One training step on *real* transitions `[B]`; its losses as scalars, empty if there is nothing to learn."""
        return {}

    @torch.no_grad()
    def score(self, transitions: TensorDictBase) -> Tensor:
        """Relevance `[N, 1]`, without gradients and without changing anything.

        Raises:
            RuntimeError: a score is not finite.
        """
        scores = torch.cat([self.relevance(chunk) for chunk in transitions.split(CHUNK_ROWS)])
        if not scores.isfinite().all():
            raise RuntimeError(
                f"{type(self).__name__}: relevance is not finite for {int((~scores.isfinite()).sum())} of "
                f"{len(scores)} transitions; the network has diverged, lower its learning rate"
            )
        return scores

    def optimizer_state_dict(self) -> dict[str, Any]:
        """State of the optimiser; empty if there is none."""
        return {}

    def load_optimizer_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the optimiser's state from a checkpoint."""
        if state:
            raise ValueError(f"{type(self).__name__} has no optimiser, but the checkpoint has one")
