from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.demand import Demand, draw_shares, draw_vehicles, scale_routes
from genreplay.envs.sumo.intersection import read_intersection
from genreplay.envs.sumo.scenarios import resolve
from genreplay.errors import UserError


def demand(config: DemandConfig, scenario="2way", **settings):
    resolved = resolve(SumoConfig(scenario=scenario, **settings))
    return Demand(config, resolved, read_intersection(resolved.net_file, 300.0))


@pytest.mark.parametrize("scenario", ["2way", "cologne1", "single"])
def test_traffic_is_a_function_of_the_seed(scenario, tmp_path):
    first, second = demand(DemandConfig(), scenario), demand(DemandConfig(), scenario)
    files = [tmp_path / f"{i}.rou.xml" for i in range(3)]
    level = first.write(5, False, files[0])
    first.write(6, False, files[1])
    assert second.write(5, False, files[2]) == level
    assert files[0].read_text() == files[2].read_text() != files[1].read_text()


def test_evaluation_takes_the_listed_levels(tmp_path):
    config = DemandConfig(evaluation_flows=[1000.0, 1500.0, 2000.0])
    levels = [demand(config).write(seed, True, tmp_path / "x.rou.xml") for seed in (1, 2, 3)]
    assert levels == [{"demand_flow": 1500.0}, {"demand_flow": 2000.0}, {"demand_flow": 1000.0}]


def test_training_levels_fill_the_range(tmp_path):
    config = DemandConfig(flow_range=[500.0, 700.0])
    drawn = [demand(config).write(seed, False, tmp_path / "x.rou.xml")["demand_flow"] for seed in range(30)]
    assert min(drawn) >= 500
    assert max(drawn) <= 700
    assert max(drawn) - min(drawn) > 150


def test_shares_lie_in_their_ranges():
    config = DemandConfig(left_share_range=[0.1, 0.2], right_share_range=[0.3, 0.4])
    movements = read_intersection(resolve(SumoConfig()).net_file, 0.0).movements
    for seed in range(20):
        shares = draw_shares(movements, config, np.random.default_rng(seed))
        assert shares.sum() == pytest.approx(1.0)
        for approach in range(4):
            of_turn = {m.turn: s for m, s in zip(movements, shares, strict=True) if m.approach == approach}
            total = sum(of_turn.values())
            assert 0.1 <= of_turn["left"] / total <= 0.2
            assert 0.3 <= of_turn["right"] / total <= 0.4
            assert 0.25 * 0.5 / 1.5 <= total <= 0.25 * 1.5 / 0.5


def test_arrivals_have_the_asked_for_rate():
    vehicles = draw_vehicles(np.array([3600.0, 360.0]), 100.0, 1100.0, np.random.default_rng(0))
    counts = np.bincount([vehicle.movement for vehicle in vehicles])
    # Poisson with means 1000 and 100: five standard deviations.
    assert abs(counts[0] - 1000) < 160
    assert abs(counts[1] - 100) < 50
    departures = [vehicle.depart for vehicle in vehicles]
    assert departures == sorted(departures)
    assert departures[0] >= 100
    assert departures[-1] < 1100


def trips(num):
    root = ElementTree.Element("routes")
    ElementTree.SubElement(root, "vType", id="car")
    for i in range(num):
        ElementTree.SubElement(root, "trip", {"id": str(i), "depart": f"{i}.00", "from": "a", "to": "b"})
    return root


def test_scaling_by_one_keeps_the_trips_within_the_episode():
    scaled = scale_routes(trips(100), 1.0, 10, 60, np.random.default_rng(0))
    assert [e.get("id") for e in scaled.findall("trip")] == [str(i) for i in range(10, 60)]
    assert scaled[0].tag == "vType"


@pytest.mark.parametrize("scale", [0.5, 1.3, 2.5])
def test_scaling_thins_or_copies(scale):
    scaled = scale_routes(trips(1000), scale, 0, 1000, np.random.default_rng(0))
    found = scaled.findall("trip")
    assert abs(len(found) - 1000 * scale) < 80  # five standard deviations of a binomial
    assert len({trip.get("id") for trip in found}) == len(found)
    departures = [float(trip.attrib["depart"]) for trip in found]
    assert departures == sorted(departures)
    assert departures[0] >= 0
    assert departures[-1] < 1000
    for trip in found:
        original = float(trip.attrib["id"].split("#")[0])
        assert abs(float(trip.attrib["depart"]) - original) <= 30


def test_scaling_flows_multiplies_their_rates():
    text = """<routes><flow id="a" begin="0" end="9999" vehsPerHour="100"/>
    <flow id="b" begin="0" end="50" probability="0.7"/><flow id="c" begin="0" end="9999" period="4"/>
    <flow id="d" begin="0" end="9999" period="exp(0.25)"/><flow id="e" begin="0" end="100" number="10"/></routes>"""
    scaled = scale_routes(ElementTree.fromstring(text), 2.0, 0, 100, np.random.default_rng(0))
    flows = {flow.get("id"): flow for flow in scaled}
    assert float(flows["a"].attrib["vehsPerHour"]) == 200
    assert float(flows["a"].attrib["end"]) == 100
    assert float(flows["b"].attrib["probability"]) == 1
    assert float(flows["b"].attrib["end"]) == 50
    assert float(flows["c"].attrib["period"]) == 2
    assert flows["d"].attrib["period"] == "exp(0.500000)"
    assert flows["e"].attrib["number"] == "20"


def test_a_broken_route_file_is_named(tmp_path):
    path = tmp_path / "broken.rou.xml"
    path.write_text("<routes><trip")
    net_file = str(resolve(SumoConfig()).net_file)
    with pytest.raises(UserError, match=rf"^env\.route_file: {path} is no SUMO route file \(.*\); write plain XML$"):
        demand(DemandConfig(), None, net_file=net_file, route_file=str(path))
    assert Path(path).exists()
