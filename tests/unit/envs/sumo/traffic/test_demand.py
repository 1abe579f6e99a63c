from xml.etree import ElementTree

import numpy as np
import pytest

from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.demand import Demand
from genreplay.envs.sumo.traffic.scenarios import resolve


def demand(config: DemandConfig, scenario="2way", **settings):
    resolved = resolve(SumoConfig(scenario=scenario, **settings))
    return Demand(config, resolved, read_intersection(resolved.net_file, SumoConfig()))


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
