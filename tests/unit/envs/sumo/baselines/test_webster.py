"""Webster's plan: textbook examples, the bounds of stages, and cases with known verdicts."""

import numpy as np
import pytest

from genreplay.envs.sumo.baselines.webster import (
    LONGEST_CYCLE,
    Traffic,
    change_seconds,
    evaluate,
    lost_time,
    split,
    stages_of_cycle,
    webster,
)
from genreplay.envs.sumo.capacity.ways import read_ways, states_of
from genreplay.envs.sumo.signals.plan import SERVED
from genreplay.envs.sumo.traffic.counts import read_counts
from tests.helpers.crossroads import map_ways, turn_flows, ways_of
from tests.helpers.junctions import junction
from tests.helpers.signals import MAPS, plan_of


def peak(name, intersection):
    """The second quarter of an hour of a count table, vehicles/h by movement."""
    return Traffic(read_counts(MAPS / f"{name}.csv").flows(intersection)[1])


def test_a_textbook_example():
    """Two roads with flow ratios 0.32 and 0.25 and 16 s of lost time, as in Khanna and Justo, "Highway Engineering".
    The book: cycle 67.5 s, and effective greens 29 and 22.5 s. Here a stage loses 1 s more than its intergreen.
    """
    plan = plan_of(2, yellow=4, all_red=3, bounds=(5, 60))
    assert (change_seconds(plan), lost_time(plan)) == (14, 16)
    found = webster(ways_of([0, 1]), plan, Traffic(np.array([0.32, 0.25]) * 1800))
    assert found.cycle == 68
    assert found.greens == (30, 24)
    assert found.flow_ratio == pytest.approx(0.57, abs=0.01)
    assert found.limit == pytest.approx((68 - 16) / 68)


def test_a_light_without_traffic_shows_its_shortest_greens_about_alike():
    found = webster(ways_of([0, 1]), plan_of(2), Traffic(np.zeros(2)))
    assert found.saturation == 0.0
    assert max(found.greens) - min(found.greens) <= 1


def test_greens_stay_within_the_bounds_of_their_stages():
    plan = plan_of(3, bounds=(8, 20))
    found = webster(ways_of([0, 1, 2]), plan, Traffic(np.array([1500.0, 10.0, 10.0])))
    assert found.greens[0] == 20
    assert all(8 <= green <= 20 for green in found.greens)
    assert found.saturation > 1.0


def test_nobody_is_red_for_longer_than_asked():
    plan, traffic = plan_of(3, bounds=(5, 60)), Traffic(np.array([700.0, 500.0, 300.0]))
    ways = ways_of([0, 1, 2])
    assert webster(ways, plan, traffic).cycle == LONGEST_CYCLE
    short = webster(ways, plan, traffic, longest_red=60)
    states = states_of(plan, short.greens) * 2
    for link in range(3):
        shown = "".join("g" if state[link] in SERVED else "r" for state in states)
        assert max(len(red) for red in shown.split("g")) <= 60


def test_greens_are_divided_so_that_the_critical_lanes_are_used_alike():
    """2way: straight and right share a lane, left has its own; stages are ns, ns left, we, we left."""
    here = junction()
    ways = read_ways(here)
    found = split(ways, here.plan, Traffic(turn_flows(here, straight=300, right=60, left=120)), 100)
    saturation = dict(zip(ways.names, found.load.lane_saturation, strict=True))
    assert max(saturation.values()) - min(saturation.values()) < 0.1
    assert found.greens[0] > 2 * found.greens[1]


def test_left_turns_that_also_give_way_need_less_of_their_own_stage():
    """cologne1: left turns give way (`g`) in the straight stage and go first (`G`) in one of their own."""
    here = junction("cologne1")
    ways, flows = read_ways(here), np.zeros(len(here.movements))
    left = next(i for i, movement in enumerate(here.movements) if movement.turn == "left")
    flows[left] = 200.0
    greens = [stage.green_seconds for stage in here.plan.stages]
    index = next(link.index for link in here.links if link.movement == left)
    own = next(p for p, stage in enumerate(here.plan.stages) if stage.state[index] == "G")
    found = evaluate(ways, here.plan, greens, Traffic(flows))
    alone = 200 / (1800 * (greens[own] - 1) / found.cycle)
    assert 0.0 < found.saturation < alone


def test_lost_time_counts_against_a_full_junction():
    """allred.net.xml, four_full.csv: the plan of the map jams; L = 20 s of intergreen + 4 * 1 s, and C = 120 s carries
    (C - L) / C = 0.80. In SUMO a plan of 32, 18, 32, 18 s carries these flows for 90 minutes at 64 to 70 s of delay,
    one of 27, 23, 27, 23 s has 215 to 282 s.
    """
    intersection, ways = map_ways("allred")
    traffic = peak("four_full", intersection)
    assert evaluate(ways, intersection.plan, [29, 6, 29, 6], traffic).saturation > 1.2
    best = webster(ways, intersection.plan, traffic)
    assert (best.lost_time, best.cycle) == (24, 120)
    assert best.limit == pytest.approx(0.80)
    assert 0.85 < best.saturation < 0.95
    assert evaluate(ways, intersection.plan, [27, 23, 27, 23], traffic).saturation > 1.0


def test_permissive_left_turns_do_not_have_a_lane_of_1800():
    """ped.net.xml, four_heavy.csv: 220 left turns/h have to give way to 520, and 92 to 113 get through in SUMO."""
    intersection, ways = map_ways("ped")
    for greens in ([37, 37], [20, 20], [10, 10]):
        found = evaluate(ways, intersection.plan, greens, peak("four_heavy", intersection))
        assert 1.5 < found.saturation < 2.8
    assert webster(ways, intersection.plan, peak("four_heavy", intersection)).saturation > 1.4
    assert webster(ways, intersection.plan, peak("four_light", intersection)).saturation < 0.5


def test_a_fixed_plan_of_a_nema_programme_shows_each_ring_once():
    """nema.net.xml has eight stages, of which four serve every link with right of way."""
    intersection, ways = map_ways("nema")
    shown = stages_of_cycle(intersection.plan)
    served = {link for p in shown for link, c in enumerate(intersection.plan.stages[p].state) if c == "G"}
    assert len(shown) < len(intersection.plan.stages)
    assert served == {link for stage in intersection.plan.stages for link, c in enumerate(stage.state) if c == "G"}
    found = webster(ways, intersection.plan, peak("four_full", intersection))
    assert [p for p, green in enumerate(found.greens) if green > 0] == shown
