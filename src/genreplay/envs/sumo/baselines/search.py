"""The best constant plan for a demand, by search in the simulator.

A pattern search whose plans race each other (successive halving, Jamieson and Talwalkar, 2016): all new plans play one
validation episode, the better half plays the next one, and the last two play the rest. Whoever falls behind the best
plan so far leaves at once, in the middle of an episode where the simulator can tell (adaptive capping; Hutter et al.,
2009, "ParamILS"). A plan becomes the best only by the mean over all validation episodes.

Shapes: P phases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

CYCLES = (40, 60, 85, 120)
"""Cycles that the search begins with, s."""
STEPS = (8, 3)
"""By how much greens are changed, coarse to fine, s."""
MAX_PLANS = 48
"""Plans that are tried at most."""
LONGEST_GREEN = 120
"""s; a plan is not bound by a policy's longest green."""
MARGINS = (0.15, 0.05, 0.03, 0.02)
"""By how much a plan may be worse than the best one after 1, 2, ... episodes, as a part of the best one's delay on
these, and still play the next; nothing after the last. On one episode, plans that are as good as each other differ by
5 to 10 % (2way, random traffic)."""
NUM_FINALISTS = 2
"""Plans of a race that play more than two episodes."""

Plan = tuple[int, ...]
"""Seconds of green, `[P]`."""


class Heat(NamedTuple):
    """One episode for one plan."""

    plan: Plan
    episode: int
    """Number of the validation episode."""
    limit: float
    """Whether its delay is above this is all that counts: the episode may be given up once that is sure, s."""


Judge = Callable[[list[Heat]], list[float]]
"""The delay of each; where it was given up, some value above its limit."""


@dataclass(frozen=True)
class Found:
    """The end of a search."""

    plan: Plan
    delay: float
    """Mean over the validation episodes, s."""
    num_plans: int
    """How many were tried."""


def search_plan(
    map_greens: Sequence[int],
    intergreen: int,
    min_green: int,
    judge: Judge,
    num_episodes: int,
    known: Sequence[Plan] = (),
) -> Found:
    """The plan with the least delay that a pattern search finds (Hooke and Jeeves, 1961).

    It begins with the map's plan, and with what is known to be good elsewhere or else with the map's splits and equal
    splits at `CYCLES`. Then it changes one green, or all alike, by `STEPS` seconds while that helps, and goes on in a
    direction that helped.

    Args:
        map_greens: the map's own plan, s, `[P]`.
        intergreen: yellow and all-red between two greens, s.
        min_green: the least, s.
        judge: plays episodes; may play them side by side.
        num_episodes: how many validation episodes there are.
        known: the best plans of similar demands.
    """
    starts = _starts(map_greens, intergreen, min_green)
    if known:
        starts = [*known, starts[0]]
    race = Race(starts[0], judge, num_episodes)
    race.run(starts[1:])
    for step in STEPS:
        improved = True
        while improved and race.num_plans < MAX_PLANS:
            before = last = race.best
            race.run(_neighbours(before, step, min_green))
            improved = race.best != before
            while race.best != last:  # on in the direction that helped
                ahead = [2 * now - then for now, then in zip(race.best, last, strict=True)]
                last = race.best
                race.run([_bounded(ahead, min_green)])
    return Found(race.best, race.delay, race.num_plans)


class Race:
    """The best plan so far, and rivals that try to beat it.

    Args:
        first: plan, which plays every episode.
        judge: plays episodes.
        num_episodes: how many there are.
    """

    def __init__(self, first: Plan, judge: Judge, num_episodes: int):
        self.best = first
        self._judge, self._num_episodes = judge, num_episodes
        self._delays = {first: judge([Heat(first, i, float("inf")) for i in range(num_episodes)])}

    @property
    def num_plans(self) -> int:
        """How many plans have played."""
        return len(self._delays)

    @property
    def delay(self) -> float:
        """Mean delay of the best plan over all episodes, s."""
        return sum(self._delays[self.best]) / self._num_episodes

    def run(self, plans: Sequence[Plan]) -> None:
        """Let those of `plans` race that have not yet played, `MAX_PLANS` in all; the best one is the best so far."""
        rivals = [plan for plan in dict.fromkeys(plans) if plan not in self._delays][: MAX_PLANS - self.num_plans]
        self._delays |= {plan: [] for plan in rivals}
        for episode in range(self._num_episodes):
            rivals = self._play(rivals, episode)[
                : NUM_FINALISTS if episode else max(NUM_FINALISTS, ceil(len(rivals) / 2))
            ]
        if rivals:
            self.best = rivals[0]

    def _play(self, rivals: list[Plan], episode: int) -> list[Plan]:
        """Those who are not too far behind after this episode, the best first."""
        margin = 0.0 if episode + 1 == self._num_episodes else MARGINS[min(episode, len(MARGINS) - 1)]
        most = (1 + margin) * sum(self._delays[self.best][: episode + 1])
        heats = [Heat(plan, episode, most - sum(self._delays[plan])) for plan in rivals]
        for heat, delay in zip(heats, self._judge(heats) if heats else [], strict=True):
            self._delays[heat.plan].append(delay)
        totals = {plan: sum(self._delays[plan]) for plan in rivals}
        return sorted((plan for plan in rivals if totals[plan] < most), key=lambda plan: totals[plan])


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
