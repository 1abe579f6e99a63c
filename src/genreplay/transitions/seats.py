"""Exchange of the two players of a joint transition."""

from __future__ import annotations

from tensordict import TensorDict, TensorDictBase

from genreplay.transitions.columns import Seats
from genreplay.transitions.keys import (
    ACTION,
    EVENT,
    LEARNER,
    NEXT_OBSERVATION,
    OBSERVATION,
    SHAPED_REWARD,
)


def swap_seats(transitions: TensorDictBase, seats: Seats) -> TensorDict:
    """Joint transitions `[B]` with the players' numbers exchanged.

    This is another possible transition wherever the rules treat both players alike. In a kitchen they do, except for
    who is first when both reach for the same object in the same step.
    """
    swapped = transitions.clone()
    for key in (OBSERVATION, NEXT_OBSERVATION):
        swapped[key] = swapped[key][..., seats.permutation]
    for key in (ACTION, EVENT, SHAPED_REWARD, LEARNER):
        swapped[key] = swapped[key].unflatten(-1, (2, -1)).flip(-2).flatten(-2)
    return swapped
