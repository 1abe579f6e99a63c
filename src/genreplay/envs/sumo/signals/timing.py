"""Bounds on the signal as arrays: greens of every stage, and the round that serves everybody within `max_red`.

Shapes: P stages, R stages of the round, A action.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.signals.plan import SignalPlan

IN_ORDER = ("duration", "cycle")
"""Action modes that show every stage in turn."""
NUMBERS = {
    "actuated": ("longest green", "reach"),
    "stage_duration": ("green",),
    "phase_duration": ("green",),
    "duration": ("green",),
}
"""Numbers of an action, which come before what it says of each stage, by action mode; `cycle` has a green a stage."""
WITH_CHOICE = ("actuated", "stage_duration")
"""Action modes whose last P entries are the one-hot next stage."""


@dataclass(frozen=True)
class Timing:
    """Bounds on the signal, as arrays."""

    action_mode: str
    plan: SignalPlan

    @property
    def num_stages(self) -> int:
        """P."""
        return len(self.plan.stages)

    @property
    def max_red(self) -> int:
        """Longest wait for green, s."""
        return self.plan.max_red

    @cached_property
    def intergreen(self) -> np.ndarray:
        """Seconds between the greens of two stages, `[P, P]`."""
        return self.plan.intergreen.astype(np.float64)

    @cached_property
    def min_greens(self) -> np.ndarray:
        """Shortest greens, s, `[P]`."""
        return np.array([float(stage.min_green) for stage in self.plan.stages])

    @cached_property
    def max_greens(self) -> np.ndarray:
        """Longest greens, s, `[P]`.

        Where every stage is shown in turn, they are short enough that none is red for longer than `max_red`.
        """
        longest = np.array([float(stage.max_green) for stage in self.plan.stages])
        if self.action_mode not in IN_ORDER:
            return longest
        room = self.spare_seconds // (self.num_stages - 1)
        return np.minimum(longest, self.min_greens + room)

    @property
    def spare_seconds(self) -> float:
        """What the shortest greens of a cycle leave of `max_red` to all but one of them, s."""
        return self.max_red - self.change_seconds - (self.min_greens.sum() - self.min_greens.min())

    @property
    def change_seconds(self) -> float:
        """Intergreens of a cycle in the plan's order, s."""
        return float(sum(self.intergreen[p - 1, p] for p in range(self.num_stages)))

    @cached_property
    def home(self) -> dict[int, list[frozenset[int]]]:
        """A round that serves everybody: its R stages, each with the groups of links that it stands for."""
        return self.plan.round()

    @cached_property
    def is_satisfied(self) -> np.ndarray:
        """Whether a stage serves everybody that another stage of the round stands for, `[P, R]` (0 or 1)."""
        rows = [[all(p in group for group in groups) for groups in self.home.values()] for p in range(self.num_stages)]
        return np.array(rows, dtype=np.float64)

    @property
    def action_width(self) -> int:
        """A."""
        num_numbers = len(NUMBERS.get(self.action_mode, ()))
        return num_numbers + (0 if self.action_mode == "duration" else self.num_stages)

    @property
    def longest_green(self) -> float:
        """Of any stage, s."""
        return float(self.max_greens.max())

    @property
    def longest_decision(self) -> float:
        """The longest time a decision can take, s."""
        if self.action_mode == "cycle":
            return float(self.max_greens.sum()) + self.change_seconds
        return float((self.max_greens + self.intergreen.max(axis=0)).max())


def timing_of(config: SumoConfig, plan: SignalPlan) -> Timing:
    """The bounds on a signal.

    Raises:
        UserError: stages in a fixed order cannot keep `max_red`.
    """
    timing = Timing(config.action_mode, plan)
    if config.action_mode in IN_ORDER and timing.spare_seconds < 0:
        least = round(timing.max_red - timing.spare_seconds)
        raise UserError(
            f"env.max_red: with env.action_mode={config.action_mode} every stage is shown in turn, which takes "
            f"{least} s with the shortest greens, so nobody can be promised {timing.max_red} s; set env.max_red to at "
            f"least {least}"
        )
    return timing
