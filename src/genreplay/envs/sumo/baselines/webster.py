"""Webster's fixed-time plan from expected flows (Webster, 1958, "Traffic Signal Settings", Road Research Paper 39).

Shapes: P phases, M movements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from genreplay.envs.sumo.network.intersection import Intersection

SATURATION_FLOW = 1800.0
"""Vehicles/h over the stop line of one lane while it is green and has a queue."""
LONGEST_CYCLE = 120.0
"""Beyond it waiting grows faster than capacity, s; Webster's formula has no answer at all from Y = 1 on."""


def cycle_length(flow_ratios: Sequence[float], lost_time: float, longest: float = LONGEST_CYCLE) -> float:
    """The cycle with the least delay, s: C0 = (1.5 L + 5) / (1 - Y) (Webster, 1958, eq. 4).

    Args:
        flow_ratios: of the critical lane of each phase, flow over saturation flow, `[P]`; Y is their sum.
        lost_time: L, seconds of a cycle in which nobody goes.
        longest: what the answer is limited to.
    """
    total = sum(flow_ratios)
    return longest if total >= 1.0 else min(longest, (1.5 * lost_time + 5.0) / (1.0 - total))


def effective_greens(flow_ratios: Sequence[float], lost_time: float, cycle: float) -> list[float]:
    """Seconds of green `[P]`, in proportion to the flow ratios: g = (C - L) y / Y. Equal where there is no flow."""
    total = sum(flow_ratios)
    parts = [y / total for y in flow_ratios] if total > 0 else [1.0 / len(flow_ratios)] * len(flow_ratios)
    return [(cycle - lost_time) * part for part in parts]


def flow_ratios(intersection: Intersection, flows: np.ndarray) -> list[float]:
    """Flow over saturation flow of the busiest lane of each phase, `[P]`, from vehicles/h by movement `[M]`.

    A movement uses its lanes alike. Where several phases serve a lane's way, they share its flow; a phase in which it
    has to give way (`g`) counts only where no phase gives it right of way (`G`).
    """
    lanes_of = defaultdict(list)
    for link in intersection.links:
        lanes_of[link.movement].append(link)
    of_phase: list[dict[str, float]] = [defaultdict(float) for _ in intersection.greens]
    for movement, links in lanes_of.items():
        for link in links:
            states = [green[link.index] for green in intersection.greens]
            best = [p for p, state in enumerate(states) if state == "G"]
            serving = best or [p for p, state in enumerate(states) if state == "g"]
            for phase in serving:
                of_phase[phase][link.from_lane] += flows[movement] / len(links) / len(serving)
    return [max(lanes.values(), default=0.0) / SATURATION_FLOW for lanes in of_phase]


def webster_greens(intersection: Intersection, flows: np.ndarray, intergreen: int, min_green: int) -> list[int]:
    """Whole seconds of green `[P]` for these flows.

    The time lost in a phase is taken as its intergreen: about what starting costs is won back by those who still pass
    on yellow.

    Args:
        intersection: phases and lanes.
        flows: vehicles/h by movement, `[M]`.
        intergreen: yellow and all-red between two greens, s.
        min_green: the least, s.
    """
    ratios = flow_ratios(intersection, flows)
    lost_time = float(intergreen * len(ratios))
    cycle = cycle_length(ratios, lost_time)
    return [max(min_green, round(green)) for green in effective_greens(ratios, lost_time, cycle)]


def capacities(intersection: Intersection) -> np.ndarray:
    """What the map's own plan can let through by movement, vehicles/h, `[M]`: saturation flow times share of green.

    A bound: a lane that several movements share counts for each of them, and giving way (`g`) counts as green.
    """
    found = np.zeros(len(intersection.movements))
    for movement in range(len(found)):
        seconds: dict[str, float] = {}
        for link in intersection.links:
            if link.movement == movement:
                plan = zip(intersection.greens, intersection.green_seconds, strict=True)
                seconds[link.from_lane] = sum(green for state, green in plan if state[link.index] in "Gg")
        found[movement] = SATURATION_FLOW * sum(seconds.values()) / intersection.cycle_seconds
    return found
