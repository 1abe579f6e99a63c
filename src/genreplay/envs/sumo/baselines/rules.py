"""Decision rules: max-pressure, longest queue, random. `cabinet` has more.

A rule orders the stages every few seconds. The bounds of a policy hold for it too: each stage's shortest and longest
green, and `max_red` (see `actions.admit`). The first stage that they allow is shown.

Shapes: P stages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from genreplay.envs.sumo.network.intersection import Intersection, Link
from genreplay.envs.sumo.signals.plan import SignalPlan
from genreplay.envs.sumo.signals.timing import Timing

RULE_SECONDS = 10
"""Time between two choices, s. With 5 s, yellow takes too much capacity in heavy traffic: on the two-way intersection
max-pressure then had 51 s of delay instead of 26 at 2000 vehicles/h (validation seeds 11 to 13)."""


class Choice(NamedTuple):
    """A rule's choice."""

    order: tuple[int, ...]
    """All stages, the most wanted first, `[P]`."""
    seconds: int
    """Time until the next choice, s; at least the shortest green if the stage changes."""


class Sight(Protocol):
    """What a rule may read. Each rule reads a part of it (see `table`)."""

    def vehicles(self, lane: str) -> float:
        """Vehicles on a lane."""

    def halting(self, lane: str) -> float:
        """Vehicles that stand on a lane."""

    def coming(self) -> frozenset[int]:
        """Links that the vehicles just before the stop line take next (see `cabinet.ZONE`)."""

    def walkers(self) -> frozenset[int]:
        """Links of the crossings that somebody waits for."""

    def quiet(self, loop: str) -> float:
        """Time since a vehicle was on an induction loop, s; 0 while one is."""

    def waited(self) -> Sequence[float]:
        """How long somebody may have waited for each stage, s, `[P]` (see `Signal.waited`)."""

    def clock(self) -> float:
        """Simulated time, s."""


Rule = Callable[[Sight, int], Choice]
"""(what it sees, stage shown) -> choice."""


def in_order(plan: SignalPlan, shown: int) -> list[int]:
    """All stages in the plan's order, beginning with the one shown, `[P]`."""
    return [(shown + i) % len(plan.stages) for i in range(len(plan.stages))]


def pressures(intersection: Intersection, sight: Sight) -> list[float]:
    """The pressure that each stage relieves, `[P]`: over its links, vehicles before the light minus vehicles standing
    behind it. Vehicles that drive away behind it block nobody.

    Varaiya (2013), "Max pressure control of a network of signalized intersections", eq. 7, with equal saturation
    flows. The vehicles of a lane with several links are divided equally among them.
    """
    ways = Counter(link.from_lane for link in intersection.links)
    return [
        sum(
            (sight.vehicles(link.from_lane) - sight.halting(link.to_lane)) / ways[link.from_lane]
            for link in _served(intersection, phase)
        )
        for phase in range(len(intersection.plan.stages))
    ]


def queues(intersection: Intersection, sight: Sight) -> list[float]:
    """Standing vehicles on the lanes that each stage serves, `[P]`."""
    return [
        sum(sight.halting(lane) for lane in sorted({link.from_lane for link in _served(intersection, phase)}))
        for phase in range(len(intersection.plan.stages))
    ]


def max_pressure(intersection: Intersection) -> Rule:
    """Show the stage with the largest pressure."""
    return lambda sight, shown: Choice(_largest_first(pressures(intersection, sight), shown), RULE_SECONDS)


def longest_queue(intersection: Intersection) -> Rule:
    """Show the stage with the longest queue."""
    return lambda sight, shown: Choice(_largest_first(queues(intersection, sight), shown), RULE_SECONDS)


def random_phase(timing: Timing, seed: int) -> Rule:
    """A random stage for a random green, within the bounds of a policy's."""
    rng = np.random.default_rng(seed)

    def rule(sight: Sight, shown: int) -> Choice:
        stage = int(rng.integers(timing.num_stages))
        green = int(rng.integers(int(timing.min_greens.min()), int(timing.longest_green) + 1))
        return Choice(tuple(in_order(timing.plan, stage)), green)

    return rule


def _served(intersection: Intersection, phase: int) -> list[Link]:
    return [link for link in intersection.links if intersection.plan.served[phase, link.index]]


def _largest_first(values: Sequence[float], shown: int) -> tuple[int, ...]:
    """Stages by value; of equals the current one, then the lowest number, `[P]`."""
    return tuple(sorted(range(len(values)), key=lambda stage: (-values[stage], stage != shown, stage)))
