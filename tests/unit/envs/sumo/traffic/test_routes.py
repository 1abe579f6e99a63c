from xml.etree import ElementTree

import numpy as np
import pytest

from genreplay.envs.sumo.traffic.routes import count_vehicles, scale_routes


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


def test_vehicles_are_counted_where_no_flow_leaves_that_open():
    root = ElementTree.fromstring(
        '<routes><vType id="x"/><trip id="a" depart="1"/><vehicle id="b" depart="2"/></routes>'
    )
    assert count_vehicles(root) == 2
    ElementTree.SubElement(root, "flow", id="f", probability="0.1")
    assert count_vehicles(root) == float("inf")


def cut(text, scale=1.0, begin=0, end=600, seed=0):
    """Ids in the order of an episode's route file."""
    root = ElementTree.fromstring(f"<routes>{text}</routes>")
    return [element.get("id") for element in scale_routes(root, scale, begin, end, np.random.default_rng(seed))]


def test_all_that_departs_is_sorted_with_the_vehicles():
    text = """<trip id="t" depart="50"/><person id="p" depart="20"/><vType id="type"/><containerFlow id="cf" begin="30"
    period="9"/><personFlow id="pf" begin="10" end="90" period="9"/><flow id="f" begin="0:00:40" end="90" period="9"/>
    <container id="c" depart="25"/><vehicle id="first" depart="begin"/>"""
    assert cut(text) == ["type", "first", "pf", "p", "c", "cf", "f", "t"]


def test_flows_of_other_hours_are_left_out():
    text = """<flow id="before" begin="0" end="100" period="9"/><flow id="into" begin="0" end="101" period="9"/>
    <flow id="in" begin="150" end="900" vehsPerHour="9"/><personFlow id="after" begin="200" end="300" period="9"/>"""
    root = ElementTree.fromstring(f"<routes>{text}</routes>")
    scaled = scale_routes(root, 1.0, 100, 200, np.random.default_rng(0))
    assert [(flow.get("id"), float(flow.attrib["end"])) for flow in scaled] == [("into", 101), ("in", 200)]


@pytest.mark.parametrize(
    ("attributes", "cut"),
    [
        ('begin="100" number="5"', {"begin": "100", "number": "5", "end": "600"}),
        ('begin="100" end="600" number="5"', {"begin": "100", "number": "5", "end": "600"}),
        ('begin="100" end="900" number="5"', {"begin": "100", "number": "4", "period": "160.000000"}),
        ('begin="100" number="5" period="60"', {"begin": "100", "number": "5", "period": "60.000000"}),
        ('begin="100" number="50" period="60"', {"begin": "100", "number": "9", "period": "60.000000"}),
        ('begin="100" number="9" vehsPerHour="36"', {"begin": "100", "number": "5", "vehsPerHour": "36.000000"}),
        ('begin="100" number="9" period="exp(0.1)"', {"begin": "100", "number": "9", "period": "exp(0.100000)"}),
        ('begin="100" number="90" period="exp(0.1)"', {"begin": "100", "end": "600", "period": "exp(0.100000)"}),
        ('begin="triggered" number="9"', {"begin": "triggered", "number": "9", "end": "600"}),
    ],
)
def test_a_number_of_vehicles_is_cut_at_the_end_of_the_episode(attributes, cut):
    root = ElementTree.fromstring(f"<routes><flow {attributes}/></routes>")
    (flow,) = scale_routes(root, 1.0, 0, 600, np.random.default_rng(0))
    assert flow.attrib == cut


def test_a_flow_whose_last_vehicle_is_scaled_away_is_left_out():
    assert cut('<flow id="a" begin="0" end="9" number="1"/><vType id="t"/>', scale=0.4) == ["t"]


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_persons_and_containers_are_scaled_like_vehicles(scale):
    for tag in ("person", "container"):
        text = "".join(f'<{tag} id="{i}" depart="{i}"><walk edges="a b"/></{tag}>' for i in range(1000))
        found = cut(text, scale, 0, 1000)
        assert abs(len(found) - 1000 * scale) < 80  # five standard deviations of a binomial
        assert len(set(found)) == len(found)
    flow = '<personFlow id="f" begin="0" end="9" personsPerHour="100"/>'
    scaled = scale_routes(ElementTree.fromstring(f"<routes>{flow}</routes>"), scale, 0, 600, np.random.default_rng(0))
    assert float(scaled[0].attrib["personsPerHour"]) == 100 * scale


RIDES = """<vehicle id="taxi" depart="triggered"/>
<trip id="bus" depart="30" line="7"/><trip id="car" depart="35"/>
<person id="p" depart="40"><ride lines="taxi"/></person><person id="q" depart="50"><ride lines="7"/></person>
<person id="r" depart="triggered"><ride lines="bus"/></person>
<vehicle id="tram" depart="60"><stop expected="s"/></vehicle><person id="s" depart="70"><walk/></person>"""


def test_a_vehicle_that_waits_for_persons_stands_before_them():
    assert cut(RIDES) == ["bus", "r", "car", "taxi", "p", "q", "tram", "s"]


def test_what_others_name_is_never_scaled_away():
    for seed in range(20):
        kept = set(cut(RIDES, 0.1, seed=seed))
        assert kept >= {"taxi", "bus", "p", "r", "s"}
        doubled = set(cut(RIDES, 2.0, seed=seed))
        assert doubled == kept | {"car", "q", "tram", "car#1", "q#1", "tram#1"}
    assert any("car" not in cut(RIDES, 0.1, seed=seed) for seed in range(20))
    assert any("q" not in cut(RIDES, 0.1, seed=seed) for seed in range(20))


def test_a_vehicle_leaves_the_episode_with_its_persons():
    assert cut(RIDES, begin=45) == ["q", "tram", "s"]
