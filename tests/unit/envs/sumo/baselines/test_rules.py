"""Decision rules by hand, on the two-way intersection: lane 0 of each road goes straight and right, lane 1 left."""

import pytest

from genreplay.envs.sumo.baselines.rules import (
    RULE_SECONDS,
    longest_queue,
    max_pressure,
    pressures,
    queues,
    random_phase,
)
from tests.helpers.junctions import junction
from tests.helpers.sight import FakeSight
from tests.helpers.signals import timing_of_plan

NS, NS_LEFT, WE, WE_LEFT = range(4)
JUNCTION = junction()


def counts(**lanes):
    return FakeSight(vehicles=lanes, halting=lanes)


def test_pressure_by_hand():
    """North 6 on lane 0: 3 belong to the way straight (to t_s_0, where 2 are) and 3 to the way right (to t_w_0)."""
    assert pressures(JUNCTION, counts(n_t_0=6, t_s_0=2)) == pytest.approx([3 - 1 + 3, 0, -1, 0])
    assert pressures(JUNCTION, counts(w_t_1=4, t_n_1=5)) == pytest.approx([0, 0, 0, -1])


def test_only_who_stands_behind_the_light_counts():
    driving = FakeSight(vehicles={"n_t_0": 2, "t_s_0": 5})
    assert pressures(JUNCTION, driving) == pytest.approx([2, 0, 0, 0])


def test_max_pressure_does_not_send_vehicles_into_a_jam():
    """West's lane is the longest, but where it leads is full; the left turners from the north can go."""
    here = counts(w_t_0=9, t_e_0=12, t_s_0=12, n_t_1=2)
    assert max_pressure(JUNCTION)(here, NS).order[0] == NS_LEFT
    assert longest_queue(JUNCTION)(here, NS) == ((WE, NS_LEFT, NS, WE_LEFT), RULE_SECONDS)


def test_queues_count_each_lane_once():
    assert queues(JUNCTION, counts(n_t_0=6, s_t_0=1, e_t_1=3)) == [7, 0, 0, 3]


@pytest.mark.parametrize("rule", [max_pressure, longest_queue])
def test_a_tie_keeps_the_stage(rule):
    for shown in range(4):
        assert rule(JUNCTION)(counts(), shown).order[0] == shown
    assert rule(JUNCTION)(counts(n_t_0=4, w_t_0=4), WE).order[0] == WE


def test_random_choices_follow_the_seed_and_the_bounds():
    timing = timing_of_plan(num_stages=4)
    rules = [random_phase(timing, seed) for seed in (1, 1, 2)]
    first, again, other = ([rule(counts(), 0) for _ in range(200)] for rule in rules)
    assert first == again != other
    assert {choice.order[0] for choice in first} == {0, 1, 2, 3}
    assert {min(c.seconds for c in first), max(c.seconds for c in first)} == {5, 45}
