"""Decision rules on what a simulator counts: max-pressure, longest queue, random.

A rule is asked for the next phase every few seconds, and never before `min_green`. It knows no longest green: its own
counts end a phase.

Shapes: P phases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from genreplay.envs.sumo.network.intersection import Intersection, Link

RULE_SECONDS = 10
"""From one question to the next, s. With 5 s, yellow eats the capacity of heavy traffic: on the two-way intersection
max-pressure then had 51 s of delay instead of 26 at 2000 vehicles/h (validation seeds 11 to 13)."""

Count = Callable[[str], float]
"""Vehicles on the lane of that name."""


class Choice(NamedTuple):
    """What a rule decides."""

    phase: int
    seconds: int
    """How long until it is asked again, s; at least the shortest green where the phase changes."""


class LaneCounts(NamedTuple):
    """What a rule may see."""

    vehicles: Count
    halting: Count


Rule = Callable[[LaneCounts, int], Choice]
"""(counts, the phase shown now) -> what is shown next."""


def pressures(intersection: Intersection, counts: LaneCounts) -> list[float]:
    """The pressure that each phase relieves, `[P]`: over the ways it opens, who is before the light minus who stands
    behind it. Whoever drives off behind it is in nobody's way.

    Varaiya (2013), "Max pressure control of a network of signalized intersections", eq. 7, with equal saturation
    flows. A lane from which several ways lead counts for each in equal parts, since a queue on it belongs to all.
    """
    ways = Counter(link.from_lane for link in intersection.links)
    return [
        sum(
            (counts.vehicles(link.from_lane) - counts.halting(link.to_lane)) / ways[link.from_lane]
            for link in _served(intersection, phase)
        )
        for phase in range(len(intersection.greens))
    ]


def queues(intersection: Intersection, halting: Count) -> list[float]:
    """Vehicles that stand on lanes of which each phase opens a way, `[P]`."""
    return [
        sum(halting(lane) for lane in sorted({link.from_lane for link in _served(intersection, phase)}))
        for phase in range(len(intersection.greens))
    ]


def max_pressure(intersection: Intersection) -> Rule:
    """Show the phase with the largest pressure."""
    return lambda counts, shown: Choice(_largest(pressures(intersection, counts), shown), RULE_SECONDS)


def longest_queue(intersection: Intersection) -> Rule:
    """Show the phase with the longest queue."""
    return lambda counts, shown: Choice(_largest(queues(intersection, counts.halting), shown), RULE_SECONDS)


def random_phase(intersection: Intersection, min_green: int, max_green: int, seed: int) -> Rule:
    """Any phase, for any time a policy may choose."""
    rng = np.random.default_rng(seed)

    def rule(counts: LaneCounts, shown: int) -> Choice:
        return Choice(int(rng.integers(len(intersection.greens))), int(rng.integers(min_green, max_green + 1)))

    return rule


def _served(intersection: Intersection, phase: int) -> list[Link]:
    return [link for link in intersection.links if intersection.greens[phase][link.index] in "Gg"]


def _largest(values: Sequence[float], shown: int) -> int:
    """The largest value's place; the phase shown now where it is as large as any."""
    return shown if values[shown] >= max(values) else int(np.argmax(values))
