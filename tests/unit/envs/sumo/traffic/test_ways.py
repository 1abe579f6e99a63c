"""Ways of trips and flows, compared with the routes that SUMO's vehicles take."""

import subprocess
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
import sumo

from genreplay.envs.sumo.traffic.ways import Definitions, has_junctions
from tests.helpers.paths import DATA

NET = DATA / "cross.net.xml"
ZONES = """<taz id="N" edges="n_in"/><taz id="W"><tazSource id="w_in" weight="1"/><tazSink id="w_out" weight="1"/></taz>
<taz id="far" edges="s_out w_out"/>"""
DEFINED = """<vType id="lorry" vClass="truck"/><route id="ns" edges="n_in s_out"/>
<route id="nw" edges="n_in w_out"/>
<routeDistribution id="d"><route refId="ns" probability="3"/><route id="in_d" edges="n_in w_out" probability="1"/>
</routeDistribution><routeDistribution id="e" routes="ns nw" probabilities="1 3"/>"""


def ways(inside):
    root = ElementTree.fromstring(f"<routes>{DEFINED}{inside}</routes>")
    additional = ElementTree.fromstring(f"<additional>{ZONES}</additional>")
    found = Definitions([root, additional]).ways(root[-1], NET)
    return None if found is None else {" ".join(edges): share for edges, share in found}


@pytest.mark.parametrize(
    ("attributes", "edges"),
    [
        ('from="n_in" to="s_out"', "n_in s_out"),
        ('type="lorry" from="n_in" to="s_out"', "n_in s_out"),
        ('from="n_in" via="w_out" to="e_out"', "n_in w_out w_in e_out"),
        ('fromTaz="N" toTaz="W"', "n_in w_out"),
        ('fromTaz="W" to="s_out"', "w_in s_out"),
        ('fromJunction="north" toJunction="east"', "n_in e_out"),
        ('from="n_in" toJunction="east"', "n_in e_out"),
        ('fromJunction="north" toJunction="east" viaJunctions="mid"', "n_in e_out"),
        ('from="n_in"', "n_in"),
        ('route="ns"', "n_in s_out"),
    ],
)
def test_the_way_is_the_one_that_sumo_takes(tmp_path, attributes, edges):
    kind = "vehicle" if "route=" in attributes else "trip"
    inside = f'<{kind} id="a" depart="0" {attributes}/>'
    assert ways(inside) == {edges: 1.0}
    taken = simulated(tmp_path, inside, has_zones="Taz" in attributes)
    assert taken == {edges: 1}


def simulated(folder, inside, has_zones=False):
    """The edges that vehicles of these elements take in SUMO, with the number of vehicles."""
    (folder / "my.rou.xml").write_text(f"<routes>{DEFINED}{inside}</routes>")
    (folder / "zones.add.xml").write_text(f"<additional>{ZONES}</additional>")
    command = [str(Path(sumo.SUMO_HOME, "bin", "sumo")), "-n", str(NET), "-r", str(folder / "my.rou.xml")]
    command += ["--vehroute-output", str(folder / "routes.xml"), "--no-step-log", "--end", "900"]
    command += ["-a", str(folder / "zones.add.xml")] if has_zones else ["--junction-taz"]
    subprocess.run(command, check=True, capture_output=True)
    root = ElementTree.parse(folder / "routes.xml").getroot()
    return Counter(route.attrib["edges"] for vehicle in root for route in vehicle.findall("route"))


@pytest.mark.parametrize(
    ("attributes", "child", "shares"),
    [
        ('route="d"', "", {"n_in s_out": 0.75, "n_in w_out": 0.25}),
        ('route="e"', "", {"n_in s_out": 0.25, "n_in w_out": 0.75}),
        ("", '<route edges="e_in w_out"/>', {"e_in w_out": 1.0}),
        (
            "",
            '<routeDistribution><route edges="e_in w_out" probability="1"/><route edges="e_in s_out" probability="4"/>'
            "</routeDistribution>",
            {"e_in w_out": 0.2, "e_in s_out": 0.8},
        ),
    ],
)
def test_distributions_have_their_shares(attributes, child, shares):
    assert ways(f'<flow id="f" {attributes}>{child}</flow>') == pytest.approx(shares)


def test_a_distribution_has_these_shares_in_sumo(tmp_path):
    taken = simulated(tmp_path, '<flow id="f" route="d" begin="0" end="600" number="200"/>')
    # Binomial with mean 150: five standard deviations.
    assert abs(taken["n_in s_out"] - 150) < 31
    assert taken["n_in s_out"] + taken["n_in w_out"] == 200


@pytest.mark.parametrize("attributes", ["", 'from="n_in" to="nowhere"', 'fromTaz="unknown" to="s_out"', 'route="x"'])
def test_without_a_route_there_is_no_way(attributes):
    assert ways(f'<trip id="a" {attributes}/>') == {}


def test_ends_in_metres_are_left_to_sumo():
    assert ways('<trip id="a" fromXY="300,500" toXY="300,100"/>') is None


def test_junctions_are_noticed():
    assert has_junctions(ElementTree.fromstring('<routes><vType/><trip toJunction="a"/></routes>'))
    assert has_junctions(ElementTree.fromstring('<routes><person><walk fromJunction="a"/></person></routes>'))
    assert not has_junctions(ElementTree.fromstring('<routes><trip from="a" to="b" fromTaz="c"/></routes>'))


@pytest.mark.parametrize(
    ("kind", "vehicle_class"),
    [
        ("lorry", "truck"),
        ("DEFAULT_VEHTYPE", "passenger"),
        ("DEFAULT_BIKETYPE", "bicycle"),
        ("trucks", "truck"),
        ("mixed", None),
        ("named", "truck"),
        ("anywhere", None),
    ],
)
def test_classes_of_types_and_distributions(kind, vehicle_class):
    inside = """<vType id="anywhere" vClass="ignoring"/><vTypeDistribution id="trucks"><vType id="a" vClass="truck"/>
    <vType id="b" vClass="truck"/></vTypeDistribution><vTypeDistribution id="mixed"><vType id="c"/><vType id="d"
    vClass="bicycle"/></vTypeDistribution><vTypeDistribution id="named" vTypes="lorry a"/>"""
    root = ElementTree.fromstring(f'<routes>{DEFINED}{inside}<trip id="a" type="{kind}"/></routes>')
    assert Definitions([root]).vehicle_class(root[-1]) == vehicle_class
