from xml.etree import ElementTree

import numpy as np
import pytest

from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.demand import (
    TIDAL_SHARE,
    Demand,
    Segment,
    Turns,
    sample_segments,
    sample_shares,
    sample_vehicles,
)
from genreplay.envs.sumo.traffic.profiles import parse_profile
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.junctions import junction


def demand(config: DemandConfig, scenario="2way", **settings):
    resolved = resolve(SumoConfig(scenario=scenario, **settings))
    return Demand(config, resolved, read_intersection(resolved.net_file, 300.0))


def text(traffic):
    return ElementTree.tostring(traffic.root, encoding="unicode")


@pytest.mark.parametrize("scenario", ["2way", "cologne1", "single"])
def test_traffic_is_a_function_of_the_seed(scenario):
    first, second = demand(DemandConfig(), scenario), demand(DemandConfig(), scenario)
    once, other, again = first.sample(5, False), first.sample(6, False), second.sample(5, False)
    assert once.level == again.level
    assert text(once) == text(again) != text(other)


def test_evaluation_takes_the_listed_levels():
    config = DemandConfig(evaluation_flows=[1000.0, 1500.0, 2000.0])
    levels = [demand(config).sample(seed, True).level for seed in (1, 2, 3)]
    assert levels == [{"demand_flow": 1500.0}, {"demand_flow": 2000.0}, {"demand_flow": 1000.0}]


def test_training_levels_fill_the_range():
    config = DemandConfig(flow_range=[500.0, 700.0])
    sampled = [demand(config).sample(seed, False).level["demand_flow"] for seed in range(30)]
    assert min(sampled) >= 500
    assert max(sampled) <= 700
    assert max(sampled) - min(sampled) > 150


def test_a_named_level_is_the_listed_one_in_everything():
    here = demand(DemandConfig(evaluation_flows=[1500.0]))
    assert text(here.sample(4, False, "1500")) == text(here.sample(4, True))
    routes = demand(DemandConfig(evaluation_scales=[1.2]), "cologne1")
    assert text(routes.sample(4, False, "1.2")) == text(routes.sample(4, True))


def segments(name, seed=0):
    movements = junction().movements
    profile = parse_profile(name, DemandConfig(), False)
    return movements, sample_segments(profile, movements, 100.0, 1900.0, np.random.default_rng(seed))


def test_tidal_traffic_changes_its_heavy_approach_half_way():
    for seed in range(10):
        movements, (first, second) = segments("tidal:1200", seed)
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
    _, (before, during, after) = segments("surge:1200")
    assert (before.begin, during.begin, after.begin, after.end) == pytest.approx((100, 700, 1000, 1900))
    assert before.flows.sum() == pytest.approx(1200)
    np.testing.assert_allclose(during.flows, 2 * before.flows)
    np.testing.assert_allclose(after.flows, before.flows)


def test_another_day_turns_as_training_never_does():
    for seed in range(10):
        movements, (segment,) = segments("other_day", seed)
        assert segment.flows.sum() == pytest.approx(1500)
        for approach in range(4):
            of_turn = {m.turn: f for m, f in zip(movements, segment.flows, strict=True) if m.approach == approach}
            total = sum(of_turn.values())
            assert 0.3 <= of_turn["left"] / total <= 0.5
            assert of_turn["right"] / total <= 0.1


def test_expected_flows_are_those_of_the_vehicles():
    """Counts of 200 episodes' vehicles against their expected flows: five standard deviations."""
    here = demand(DemandConfig())
    expected, counted = np.zeros(12), np.zeros(12)
    for seed in range(200):
        traffic = here.sample(seed, True, "surge:600")
        expected += traffic.flows * 0.5  # half an hour
        routes = [int(vehicle.attrib["route"][1:]) for vehicle in traffic.root.findall("vehicle")]
        counted += np.bincount(routes, minlength=12)
    assert np.all(np.abs(counted - expected) < 5 * np.sqrt(expected))


def test_shares_lie_in_their_ranges():
    turns = Turns((0.1, 0.2), (0.3, 0.4))
    movements = junction().movements
    for seed in range(20):
        shares = sample_shares(movements, turns, np.random.default_rng(seed))
        assert shares.sum() == pytest.approx(1.0)
        for approach in range(4):
            of_turn = {m.turn: s for m, s in zip(movements, shares, strict=True) if m.approach == approach}
            total = sum(of_turn.values())
            assert 0.1 <= of_turn["left"] / total <= 0.2
            assert 0.3 <= of_turn["right"] / total <= 0.4
            assert 0.25 * 0.5 / 1.5 <= total <= 0.25 * 1.5 / 0.5


def test_arrivals_have_the_requested_rate():
    vehicles = sample_vehicles(Segment(100.0, 1100.0, np.array([3600.0, 360.0])), np.random.default_rng(0))
    counts = np.bincount([vehicle.movement for vehicle in vehicles])
    # Poisson with means 1000 and 100: five standard deviations.
    assert abs(counts[0] - 1000) < 160
    assert abs(counts[1] - 100) < 50
    departures = [vehicle.depart for vehicle in vehicles]
    assert departures == sorted(departures)
    assert departures[0] >= 100
    assert departures[-1] < 1100
