"""A signal plan: stages, the transitions between them, and who is served when.

Shapes: P stages, L links of the light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

PROTECTED = frozenset("G")
"""Green with right of way."""
PERMISSIVE = frozenset("goO")
"""Green that has to give way, or no signal at all (SUMO's blinking `o` and dark `O`)."""
GREEN = PROTECTED | PERMISSIVE
"""States that end with yellow."""
SERVED = GREEN | {"s"}
"""States in which vehicles pass; `s` is the green arrow, at which they stop first."""


class Step(NamedTuple):
    """A state of the light that is shown for some time."""

    state: str
    """One character a link, `[L]`, as SUMO writes it."""
    seconds: int


@dataclass(frozen=True)
class Stage:
    """Links that are green together."""

    state: str
    min_green: int
    """s"""
    max_green: int
    """s, over all decisions that continue it."""
    green_seconds: int
    """Its green in a cycle of the map's plan, s."""
    has_walk: bool = False
    """Whether pedestrians cross in it."""


@dataclass(frozen=True)
class SignalPlan:
    """The stages of one light and the transitions between them.

    Every controller, the exported one and the films show the light through this plan.
    """

    light: str
    programme: str
    """Name (`programID`) of the map's programme it was read from."""
    kind: str
    """SUMO's type of that programme."""
    stages: tuple[Stage, ...]
    """In the programme's order."""
    transitions: tuple[tuple[tuple[Step, ...], ...], ...]
    """Steps between the green of one stage and the green of another, `[P][P]`: pedestrian clearance, yellow, all-red,
    red and amber. Empty from a stage to itself."""
    always_green: frozenset[int]
    """Links that no step of the programme stops, such as slip lanes."""
    yellow_time: int
    """Longest yellow, s."""
    all_red_time: int
    """Longest time from the end of yellow to a conflicting green, s."""
    cycle_seconds: int
    """Cycle of the map's programme, s."""
    max_red: int
    """A stage for which somebody waits gets green again within this time, s."""

    @cached_property
    def intergreen(self) -> np.ndarray:
        """Seconds from the end of one stage's green to the other's, `[P, P]`."""
        return np.array([[sum(step.seconds for step in steps) for steps in row] for row in self.transitions])

    @cached_property
    def served(self) -> np.ndarray:
        """Whether a link has green in a stage, `[P, L]` (bool)."""
        return np.array([[c in SERVED for c in stage.state] for stage in self.stages])

    @cached_property
    def is_protected(self) -> np.ndarray:
        """Whether a link has green with right of way in a stage, `[P, L]` (bool)."""
        return np.array([[c in PROTECTED for c in stage.state] for stage in self.stages])

    def serving(self, link: int) -> frozenset[int]:
        """Stages in which the link has green, with or without right of way."""
        return frozenset(p for p, stage in enumerate(self.stages) if stage.state[link] in GREEN)

    def protecting(self, link: int) -> frozenset[int]:
        """Stages that give the link right of way; where none does, those with any green."""
        return frozenset(np.flatnonzero(self.is_protected[:, link]).tolist()) or self.serving(link)

    def round(self, is_protected: bool = False) -> dict[int, list[frozenset[int]]]:
        """A short round that serves everybody: its stages, each with the groups of links that it stands for.

        Args:
            is_protected: serve with right of way whom any stage gives it; else any green is enough.
        """
        stages_of = self.protecting if is_protected else self.serving
        groups = [stages_of(link) for link in range(self.served.shape[1]) if link not in self.always_green]
        return round_of([group for group in groups if 0 < len(group) < len(self.stages)], len(self.stages))


def round_of(groups: list[frozenset[int]], num_stages: int) -> dict[int, list[frozenset[int]]]:
    """A short round that serves every group of links once: each of its stages, with the groups assigned to it.

    Greedy set cover; of equals the first stage. A group is the set of stages in which its links are green.
    """
    missing = list(dict.fromkeys(groups))
    found: dict[int, list[frozenset[int]]] = {}
    while missing:
        best = max(range(num_stages), key=lambda p: (sum(p in group for group in missing), -p))
        mine = [group for group in missing if best in group]
        if not mine:
            break
        found[best] = mine
        missing = [group for group in missing if best not in group]
    return found
