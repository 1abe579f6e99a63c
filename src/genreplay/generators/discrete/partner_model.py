"""Virtual partners: a partner's action probabilities in a state, from a generator of joint transitions.

Shapes: n states, O observation, A actions, P partners.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import LEARNER, OBSERVATION, PARTNER


@runtime_checkable
class PartnerModel(Protocol):
    """A generator that can predict a partner's action."""

    def partner_probabilities(self, rows: Tensor, seats: Tensor) -> Tensor:
        """p(action of the player in each of `seats` `[n]` | the entries of `rows` `[n, D]` that are not NaN), `[n, A]`.

        On the CPU.
        """


@torch.no_grad()
def virtual_action_probabilities(
    generator: PartnerModel, codec: Codec, observation: Tensor, seats: Tensor, code: int | Tensor | None = None
) -> Tensor:
    """p(action of the partner | state, partner, the learner sits in the other seat), `[n, A]`.

    The whole state is given, both actions and what follows are hidden: these are the shares of the rows it was fitted
    to, by its diffusion, or by its trees where it has some.

    Args:
        generator: fitted to joint transitions.
        codec: its own.
        observation: `[n, O]`, joint states, player 0 first.
        seats: `[n]`, int64, 0 or 1: where the partner sits.
        code: which of the P partners, one for all states or `[n]`, int64; None for all of them together, as often as
            each was met.

    Raises:
        ValueError: the codec's transitions have no two seats, or there is no such partner.
    """
    if codec.layout.seats is None:
        raise ValueError("virtual_action_probabilities: these transitions have no two seats")
    num_partners = codec.layout.widths()[PARTNER]
    given = {OBSERVATION: observation, LEARNER: one_hot(1 - seats, 2)}
    if code is not None:
        codes = torch.as_tensor(code, device=seats.device).expand_as(seats)
        if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < num_partners:
            raise ValueError(f"virtual_action_probabilities: partner {int(codes.max())} of {num_partners}")
        given[PARTNER] = one_hot(codes, num_partners)
    rows = torch.full((len(observation), codec.width), torch.nan)
    start = 0
    for column in codec.columns:
        if column.key in given:
            rows[:, start : start + column.width] = given[column.key][:, column.start : column.start + column.width]
        start += column.width
    return generator.partner_probabilities(rows, seats)
