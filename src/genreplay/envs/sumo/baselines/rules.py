"""Decision rules on lane counts: max-pressure, longest queue, random.

A rule chooses the next stage every few seconds. The bounds of a policy hold for it too: each stage's shortest and
longest green, and `max_red` (see `actions.admit`).

Shapes: P stages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from genreplay.envs.sumo.actions import Timing
from genreplay.envs.sumo.network.intersection import Intersection, Link

RULE_SECONDS = 10
"""Time between two choices, s. With 5 s, yellow takes too much capacity in heavy traffic: on the two-way intersection
max-pressure then had 51 s of delay instead of 26 at 2000 vehicles/h (validation seeds 11 to 13)."""

Count = Callable[[str], float]
"""Vehicles on the lane of that name."""


class Choice(NamedTuple):
    """A rule's choice."""

    phase: int
    seconds: int
    """Time until the next choice, s; at least the shortest green if the phase changes."""


class LaneCounts(NamedTuple):
    """Counts that a rule may read."""

    vehicles: Count
    halting: Count


Rule = Callable[[LaneCounts, int], Choice]
"""(counts, current phase) -> choice."""


def pressures(intersection: Intersection, counts: LaneCounts) -> list[float]:
    """The pressure that each phase relieves, `[P]`: over its links, vehicles before the light minus vehicles standing
    behind it. Vehicles that drive away behind it block nobody.

    Varaiya (2013), "Max pressure control of a network of signalized intersections", eq. 7, with equal saturation
    flows. The vehicles of a lane with several links are divided equally among them.
    """
    ways = Counter(link.from_lane for link in intersection.links)
    return [
        sum(
            (counts.vehicles(link.from_lane) - counts.halting(link.to_lane)) / ways[link.from_lane]
            for link in _served(intersection, phase)
        )
        for phase in range(len(intersection.plan.stages))
    ]


def queues(intersection: Intersection, halting: Count) -> list[float]:
    """Standing vehicles on the lanes that each phase serves, `[P]`."""
    return [
        sum(halting(lane) for lane in sorted({link.from_lane for link in _served(intersection, phase)}))
        for phase in range(len(intersection.plan.stages))
    ]


def max_pressure(intersection: Intersection) -> Rule:
    """Show the phase with the largest pressure."""
    return lambda counts, shown: Choice(_largest(pressures(intersection, counts), shown), RULE_SECONDS)


def longest_queue(intersection: Intersection) -> Rule:
    """Show the phase with the longest queue."""
    return lambda counts, shown: Choice(_largest(queues(intersection, counts.halting), shown), RULE_SECONDS)


def random_phase(timing: Timing, seed: int) -> Rule:
    """A random phase for a random green, within the bounds of a policy's."""
    rng = np.random.default_rng(seed)

    def rule(counts: LaneCounts, shown: int) -> Choice:
        return Choice(
            int(rng.integers(timing.num_stages)),
            int(rng.integers(int(timing.min_greens.min()), int(timing.longest_green) + 1)),
        )

    return rule


def _served(intersection: Intersection, phase: int) -> list[Link]:
    return [link for link in intersection.links if intersection.plan.served[phase, link.index]]


def _largest(values: Sequence[float], shown: int) -> int:
    """Index of the largest value; the current phase if it is as large as any."""
    return shown if values[shown] >= max(values) else int(np.argmax(values))
