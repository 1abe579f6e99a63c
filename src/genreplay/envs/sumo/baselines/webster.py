"""Webster's fixed-time plan from expected flows (Webster, 1958, "Traffic Signal Settings", Road Research Paper 39).

The cycle is Webster's, changed where that lessens the delay.
The greens make the fullest lane as empty as they can, then the next one, and so on: where each
critical lane belongs to one stage, that is Webster's division in proportion to the critical flow ratios. The capacity
of lanes that give way depends on the greens themselves, so both are computed in turn.

Shapes: P stages, M movements, K lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from genreplay.envs.sumo.capacity.cycle import Load, load
from genreplay.envs.sumo.capacity.formulas import HOUR, SUMO, cycle_length
from genreplay.envs.sumo.capacity.ways import Ways, states_of
from genreplay.envs.sumo.signals.plan import SERVED, SignalPlan

LONGEST_CYCLE = 120
"""Above it waiting grows faster than capacity, s."""
STEP = 10
"""Webster's formula holds where capacities are constant. Those of lanes that give way depend on the cycle, so cycles so
much shorter, or else longer, are taken while that is worth it, s."""
WORTH = 0.98
"""A change of the cycle is worth it if the mean delay becomes this part of what it was, or less."""
ROUNDS = 8
"""Greens are computed this often, each time with the capacities that they gave before."""


class Traffic(NamedTuple):
    """What a plan is made for."""

    flows: np.ndarray
    """Vehicles/h by movement, `[M]`."""
    seconds: float = 900.0
    """How long these flows last."""
    pedestrians: float = 0.0
    """On each crossing, an hour."""


class FixedPlan(NamedTuple):
    """A plan of constant greens, and what it carries."""

    greens: tuple[int, ...]
    """s, `[P]`."""
    cycle: int
    """C, s."""
    lost_time: int
    """L: of a cycle, s, in which nobody drives: the intergreens, and what starting costs more than yellow gives."""
    load: Load
    saturation: float
    """Volume-to-capacity ratio of the fullest lane."""

    @property
    def limit(self) -> float:
        """The largest sum of critical flow ratios that the cycle can carry: (C - L) / C."""
        return (self.cycle - self.lost_time) / self.cycle

    @property
    def flow_ratio(self) -> float:
        """Y: the sum of the critical flow ratios. If several stages serve a lane, what their sum would be with the same
        saturation.
        """
        return self.saturation * self.limit


def stages_of_cycle(plan: SignalPlan) -> list[int]:
    """The stages that a fixed plan shows: all of them; of a NEMA programme, whose stages are alternatives, a round that
    serves every link.
    """
    if plan.kind != "NEMA":
        return list(range(len(plan.stages)))
    return sorted(plan.round(is_protected=True))


def map_greens(plan: SignalPlan) -> list[int]:
    """Greens of the map's programme in such a plan, s, `[P]`; where vehicles end them, as long as it names them."""
    shown = stages_of_cycle(plan)
    return [stage.green_seconds if p in shown else 0 for p, stage in enumerate(plan.stages)]


def change_seconds(plan: SignalPlan) -> int:
    """Seconds of a cycle between the greens."""
    shown = stages_of_cycle(plan)
    return sum(int(plan.intergreen[shown[place - 1], shown[place]]) for place in range(len(shown)))


def lost_time(plan: SignalPlan) -> int:
    """L of a cycle, s."""
    return change_seconds(plan) + len(stages_of_cycle(plan)) * SUMO.lost


def webster(ways: Ways, plan: SignalPlan, traffic: Traffic, longest_red: float = float("inf")) -> FixedPlan:
    """The fixed plan for these flows, within each stage's shortest and longest green.

    Args:
        ways: of cars over the junction.
        plan: its stages and transitions.
        traffic: expected flows.
        longest_red: no link is red for longer than this, s, unless the shortest greens need it.
    """
    shown = [plan.stages[p] for p in stages_of_cycle(plan)]
    shortest = change_seconds(plan) + sum(stage.min_green for stage in shown)
    longest = max(shortest, min(LONGEST_CYCLE, change_seconds(plan) + sum(stage.max_green for stage in shown)))
    free = split(ways, plan, traffic, longest, is_bounded=False)
    wanted = min(longest, max(shortest, round(cycle_length(free.flow_ratio, lost_time(plan), longest))))
    found = split(ways, plan, traffic, wanted)
    for step in (-STEP, STEP):
        while shortest <= found.cycle + step <= longest:
            other = split(ways, plan, traffic, found.cycle + step)
            if other.load.mean_delay > WORTH * found.load.mean_delay:
                break
            found = other
    while _longest_red(plan, found.greens) > longest_red and found.cycle > shortest:
        found = split(ways, plan, traffic, max(shortest, found.cycle - STEP))
    return found


def split(ways: Ways, plan: SignalPlan, traffic: Traffic, cycle: int, is_bounded: bool = True) -> FixedPlan:
    """The division of a cycle (s) among the stages that keeps its lanes emptiest, the fullest first.

    With `is_bounded`, greens stay within the bounds of their stages.
    """
    shown = stages_of_cycle(plan)
    bounds = [(stage.min_green, stage.max_green) if is_bounded else (1, cycle) for stage in plan.stages]
    least, most = ([b[i] if p in shown else 0 for p, b in enumerate(bounds)] for i in (0, 1))
    total = cycle - change_seconds(plan)
    greens = _fill(sum, least, most, total)
    best = found = evaluate(ways, plan, greens, traffic)
    tried = {tuple(greens)}
    for _ in range(ROUNDS):
        greens = _fill(_saturations(ways, plan, found), least, most, total)
        if tuple(greens) in tried:
            greens = [round((a + b) / 2) for a, b in zip(greens, best.greens, strict=True)]
        if tuple(greens) in tried:
            break
        tried.add(tuple(greens))
        found = evaluate(ways, plan, greens, traffic)
        best = found if found.saturation < best.saturation else best
    return best


def evaluate(ways: Ways, plan: SignalPlan, greens: Sequence[int], traffic: Traffic) -> FixedPlan:
    """What constant greens `[P]` carry.

    Args:
        ways: of cars over the junction.
        plan: its stages and transitions.
        greens: s; a stage with 0 is left out.
        traffic: expected flows.
    """
    states = states_of(plan, greens)
    flows, seconds, pedestrians = traffic
    found = load(ways, states, flows, seconds=seconds, pedestrians=pedestrians)
    is_used = ways.is_in @ (flows[ways.movements] > 0.0).astype(float) > 0.0
    saturation = float(found.lane_saturation[is_used].max(initial=0.0))
    return FixedPlan(tuple(greens), len(states), lost_time(plan), found, saturation)


def _saturations(ways: Ways, plan: SignalPlan, found: FixedPlan) -> Callable[[Sequence[int]], list[float]]:
    """The volume-to-capacity ratios of the lanes, the largest first, as a function of greens `[P]` near `found`."""
    gains = _gains(plan, found)
    passing = found.load.capacity * found.cycle / HOUR - gains @ np.array(found.greens)
    arriving = ways.is_in @ found.load.flows * found.cycle / HOUR
    return lambda greens: np.sort(arriving / np.maximum(passing + gains @ np.array(greens), 1e-3))[::-1].tolist()


def _gains(plan: SignalPlan, found: FixedPlan) -> np.ndarray:
    """Vehicles by lane that another second of each stage lets pass, `[K, P]`."""
    gains, second = np.zeros((len(found.load.capacity), len(found.greens))), 0
    shown = [p for p, green in enumerate(found.greens) if green > 0]
    for place, p in enumerate(shown):
        second += found.greens[p]
        gains[:, p] = found.load.marginal[second - 1] / HOUR
        second += int(plan.intergreen[p, shown[(place + 1) % len(shown)]])
    return gains


def _fill(key: Callable[[Sequence[int]], Any], least: Sequence[int], most: Sequence[int], total: int) -> list[int]:
    """Seconds of green, `[P]`: each in turn goes where the key of the result is smallest, to the shortest if alike."""
    greens = list(least)
    while sum(greens) < total:
        choices = [p for p in range(len(greens)) if greens[p] < most[p]]
        if not choices:
            break
        greens[min(choices, key=lambda p: (key([g + (i == p) for i, g in enumerate(greens)]), greens[p]))] += 1
    return greens


def _longest_red(plan: SignalPlan, greens: Sequence[int]) -> int:
    """Longest red of a link that some stage serves, s."""
    states = states_of(plan, greens) * 2
    longest = 0
    for link in range(len(states[0])):
        column = "".join("g" if state[link] in SERVED else "r" for state in states)
        if "g" in column:
            longest = max(longest, max(len(part) for part in column.split("g")))
    return longest
