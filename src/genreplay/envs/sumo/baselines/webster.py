"""Webster's fixed-time plan from expected flows (Webster, 1958, "Traffic Signal Settings", Road Research Paper 39).

Shapes: P phases, M movements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from genreplay.envs.sumo.actions import Timing
from genreplay.envs.sumo.network.intersection import Intersection

SATURATION_FLOW = 1800.0
"""Vehicles/h over the stop line of one lane while it is green and has a queue."""
LONGEST_CYCLE = 120.0
"""Above it waiting grows faster than capacity, s; from Y = 1 on Webster's formula has no solution."""


def cycle_length(flow_ratios: Sequence[float], lost_time: float, longest: float = LONGEST_CYCLE) -> float:
    """The cycle with the least delay, s: C0 = (1.5 L + 5) / (1 - Y) (Webster, 1958, eq. 4).

    Args:
        flow_ratios: of the critical lane of each phase, flow over saturation flow, `[P]`; Y is their sum.
        lost_time: L, seconds of a cycle in which nobody drives.
        longest: upper limit of the result, s.
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

    A movement uses its lanes equally. If several phases serve a link, they share its flow; a phase in which it has to
    give way (`g`) counts only if no phase gives it right of way (`G`).
    """
    lanes_of = defaultdict(list)
    for link in intersection.links:
        lanes_of[link.movement].append(link)
    of_phase: list[dict[str, float]] = [defaultdict(float) for _ in intersection.plan.stages]
    for movement, links in lanes_of.items():
        for link in links:
            states = [stage.state[link.index] for stage in intersection.plan.stages]
            best = [p for p, state in enumerate(states) if state == "G"]
            serving = best or [p for p, state in enumerate(states) if state == "g"]
            for phase in serving:
                of_phase[phase][link.from_lane] += flows[movement] / len(links) / len(serving)
    return [max(lanes.values(), default=0.0) / SATURATION_FLOW for lanes in of_phase]


def webster_greens(intersection: Intersection, flows: np.ndarray, timing: Timing) -> list[int]:
    """Whole seconds of green `[P]` for these flows.

    The time lost in a phase is taken to be its intergreen: vehicles that still pass on yellow make up for about the
    time lost in starting.

    Args:
        intersection: phases and lanes.
        flows: vehicles/h by movement, `[M]`.
        timing: intergreen and shortest green.
    """
    ratios = flow_ratios(intersection, flows)
    lost_time = timing.change_seconds
    cycle = cycle_length(ratios, lost_time)
    greens = effective_greens(ratios, lost_time, cycle)
    return [max(stage.min_green, round(green)) for stage, green in zip(timing.plan.stages, greens, strict=True)]


def capacities(intersection: Intersection) -> np.ndarray:
    """Capacity of each movement under the map's own plan, vehicles/h, `[M]`: saturation flow times share of green.

    An upper bound: a lane that several movements share counts for each of them, and giving way (`g`) counts as green.
    """
    found = np.zeros(len(intersection.movements))
    for movement in range(len(found)):
        seconds: dict[str, float] = {}
        for link in intersection.links:
            if link.movement == movement:
                stages = [stage for stage in intersection.plan.stages if stage.state[link.index] in "Gg"]
                seconds[link.from_lane] = sum(stage.green_seconds for stage in stages)
        found[movement] = SATURATION_FLOW * sum(seconds.values()) / intersection.plan.cycle_seconds
    return found
