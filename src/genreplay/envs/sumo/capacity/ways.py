"""Lanes of a junction and who gives way to whom, as arrays, and the states of its links over a cycle.

Shapes: W ways of cars, K lanes, L links of the light, T seconds of a cycle, M movements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genreplay.envs.sumo.capacity.formulas import Drivers
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.signals.plan import SERVED, SignalPlan

RIGHT_OF_WAY = "GO"
"""States in which a link gives way to nobody; in all others of `SERVED` it does. Source: SUMO's documentation,
"Simulation / Traffic Lights", signal state definitions."""


@dataclass(frozen=True)
class Ways:
    """The ways of cars over a junction, lane by lane. Lanes that only buses, trams or cyclists may use are left out."""

    links: np.ndarray
    """Position in the signal states, `[W]`."""
    lanes: np.ndarray
    """Number of the lane, `[W]`."""
    movements: np.ndarray
    """Number of the movement, `[W]`."""
    gives_way: np.ndarray
    """Whether a way (row) gives way to another way, `[W, W]` (bool)."""
    gives_way_to_walk: np.ndarray
    """Whether it gives way to a crossing, `[W, L]` (bool)."""
    num_movements: int
    """M."""
    names: tuple[str, ...]
    """Of the lanes, `[K]`."""

    @cached_property
    def is_in(self) -> np.ndarray:
        """Whether a way begins in a lane, `[K, W]`."""
        return self.lanes == np.arange(len(self.names))[:, None]


def read_ways(intersection: Intersection) -> Ways:
    """The ways of an intersection."""
    links = [link for link in intersection.links if link.has_cars]
    names = tuple(dict.fromkeys(link.from_lane for link in links))
    crossings = {
        number
        for section, numbers in zip(intersection.sections, intersection.section_links, strict=True)
        if section.crossing is not None
        for number in numbers
    }
    num_links = len(intersection.plan.stages[0].state)
    return Ways(
        np.array([link.index for link in links]),
        np.array([names.index(link.from_lane) for link in links]),
        np.array([link.movement for link in links]),
        np.array([[other.index in link.gives_way for other in links] for link in links]),
        np.array([[i in crossings and i in link.gives_way for i in range(num_links)] for link in links]),
        len(intersection.movements),
        names,
    )


def states_of(plan: SignalPlan, greens: Sequence[int]) -> list[str]:
    """The state of the light in every second of a cycle, `[T]`: the stages in order, with the plan's transitions.

    Args:
        plan: of the light.
        greens: s, `[P]`; a stage with 0 is left out.
    """
    shown = [p for p, green in enumerate(greens) if green > 0]
    found: list[str] = []
    for place, p in enumerate(shown):
        following = shown[(place + 1) % len(shown)]
        found += [plan.stages[p].state] * greens[p]
        found += [step.state for step in plan.transitions[p][following] for _ in range(step.seconds)]
    return found


def open_seconds(states: Sequence[str], links: np.ndarray, drivers: Drivers) -> tuple[np.ndarray, np.ndarray]:
    """When vehicles pass, `[T, W]` (bool), and whether they have right of way then, `[T, W]` (bool).

    A green, whatever it turns into in between, begins `startup_lost` later for vehicles and lasts `yellow_used` longer.
    """
    characters = np.array([list(state) for state in states])[:, links]
    served, major = np.isin(characters, sorted(SERVED)), np.isin(characters, list(RIGHT_OF_WAY))
    opened, has_way = served.copy(), served & major
    for shift in range(1, drivers.startup_lost + 1):
        opened &= np.roll(served, shift, axis=0)
    for shift in range(1, drivers.yellow_used + 1):
        late = np.roll(served, shift, axis=0) & ~served
        opened |= late
        has_way |= late & np.roll(major, shift, axis=0)
    return opened, has_way & opened
