"""Capacity of made-up lanes by hand, and of maps as SUMO measured it."""

import numpy as np
import pytest

from genreplay.envs.sumo.capacity.cycle import capacity_alone, load
from genreplay.envs.sumo.capacity.formulas import HCM, SUMO, gap_flow, overflow_delay, passed_before
from genreplay.envs.sumo.capacity.ways import open_seconds, read_ways, states_of
from tests.helpers.crossroads import map_ways, turn_flows, ways_of
from tests.helpers.hcm import uniform_delay
from tests.helpers.junctions import junction

EVEN = SUMO._replace(startup_lost=0, yellow_used=0)


def cycle(*parts):
    return [state for state, seconds in parts for _ in range(seconds)]


def test_effective_green_begins_later_and_ends_later():
    opened, has_way = open_seconds(cycle(("G", 10), ("y", 3), ("r", 7)), np.array([0]), SUMO)
    assert np.flatnonzero(opened[:, 0]).tolist() == list(range(2, 11))
    assert (opened == has_way).all()


def test_a_green_that_goes_on_loses_nothing():
    """`g` becomes `G`, as in a stage for left turns after one in which they give way."""
    states = cycle(("g", 10), ("G", 5), ("r", 5))
    opened, has_way = open_seconds(states, np.array([0]), SUMO)
    assert np.flatnonzero(opened[:, 0]).tolist() == list(range(2, 16))
    assert np.flatnonzero(has_way[:, 0]).tolist() == list(range(10, 16))


@pytest.mark.parametrize(("letter", "passes"), [("G", 1), ("O", 1), ("g", 1), ("o", 1), ("s", 1), ("u", 0), ("y", 0)])
def test_what_a_state_means(letter, passes):
    opened, has_way = open_seconds([letter] * 5, np.array([0]), SUMO)
    assert opened.all() == bool(passes)
    assert has_way.all() == (letter in "GO")


def test_a_lane_with_right_of_way():
    """1800 * (g - 1) / C, and the delay of HCM's formula for even arrivals."""
    found = load(ways_of([0]), cycle(("G", 30), ("y", 3), ("r", 27)), np.array([600.0]))
    assert found.capacity[0] == pytest.approx(1800 * 29 / 60)
    assert found.saturation[0] == pytest.approx(600 / 870)
    by_hand = uniform_delay(60, 29, 600 / 870) + overflow_delay(600 / 870, 870, 900)
    assert found.delay[0] == pytest.approx(by_hand, rel=0.02)


def test_a_left_turn_against_a_road():
    """Opposing 360/h with 29 s of 60: its queue of 3.1 + arrivals leaves in 31 * 0.1 / 0.4 = 8 s; then gaps."""
    ways = ways_of([0, 1], {1: {0}})
    states = cycle(("Gg", 30), ("rr", 30))
    found = load(ways, states, np.array([360.0, 50.0]), drivers=HCM._replace(yellow_used=1))
    unblocked = 29 - 8
    by_hand = gap_flow(360.0, 4.5, 2.5) * unblocked / 60 + 2 * 3600 / 60
    assert found.capacity[1] == pytest.approx(by_hand, rel=0.05)
    # With right of way in a stage of its own, that is added, and nobody is left over inside the junction before it.
    more = load(ways, cycle(("Gg", 30), ("rG", 10), ("rr", 20)), np.array([360.0, 50.0]))
    assert more.capacity[1] > 1800 * 10 / 60


def test_a_shared_lane_is_held_up_by_the_first_vehicle_that_cannot_go():
    """Straight on has green and left has red: of ten vehicles' time pass those before the first that turns left."""
    ways = ways_of([0, 0])
    found = load(ways, cycle(("Gr", 20), ("GG", 20), ("rr", 20)), np.array([300.0, 100.0]), drivers=EVEN)
    assert found.capacity[0] * 60 / 3600 == pytest.approx(10 + passed_before(0.25, 10.0))


def test_a_shared_lane_at_the_mix_of_its_flows():
    """All can go: the times that vehicles need are added, in proportion to their shares."""
    ways = ways_of([0, 0])
    found = load(ways, ["gG"] * 60, np.array([100.0, 300.0]), drivers=EVEN._replace(sneakers=0.0))
    assert found.capacity[0] == pytest.approx(1 / (0.25 / (3600 / 2.7) + 0.75 / 1800))


def test_flows_use_lanes_alike():
    """Left turns with a lane's first half: straight on leaves that lane to them."""
    intersection, ways = map_ways("ped")
    states = states_of(intersection.plan, [37, 37])
    found = load(ways, states, turn_flows(intersection, left=150, straight=400, right=90))
    lanes = {name: i for i, name in enumerate(ways.names)}
    assert found.lane_saturation[lanes["n_in_1"]] == pytest.approx(0.6, abs=0.1)
    sums = np.bincount(ways.movements, found.flows, ways.num_movements)
    assert sums == pytest.approx(np.maximum(turn_flows(intersection, left=150, straight=400, right=90), 0.01))


def test_lanes_of_buses_and_trams_are_no_lanes_of_cars():
    _, ways = map_ways("tram")
    assert {name for name in ways.names if name.startswith("e_")} == {"e_in_1", "e_in_2"}
    alone = dict(zip(ways.names, ways.is_in.any(axis=1), strict=True))
    assert not any("tram" in name for name in alone)


def test_pedestrians_take_capacity_from_turns():
    intersection, ways = map_ways("ped")
    states = states_of(intersection.plan, [37, 37])
    flows = turn_flows(intersection, left=20, straight=200, right=200)
    none, many = (load(ways, states, flows, pedestrians=count) for count in (0.0, 400.0))
    right = [movement.turn for movement in intersection.movements].index("right")
    assert many.saturation[right] > 1.1 * none.saturation[right]


def test_alone_a_movement_has_all_its_lanes():
    here = junction()
    ways = read_ways(here)
    states = states_of(here.plan, [stage.green_seconds for stage in here.plan.stages])
    alone = {f"{m.from_edge} {m.turn}": c for m, c in zip(here.movements, capacity_alone(ways, states), strict=True)}
    cycle_seconds = here.plan.cycle_seconds
    assert alone["n_t straight"] == pytest.approx(1800 * 32 / cycle_seconds)
    assert alone["n_t left"] == pytest.approx(1800 * 5 / cycle_seconds)


@pytest.mark.parametrize(("flows", "left"), [((156, 676, 288), 220), ((120, 520, 340), 268), ((60, 300, 450), 361)])
def test_protected_after_permissive_as_sumo_measured(flows, left):
    """allred.net.xml under its own plan: left turns an hour that get through where more want to, in SUMO by
    `benchmarks/gap_acceptance.py`.
    """
    intersection, ways = map_ways("allred")
    right, straight, wanted = flows
    found = load(
        ways,
        states_of(intersection.plan, [29, 6, 29, 6]),
        turn_flows(intersection, right=right, straight=straight, left=wanted),
    )
    turn = [movement.turn for movement in intersection.movements].index("left")
    assert wanted / found.saturation[turn] == pytest.approx(left, rel=0.05)


@pytest.mark.parametrize(("opposing", "left"), [(0, 718), (200, 466)])
def test_gaps_as_sumo_measured(opposing, left):
    """The same for left turns that give way in 40 of 80 s, against two lanes."""
    intersection, ways = map_ways("allred")
    green = intersection.plan.stages[0].state
    names = [f"{movement.from_edge} {movement.turn}" for movement in intersection.movements]
    flows = np.array([{"n_in left": 100.0, "s_in straight": opposing}.get(name, 0.0) for name in names])
    found = load(ways, cycle((green, 40), (green.replace("G", "y").replace("g", "y"), 4), ("r" * 20, 36)), flows)
    assert 100 / found.saturation[names.index("n_in left")] == pytest.approx(left, rel=0.1)
