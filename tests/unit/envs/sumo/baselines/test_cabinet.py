"""Fully actuated control by hand, on the two-way intersection: stages ns (33 s in the plan), ns left (6 s), we (33 s),
we left (6 s), with 2 s of yellow between them. Lane 0 of each road goes straight and right, lane 1 left.
"""

import pytest

from genreplay.envs.sumo.baselines.cabinet import fully_actuated, fully_actuated_loops, passage, stop_line
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.signals.timing import timing_of
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.sight import FakeSight
from tests.helpers.signals import MAPS

NS, NS_LEFT, WE, WE_LEFT = range(4)
NORTH, NORTH_LEFT, WEST, WEST_LEFT = 1, 2, 10, 11
"""Links."""
CONFIG = SumoConfig(max_red=86)
JUNCTION = read_intersection(resolve(CONFIG).net_file, CONFIG)
TIMING = timing_of(CONFIG, JUNCTION.plan)


def zones(shown: int, *coming: int, **seen) -> tuple[int, ...]:
    order, seconds = fully_actuated(TIMING)(FakeSight(coming=coming, **seen), shown)
    assert seconds == 1
    return order


def test_without_a_call_the_green_stays() -> None:
    for shown in range(4):
        assert zones(shown)[0] == shown
    assert zones(NS, NORTH)[0] == NS


def test_a_green_goes_on_while_somebody_comes_and_ends_when_the_zone_is_empty() -> None:
    assert zones(NS, NORTH, WEST) == (NS, WE, NS_LEFT, WE_LEFT)
    assert zones(NS, WEST) == (WE, NS, NS_LEFT, WE_LEFT)


def test_the_next_stage_is_the_next_one_called_in_the_plans_order() -> None:
    assert zones(NS, WEST_LEFT, WEST)[:2] == (WE, WE_LEFT)
    assert zones(WE, NORTH_LEFT, NORTH)[:2] == (NS, NS_LEFT)
    assert zones(WE_LEFT, WEST, NORTH_LEFT)[:2] == (NS_LEFT, WE)


def test_a_green_leaves_the_stages_called_their_share_of_the_longest_red() -> None:
    """The west can be green after one second more, 2 s of yellow, the 6 s of ns left and 2 s of yellow again: it may
    have waited for 75 of the 86 s that are allowed.
    """
    assert zones(NS, NORTH, NORTH_LEFT, WEST, waited=[0.0, 0.0, 75.0, 0.0])[0] == NS
    assert zones(NS, NORTH, NORTH_LEFT, WEST, waited=[0.0, 0.0, 76.0, 0.0])[0] == NS_LEFT
    assert zones(NS, NORTH, WEST, waited=[0.0, 0.0, 76.0, 0.0])[0] == NS


PEDESTRIANS = read_intersection(MAPS / "ped.net.xml", SumoConfig())


@pytest.mark.parametrize("rule", [fully_actuated, lambda timing: fully_actuated_loops(timing, PEDESTRIANS)])
def test_people_at_a_crossing_call_its_stage(rule) -> None:
    timing = timing_of(SumoConfig(), PEDESTRIANS.plan)
    crossing = timing.plan.stages[1].state.rindex("G")
    assert rule(timing)(FakeSight(walkers=[crossing]), 0).order[0] == 1
    assert rule(timing)(FakeSight(walkers=[crossing]), 1).order[0] == 1


def test_a_turn_that_has_to_give_way_prolongs_its_green_and_calls_the_one_that_protects_it() -> None:
    """Link 3 turns left: `g` in the stage of its road, `G` in the next one."""
    actuated = read_intersection(MAPS / "actuated.net.xml", SumoConfig())
    rule = fully_actuated(timing_of(SumoConfig(), actuated.plan))
    assert rule(FakeSight(coming=[3]), 0).order[:2] == (0, 1)
    assert rule(FakeSight(coming=[3]), 2).order[:2] == (1, 2)


def test_loops_hold_a_green_for_their_gaps() -> None:
    def first(near: float, far: float) -> int:
        quiet = {stop_line("n_t_0"): near, passage("n_t_0"): far, stop_line("w_t_0"): 0.0}
        return fully_actuated_loops(TIMING, JUNCTION)(FakeSight(quiet=quiet), NS).order[0]

    assert first(near=1.0, far=9.0) == NS
    assert first(near=9.0, far=1.9) == NS
    assert first(near=1.1, far=2.0) == WE


def test_a_passage_loop_calls_until_its_lane_was_green() -> None:
    """A vehicle passes the west's loop in second 10, in ns, and does not reach the presence loop."""
    rule = fully_actuated_loops(TIMING, JUNCTION)

    def first(clock: float, shown: int, passed: float) -> int:
        return rule(FakeSight(quiet={passage("w_t_0"): clock - passed}, clock=clock), shown).order[0]

    assert first(9.0, NS, passed=-1e6) == NS
    assert first(12.0, NS, passed=10.0) == WE
    assert first(25.0, WE, passed=10.0) == WE
    assert first(40.0, NS, passed=10.0) == NS
    assert first(50.0, NS, passed=45.0) == WE
