"""Networks with a condition, which training drops at times (classifier-free guidance: Ho & Salimans, 2022).

Shapes: B rows, W width of the residual stream.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

EMBEDDING_WIDTH = 64
"""Hidden units between a single number (a condition, a noise level) and the residual stream."""


def two_layers(num_inputs: int, width: int) -> list[nn.Module]:
    """From a few numbers to the residual stream: `[B, num_inputs]` to `[B, W]`."""
    return [nn.Linear(num_inputs, EMBEDDING_WIDTH), nn.SiLU(), nn.Linear(EMBEDDING_WIDTH, width)]


class ConditionedNetwork(nn.Module):
    """A network whose rows may have a condition. A dropped condition becomes a learned null token."""

    _zero: Tensor

    def add_condition(self, width: int, conditional: bool) -> None:
        """Add the layers of the condition with fresh weights; called once, in the subclass's `__init__`."""
        self.condition = nn.Sequential(*two_layers(1, width)) if conditional else None
        self.null_token = nn.Parameter(torch.randn(1, width) / math.sqrt(width)) if conditional else None
        self.register_buffer("_zero", torch.zeros(1, width), persistent=False)

    def embed(self, condition: Tensor | None, keep: Tensor | None = None) -> Tensor:
        """Context `[B, W]` of conditions `[B, 1]`; rows where `keep` `[B, 1]` is false get the null token.

        Without a condition the context is one row `[1, W]` (the null token), which suits any number of rows.
        """
        if self.condition is None or self.null_token is None:
            return self._zero
        if condition is None:
            return self.null_token
        context = self.condition(condition)
        return context if keep is None else torch.where(keep, context, self.null_token)


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance, D_uncond + w (D_cond - D_uncond), of two estimates `[n, D]` (Ho & Salimans, 2022).

    w = 0 is the unconditional model, 1 the conditional one, more than 1 steers beyond it.

    PGR's release uses the same formula with w = 2, but only in the first evaluation of each Heun step; the second,
    with which it is averaged, is purely conditional. For small steps that is (2 + 1) / 2: w = 1.5 in every
    evaluation, which is what the solvers here do.
    """
    return unconditional + scale * (conditional - unconditional)
