"""One critic update of REDQ (Chen et al., 2021), algorithm 1, lines 6 to 10, as pure functions.

Used by both agents: for continuous actions the critics give one value, for categorical ones the values of all actions.

Shapes: K batches in a block, B rows in a batch, I critic inputs, V values of an input, N critics, M target subset.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from genreplay.agents import losses

Critics = Callable[..., Tensor]
"""As `StackedCritics`: inputs `[B, I]` to values `[N, B, V]`; with a subset `[M]` of the critics to `[M, B, V]`."""


class CriticBatch(NamedTuple):
    """Inputs of one critic update; with K in front of every shape, of a whole block."""

    inputs: Tensor
    """`[B, I]`."""
    next_inputs: Tensor
    """`[B, I]`, with next actions that the policy draws."""
    next_log_prob: Tensor
    """`[B, V]`, of those actions, or of all categorical ones."""
    reward: Tensor
    """`[B, 1]`."""
    terminated: Tensor
    """`[B, 1]`, bool."""
    step_discount: Tensor
    """`[B, 1]`."""
    subset: Tensor | None
    """`[M]`: the target critics that this update uses; None for all."""
    action: Tensor | None = None
    """`[B, V]`, one-hot; None where actions are continuous."""
    weight: Tensor | None = None
    """`[B, 1]`, of each row in the means of losses and metrics; None for equal ones."""

    def at(self, k: int) -> CriticBatch:
        """Update k of a block."""
        picked: list[Any] = [None if tensor is None else tensor[k] for tensor in self]
        return CriticBatch(*picked)


def target_values(target_critics: Critics, batch: CriticBatch, temperature: Tensor, mode: str) -> Tensor:
    """The critics' targets `[B, 1]`; `temperature` a scalar, `mode` as in `losses.soft_value`."""
    next_q = target_critics(batch.next_inputs, batch.subset)
    soft_value = losses.soft_value if batch.action is None else losses.categorical_soft_value
    next_value = soft_value(next_q, batch.next_log_prob, temperature, mode)
    return losses.bellman_target(batch.reward, batch.terminated, batch.step_discount, next_value)


def loss_and_values(critics: Critics, batch: CriticBatch, target: Tensor) -> tuple[Tensor, Tensor]:
    """The critics' loss, a scalar, and their values `[N, B, 1]` of the stored actions."""
    q = critics(batch.inputs)
    if batch.action is not None:
        q = chosen(q, batch.action)
    return losses.critic_loss(q, target, batch.weight), q


def chosen(q: Tensor, action: Tensor) -> Tensor:
    """Of values `[N, B, V]` those of the one-hot actions `[B, V]`: `[N, B, 1]`."""
    return (q * action).sum(dim=-1, keepdim=True)
