"""The columns of a transition: kinds and ranges, their layout, and the view of each of two seats.

Shapes: N rows, O observation, A action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from tensordict import TensorDictBase
from torch import Tensor

from genreplay.transitions.keys import ACTION, DONE, IS_SYNTHETIC, TRUNCATED, Key


@dataclass(frozen=True)
class Column:
    """`width` adjacent entries of one transition tensor with one meaning."""

    key: Key
    """The tensor the entries live in."""
    start: int
    """Index of the first entry."""
    kind: Literal["continuous", "binary", "categorical"]
    """`categorical` entries are a one-hot of `width` choices."""
    name: str
    """Its name in diagnostics and figures."""
    width: int = 1
    low: float = float("-inf")
    """Smallest possible value."""
    high: float = float("inf")
    """Largest possible value."""
    resolution: float = 0.0
    """Values are multiples of this; 0 where every value between `low` and `high` is possible."""
    derived: bool = False
    """True where `TransitionLayout.derive` computes the entries from the other columns."""


@dataclass(frozen=True, eq=False)
class Seats:
    """How each of two players observes a joint transition.

    A joint transition holds `observation` `[O]` as player 0 sees it, `action` `[2 * num_actions]` (the one-hot of
    player 0, then of player 1), one sparse team reward, `("next", "shaped_reward")` `[2]` and `learner` `[2]`.
    """

    permutation: Tensor
    """`[O]`, int64: `observation[:, permutation]` is the same state as player 1 sees it, itself first."""
    num_actions: int
    """Choices of each player."""
    learners: Literal["both", "one", "any"] = "any"
    """Which seats learn from a transition: always both (self-play), always exactly one (a learner and a partner),
    or whatever its `learner` says."""

    def __post_init__(self) -> None:
        if not torch.equal(self.permutation.sort().values, torch.arange(len(self.permutation))):
            raise ValueError("Seats: permutation must hold every index of an observation once")


@dataclass(frozen=True, eq=False)
class ActionRule:
    """A simple rule for actions of numbers and one choice, from which learning can begin."""

    preference: Tensor
    """The logits of the choices are observation @ preference, `[O, P]` for P choices."""
    numbers: Tensor
    """The numbers of every choice, in (-1, 1), `[C]`."""


@dataclass(frozen=True)
class TransitionLayout:
    """The columns of an environment's transitions.

    `derive` fills, in place, every derived column of a decoded batch of transitions `[N]`; it must compute
    exactly what the environment would have given.
    """

    columns: tuple[Column, ...]
    derive: Callable[[TensorDictBase], None] | None = None
    seats: Seats | None = None
    """Where two players act together with categorical actions; None where one acts."""
    reward_accrues: bool = False
    """Whether the reward accrues evenly over a step's duration; False where it comes at the end."""
    rule: ActionRule | None = None
    """Where learning can begin; None where there is no such rule. Only with a `choice`."""

    @property
    def choice(self) -> Column | None:
        """The categorical entries of an action of numbers and one choice, which come last; None for other actions."""
        columns = sorted((column for column in self.columns if column.key == ACTION), key=lambda column: column.start)
        kinds = [column.kind for column in columns]
        if self.seats is not None or not kinds or kinds != ["continuous"] * (len(kinds) - 1) + ["categorical"]:
            return None
        return columns[-1]

    @property
    def stored_keys(self) -> tuple[Key, ...]:
        """Keys of this environment's transitions in a replay buffer, real or synthetic."""
        return (*self.widths(), TRUNCATED, DONE, IS_SYNTHETIC)

    def widths(self) -> dict[Key, int]:
        """How many entries each transition tensor has."""
        widths: dict[Key, int] = {}
        for column in self.columns:
            widths[column.key] = max(widths.get(column.key, 0), column.start + column.width)
        return widths


def continuous_columns(key: Key, names: list[str], low: float, high: float) -> list[Column]:
    """One continuous column for each name, all in `[low, high]`."""
    return [Column(key, i, "continuous", name, low=low, high=high) for i, name in enumerate(names)]
