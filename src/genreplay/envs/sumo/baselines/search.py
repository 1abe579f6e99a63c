"""Search for the best constant plan for a demand, by simulation.

A pattern search with racing (successive halving, Jamieson and Talwalkar, 2016): all new plans play one validation
episode, the better half plays the next one, and the last two play the rest. A plan that falls behind the best plan so
far is dropped at once, in the middle of an episode if the simulator supports that (adaptive capping; Hutter et al.,
2009, "ParamILS"). A plan becomes the best only by its mean over all validation episodes.

Shapes: P stages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

CYCLES = (40, 60, 85, 120)
"""Cycles of the initial plans, s."""
STEPS = (8, 3)
"""Changes of the greens, coarse to fine, s."""
MAX_PLANS = 48
"""Plans tried at most."""
LONGEST_GREEN = 120
"""s; the longest green of a policy does not limit a plan."""
MARGINS = (0.15, 0.05, 0.03, 0.02)
"""A plan plays on if its delay after 1, 2, ... episodes exceeds the best plan's on these by at most this fraction; the
margin after the last episode is 0. On one episode, equally good plans differ by 5 to 10 % (2way, random traffic)."""
NUM_FINALISTS = 2
"""Plans of a race that play more than two episodes."""

Plan = tuple[int, ...]
"""Seconds of green, `[P]`."""


class PlanEpisode(NamedTuple):
    """One validation episode under one plan."""

    plan: Plan
    episode: int
    """Number of the validation episode."""
    limit: float
    """The episode may be stopped once its delay is certain to exceed this, s."""


Play = Callable[[list[PlanEpisode]], list[float]]
"""The delay of each episode, s; of a stopped one some value above its limit."""


@dataclass(frozen=True)
class BestPlan:
    """Result of a search."""

    plan: Plan
    delay: float
    """Mean over the validation episodes, s."""
    num_plans: int
    """Number of plans tried."""


def search_plan(
    map_greens: Sequence[int],
    change_seconds: float,
    min_greens: Sequence[int],
    play: Play,
    num_episodes: int,
    known: Sequence[Plan] = (),
) -> BestPlan:
    """The plan with the least delay that a pattern search finds (Hooke and Jeeves, 1961).

    It begins with the map's plan and the plans in `known`, or else the map's splits and equal splits at `CYCLES`. Then
    it changes one green, or all greens, by `STEPS` seconds while that improves the delay, and continues in a direction
    that did.

    Args:
        map_greens: the map's own plan, s, `[P]`.
        change_seconds: of a cycle, between the greens, s.
        min_greens: shortest greens, s, `[P]`.
        play: plays episodes, possibly at the same time.
        num_episodes: number of validation episodes.
        known: the best plans of similar demands.
    """
    starts = _starts(map_greens, change_seconds, min_greens)
    if known:
        starts = [*known, starts[0]]
    race = Race(starts[0], play, num_episodes)
    race.run(starts[1:])
    for step in STEPS:
        improved = True
        while improved and race.num_plans < MAX_PLANS:
            before = last = race.best
            race.run(_neighbours(before, step, min_greens))
            improved = race.best != before
            while race.best != last:  # continue in the direction that helped
                ahead = [2 * now - then for now, then in zip(race.best, last, strict=True)]
                last = race.best
                race.run([_bounded(ahead, min_greens)])
    return BestPlan(race.best, race.delay, race.num_plans)


class Race:
    """The best plan so far, and challengers that may replace it.

    Args:
        first: initial plan, which plays every episode.
        play: plays episodes.
        num_episodes: number of validation episodes.
    """

    def __init__(self, first: Plan, play: Play, num_episodes: int):
        self.best = first
        self._play, self._num_episodes = play, num_episodes
        self._delays = {first: play([PlanEpisode(first, i, float("inf")) for i in range(num_episodes)])}

    @property
    def num_plans(self) -> int:
        """Number of plans that have played."""
        return len(self._delays)

    @property
    def delay(self) -> float:
        """Mean delay of the best plan over all episodes, s."""
        return sum(self._delays[self.best]) / self._num_episodes

    def run(self, plans: Sequence[Plan]) -> None:
        """Race those of `plans` that have not yet played, `MAX_PLANS` in all; a winner becomes the best plan."""
        challengers = [plan for plan in dict.fromkeys(plans) if plan not in self._delays][: MAX_PLANS - self.num_plans]
        self._delays |= {plan: [] for plan in challengers}
        for episode in range(self._num_episodes):
            challengers = self._round(challengers, episode)[
                : NUM_FINALISTS if episode else max(NUM_FINALISTS, ceil(len(challengers) / 2))
            ]
        if challengers:
            self.best = challengers[0]

    def _round(self, challengers: list[Plan], episode: int) -> list[Plan]:
        """The challengers within the margin after this episode, the best first."""
        margin = 0.0 if episode + 1 == self._num_episodes else MARGINS[min(episode, len(MARGINS) - 1)]
        most = (1 + margin) * sum(self._delays[self.best][: episode + 1])
        episodes = [PlanEpisode(plan, episode, most - sum(self._delays[plan])) for plan in challengers]
        for each, delay in zip(episodes, self._play(episodes) if episodes else [], strict=True):
            self._delays[each.plan].append(delay)
        totals = {plan: sum(self._delays[plan]) for plan in challengers}
        return sorted((plan for plan in challengers if totals[plan] < most), key=lambda plan: totals[plan])


def _starts(map_greens: Sequence[int], change_seconds: float, min_greens: Sequence[int]) -> list[Plan]:
    plans = [_bounded(map_greens, min_greens)]
    for cycle in CYCLES:
        green = max(sum(min_greens), cycle - change_seconds)
        for shares in (map_greens, [1] * len(map_greens)):
            plans.append(_bounded([green * share / sum(shares) for share in shares], min_greens))
    return plans


def _neighbours(plan: Plan, step: int, min_greens: Sequence[int]) -> list[Plan]:
    changes = [[step * sign * (i in which) for i in range(len(plan))] for sign in (1, -1) for which in _groups(plan)]
    return [_bounded([g + d for g, d in zip(plan, change, strict=True)], min_greens) for change in changes]


def _groups(plan: Plan) -> list[range]:
    """Each phase alone, then all together."""
    return [range(i, i + 1) for i in range(len(plan))] + [range(len(plan))]


def _bounded(greens: Sequence[float], min_greens: Sequence[int]) -> Plan:
    return tuple(min(LONGEST_GREEN, max(least, round(green))) for green, least in zip(greens, min_greens, strict=True))
