"""Schedules: exact update ratios and periodic triggers, checkpointable, all of it in a checkpoint.

Every `state_dict` here is plain JSON.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any

MAX_DENOMINATOR = 10**9
"""A ratio is read as the nearest fraction with at most this denominator: 1/3 and 0.1 mean what they say."""


class Ratio:
    """Turns new environment steps into a whole number of things to do, `per_step` of them a step.

    What is left over is carried to the next call, in exact arithmetic: however the steps are split into
    calls, and wherever a checkpoint falls between them, the counts add up to `floor(per_step * steps)`.
    """

    def __init__(self, per_step: float):
        if not (math.isfinite(per_step) and per_step >= 0):
            raise ValueError(f"Ratio: per_step must be a number >= 0, not {per_step}")
        self.per_step = Fraction(per_step).limit_denominator(MAX_DENOMINATOR)
        self._carry = Fraction(0)

    def __call__(self, num_steps: int) -> int:
        """How many are due after `num_steps` more steps."""
        if num_steps < 0:
            raise ValueError(f"Ratio: num_steps must be >= 0, not {num_steps}")
        due = self._carry + self.per_step * num_steps
        whole = math.floor(due)
        self._carry = due - whole
        return whole

    def state_dict(self) -> dict[str, Any]:
        """The part of one that is still owed."""
        return {"carry": [self._carry.numerator, self._carry.denominator]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Owe what the checkpoint owed."""
        self._carry = Fraction(*state["carry"])


class Every:
    """True when a counter has reached or passed the next mark; marks are `first`, `first + period` and so on.

    A counter that jumps over several marks in one call makes it true once: the work is due now, not several
    times. The next mark is then the first one the counter has not reached.

    Args:
        period: distance between marks, in the counter's unit.
        first: the first mark; `period` where it is None.
    """

    def __init__(self, period: int, first: int | None = None):
        if period < 1:
            raise ValueError(f"Every: period must be at least 1, not {period}")
        self.period = period
        self._next_mark = period if first is None else first

    def __call__(self, counter: int) -> bool:
        """Whether the counter has come to a mark since the last call that said so."""
        if counter < self._next_mark:
            return False
        self._next_mark += ((counter - self._next_mark) // self.period + 1) * self.period
        return True

    def state_dict(self) -> dict[str, Any]:
        """The mark that comes next."""
        return {"next_mark": self._next_mark}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Wait for the mark that the checkpoint waited for."""
        self._next_mark = int(state["next_mark"])


@dataclass
class Counters:
    """How far a run has come."""

    env_step: int = 0
    """Real transitions stored."""
    gradient_step: int = 0
    """Critic updates done."""
    generator_step: int = 0
    """Optimiser steps of the generator, over all fits."""
    episodes: int = 0
    """Episodes finished in collection."""

    def state_dict(self) -> dict[str, int]:
        """Every counter by name."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take over every counter; KeyError if `state` lacks one."""
        for field in fields(self):
            setattr(self, field.name, int(state[field.name]))


@dataclass
class Due:
    """What is left to do of a step, after its transitions were collected. A checkpoint keeps it."""

    refit: bool = False
    resample: bool = False
    relevance_updates: int = 0
    blocks: int = 0
    """Of agent updates."""
    log: bool = False
    evaluate: bool = False
    checkpoint: bool = False

    def state_dict(self) -> dict[str, int]:
        """Every entry by name."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take over the entries of `state`; nothing of the others is left to do."""
        for field in fields(self):
            setattr(self, field.name, state.get(field.name, field.default))
