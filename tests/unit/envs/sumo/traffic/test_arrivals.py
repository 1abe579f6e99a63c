"""Random arrivals on a light with one stop line for each approach, and on one with several in a row."""

import numpy as np
import pytest

from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.traffic.arrivals import (
    OTHER_DAY_TURNS,
    TIDAL_SHARE,
    Rates,
    Turns,
    sample_rates,
    sample_shares,
    sample_vehicles,
)
from genreplay.envs.sumo.traffic.chains import read_chains
from genreplay.envs.sumo.traffic.profiles import parse_profile
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.junctions import junction
from tests.helpers.staggered import staggered_chains


def chains():
    return read_chains(junction(), resolve(SumoConfig()).net_file)


def rates(name, seed=0):
    here = chains()
    profile = parse_profile(name, DemandConfig(), False)
    return here.movements, sample_rates(profile, here, 100.0, 1900.0, np.random.default_rng(seed))


def test_tidal_traffic_changes_its_heavy_approach_half_way():
    for seed in range(10):
        movements, (first, second) = rates("tidal:1200", seed)
        assert (first.begin, first.end, second.begin, second.end) == (100, 1000, 1000, 1900)
        heavy = []
        for segment in (first, second):
            of_approach = np.zeros(4)
            np.add.at(of_approach, [movement.approach for movement in movements], segment.flows)
            assert of_approach.sum() == pytest.approx(1200)
            assert of_approach.max() == pytest.approx(1200 * TIDAL_SHARE)
            heavy.append(of_approach.argmax())
        assert heavy[0] != heavy[1]


def test_a_surge_doubles_the_flow_for_a_sixth_of_the_episode():
    _, (before, during, after) = rates("surge:1200")
    assert (before.begin, during.begin, after.begin, after.end) == pytest.approx((100, 700, 1000, 1900))
    assert before.flows.sum() == pytest.approx(1200)
    np.testing.assert_allclose(during.flows, 2 * before.flows)
    np.testing.assert_allclose(after.flows, before.flows)


def test_another_day_turns_as_training_never_does():
    for seed in range(10):
        movements, (segment,) = rates("other_day", seed)
        assert segment.flows.sum() == pytest.approx(1500)
        for approach in range(4):
            of_turn = {m.turn: f for m, f in zip(movements, segment.flows, strict=True) if m.approach == approach}
            total = sum(of_turn.values())
            assert 0.3 <= of_turn["left"] / total <= 0.5
            assert of_turn["right"] / total <= 0.1


def test_shares_lie_in_their_ranges():
    turns = Turns((0.1, 0.2), (0.3, 0.4))
    here = chains()
    for seed in range(20):
        shares = sample_shares(here, turns, np.random.default_rng(seed))
        assert shares.sum() == pytest.approx(1.0)
        for approach in range(4):
            of_turn = {m.turn: s for m, s in zip(here.movements, shares, strict=True) if m.approach == approach}
            total = sum(of_turn.values())
            assert 0.1 <= of_turn["left"] / total <= 0.2
            assert 0.3 <= of_turn["right"] / total <= 0.4
            assert 0.25 * 0.5 / 1.5 <= total <= 0.25 * 1.5 / 0.5


def test_arrivals_have_the_requested_rate():
    vehicles = sample_vehicles(Rates(100.0, 1100.0, np.array([3600.0, 360.0])), np.random.default_rng(0))
    counts = np.bincount([vehicle.way for vehicle in vehicles])
    # Poisson with means 1000 and 100: five standard deviations.
    assert abs(counts[0] - 1000) < 160
    assert abs(counts[1] - 100) < 50
    departures = [vehicle.depart for vehicle in vehicles]
    assert departures == sorted(departures)
    assert departures[0] >= 100
    assert departures[-1] < 1100


def test_vehicles_enter_where_the_map_begins_and_pass_all_stop_lines():
    """One light over two junctions: the roads between the stop lines get vehicles from the others only."""
    here = staggered_chains()
    for seed in range(10):
        shares = sample_shares(here, OTHER_DAY_TURNS, np.random.default_rng(seed))
        assert shares.sum() == pytest.approx(1.0)
        for way, share in zip(here.ways, shares, strict=True):
            begins = here.movements[way[0]].from_edge
            if share > 0:
                assert begins in ("wA", "sA", "nB", "eB")
                assert here.movements[way[-1]].to_edge in ("Aw", "As", "Bn", "Be")


def test_tidal_traffic_comes_from_an_outer_approach():
    here = staggered_chains()
    for seed in range(10):
        profile = parse_profile("tidal:1000", DemandConfig(), False)
        for each in sample_rates(profile, here, 0.0, 600.0, np.random.default_rng(seed)):
            by_begin = dict.fromkeys(("wA", "sA", "nB", "eB", "AB", "BA"), 0.0)
            for way, flow in zip(here.ways, each.flows, strict=True):
                by_begin[here.movements[way[0]].from_edge] += flow
            assert sum(by_begin.values()) == pytest.approx(1000)
            assert max(by_begin.values()) == pytest.approx(1000 * TIDAL_SHARE)
            assert by_begin["AB"] == by_begin["BA"] == 0
