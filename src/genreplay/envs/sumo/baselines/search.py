"""The best constant plan for a demand, by search in the simulator.

Shapes: P phases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

CYCLES = (40, 60, 85, 120)
"""Cycles that the search begins with, s."""
STEPS = (8, 3)
"""By how much greens are changed, coarse to fine, s."""
MAX_PLANS = 48
"""Plans that are tried at most."""
LONGEST_GREEN = 120
"""s; a plan is not bound by a policy's longest green."""

Plan = tuple[int, ...]
"""Seconds of green, `[P]`."""
Judge = Callable[[list[Plan]], list[float]]
"""The mean delay of each plan."""


@dataclass(frozen=True)
class Found:
    """The end of a search."""

    plan: Plan
    delay: float
    """On the validation episodes, s."""
    num_plans: int
    """How many were tried."""


def search_plan(map_greens: Sequence[int], intergreen: int, min_green: int, judge: Judge) -> Found:
    """The plan with the least delay that a pattern search finds (Hooke and Jeeves, 1961).

    It begins with the map's plan, the map's splits and equal splits at `CYCLES`, and changes one green, or all alike,
    by `STEPS` seconds while that helps. Every plan is judged once.

    Args:
        map_greens: the map's own plan, s, `[P]`.
        intergreen: yellow and all-red between two greens, s.
        min_green: the least, s.
        judge: tells the delays of plans; may judge them side by side.
    """
    delays: dict[Plan, float] = {}

    def best_of(plans: Sequence[Plan]) -> Plan:
        new = [plan for plan in dict.fromkeys(plans) if plan not in delays][: MAX_PLANS - len(delays)]
        delays.update(zip(new, judge(new) if new else [], strict=True))
        return min(delays, key=lambda plan: delays[plan])

    best = best_of(_starts(map_greens, intergreen, min_green))
    for step in STEPS:
        improved = True
        while improved and len(delays) < MAX_PLANS:
            before = best
            best = best_of(_neighbours(best, step, min_green))
            improved = best != before
    return Found(best, delays[best], len(delays))


def _starts(map_greens: Sequence[int], intergreen: int, min_green: int) -> list[Plan]:
    num_phases = len(map_greens)
    plans = [_bounded(map_greens, min_green)]
    for cycle in CYCLES:
        green = max(num_phases * min_green, cycle - num_phases * intergreen)
        for shares in (map_greens, [1] * num_phases):
            plans.append(_bounded([green * share / sum(shares) for share in shares], min_green))
    return plans


def _neighbours(plan: Plan, step: int, min_green: int) -> list[Plan]:
    changes = [[step * sign * (i in which) for i in range(len(plan))] for sign in (1, -1) for which in _groups(plan)]
    return [_bounded([g + d for g, d in zip(plan, change, strict=True)], min_green) for change in changes]


def _groups(plan: Plan) -> list[range]:
    """Each phase alone, and all together."""
    return [range(i, i + 1) for i in range(len(plan))] + [range(len(plan))]


def _bounded(greens: Sequence[float], min_green: int) -> Plan:
    return tuple(min(LONGEST_GREEN, max(min_green, round(green))) for green in greens)
