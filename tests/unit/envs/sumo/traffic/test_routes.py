from xml.etree import ElementTree

import numpy as np
import pytest

from genreplay.common.errors import UserError
from genreplay.envs.sumo.traffic.routes import count_vehicles, read_routes, scale_routes


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
    with pytest.raises(UserError, match=rf"^env\.route_file: {path} is not a SUMO route file \(.*\); write plain XML$"):
        read_routes(path)


def test_vehicles_are_counted_where_no_flow_leaves_that_open():
    root = ElementTree.fromstring(
        '<routes><vType id="x"/><trip id="a" depart="1"/><vehicle id="b" depart="2"/></routes>'
    )
    assert count_vehicles(root) == 2
    ElementTree.SubElement(root, "flow", id="f", probability="0.1")
    assert count_vehicles(root) == float("inf")
