"""Fully actuated control, as a street cabinet does it: asked each second, stages in the plan's order, those without a
call passed over.

While somebody calls another stage, a green ends when nobody comes any more (gap-out), at its longest (max-out, see
`actions.admit`), or when the stages called would get less than the plan gives them within `max_red`. While nobody calls
another stage, it stays. FHWA, Signal Timing Manual, 2nd edition (2015), chapter 6.

Shapes: P stages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from genreplay.envs.sumo.baselines.rules import Choice, Rule, Sight, in_order
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.signals.plan import SignalPlan
from genreplay.envs.sumo.signals.timing import Timing

ZONE = 30.0
"""Vehicles this near to the stop line call and prolong a green, m. Passage loops lie there."""
STOP_LINE_LOOP = 4.0
"""Length of the presence loop at the stop line, m."""
GAP_SECONDS = 2.0
"""A vehicle prolongs a green for so long after it has passed the passage loop, s; it is about to reach the light."""
QUEUE_SECONDS = 1.0
"""The same for the presence loop, s: less than between two vehicles that start from a queue is a loss, more holds the
green for nobody. Of 0.5, 1, 1.5 and 2 s the best on the two-way intersection (validation seeds 11 to 13: 10.0, 17.2 and
26.5 s of delay at 1000, 1500 and 2000 vehicles/h; with 2 s 12.0, 19.3 and 31.2 s)."""

ASKED = 1
"""Time between two questions whether a green goes on, s."""


def fully_actuated(timing: Timing) -> Rule:
    """Video zones: a green ends when nobody in the last `ZONE` metres takes one of its links next."""
    plan = timing.plan

    def rule(sight: Sight, shown: int) -> Choice:
        coming = sight.coming()
        is_used = any(plan.served[shown, link] for link in coming)
        called = _called(plan, shown, {*coming, *sight.walkers()})
        return _choice(timing, sight, shown, called, is_used)

    return rule


def fully_actuated_loops(timing: Timing, intersection: Intersection) -> Rule:
    """The same with loops: presence at the stop line and passage `ZONE` metres before it, nothing between them.

    A lane calls while a vehicle stands on its presence loop, or after one has passed the other loop since the lane's
    last green. It does not know where its vehicles turn: it calls every stage that serves one of its links.
    """
    plan = timing.plan
    links: dict[str, list[int]] = {link.from_lane: [] for link in intersection.links}
    for link in intersection.links:
        links[link.from_lane].append(link.index)
    green_until = dict.fromkeys(links, 0.0)

    def rule(sight: Sight, shown: int) -> Choice:
        now = sight.clock()
        green = [lane for lane, ways in links.items() if any(plan.served[shown, link] for link in ways)]
        green_until.update(dict.fromkeys(green, now))
        is_used = any(
            sight.quiet(stop_line(lane)) <= QUEUE_SECONDS or sight.quiet(passage(lane)) < GAP_SECONDS for lane in green
        )
        calling = [
            lane
            for lane in links
            if sight.quiet(stop_line(lane)) == 0 or now - sight.quiet(passage(lane)) > green_until[lane]
        ]
        called = _called(plan, shown, {*(link for lane in calling for link in links[lane]), *sight.walkers()})
        return _choice(timing, sight, shown, called, is_used)

    return rule


def stop_line(lane: str) -> str:
    """Name of the presence loop of a lane."""
    return f"cabinet stop line {lane}"


def passage(lane: str) -> str:
    """Name of the passage loop of a lane."""
    return f"cabinet passage {lane}"


def _called(plan: SignalPlan, shown: int, links: Iterable[int]) -> list[int]:
    """Stages that those in front of `links` wait for, in the plan's order from the one shown on."""
    groups = [plan.protecting(link) for link in links if link not in plan.always_green]
    waiting = [group for group in groups if shown not in group]
    return [stage for stage in in_order(plan, shown)[1:] if any(stage in group for group in waiting)]


def _choice(timing: Timing, sight: Sight, shown: int, called: list[int], is_used: bool) -> Choice:
    """Go on with the stage shown, or the next one that is called; where the bounds forbid it, the next one in order."""
    goes_on = not called or (is_used and _leaves_room(timing, shown, called, sight.waited()))
    first = [shown, *called] if goes_on else [*called, shown]
    return Choice(tuple(dict.fromkeys([*first, *in_order(timing.plan, shown)])), ASKED)


def _leaves_room(timing: Timing, shown: int, called: Sequence[int], waited: Sequence[float]) -> bool:
    """Whether the stages called can still be green as long as in the map's plan, each within `max_red`.

    Where the plan's cycle is longer than `max_red`, its greens are shortened in proportion.
    """
    plan = timing.plan
    green_seconds = sum(stage.green_seconds for stage in plan.stages)
    share = min(1.0, max(0.0, timing.max_red - timing.change_seconds) / green_seconds)
    start, before = float(ASKED), shown
    for stage in called:
        start += timing.intergreen[before, stage]
        if waited[stage] + start > timing.max_red:
            return False
        start += max(timing.min_greens[stage], share * plan.stages[stage].green_seconds)
        before = stage
    return True
