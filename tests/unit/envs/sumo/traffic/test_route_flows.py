from xml.etree import ElementTree

import numpy as np
import pytest

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.traffic.route_flows import route_flows
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.junctions import junction

ROUTES = """<routes>
<route id="we" edges="w_t t_e"/>
<vehicle id="a" depart="1" route="we"/>
<vehicle id="b" depart="2"><route edges="n_t t_w"/></vehicle>
<trip id="c" depart="3" from="s_t" to="t_n"/>
<trip id="d" depart="4" from="t_e" to="t_e"/>
<flow id="e" route="we" begin="0" end="900" vehsPerHour="40"/>
<flow id="f" from="e_t" to="t_s" begin="900" end="9999" probability="0.01"/>
<flow id="g" from="e_t" to="t_w" begin="0" end="1800" period="90"/>
<flow id="h" from="e_t" to="t_n" begin="0" end="1800" period="exp(0.005)"/>
<flow id="i" from="w_t" to="t_n" begin="0" end="1800" number="7"/>
</routes>"""


def test_flows_are_counted_by_movement():
    net_file = resolve(SumoConfig()).net_file
    movements = junction().movements
    flows = route_flows(ElementTree.fromstring(ROUTES), movements, net_file, 0.0, 1800.0).flows
    counted = {(m.from_edge, m.to_edge): flow / 2 for m, flow in zip(movements, flows, strict=True) if flow > 0}
    assert counted == pytest.approx(
        {
            ("w_t", "t_e"): 1 + 10,
            ("n_t", "t_w"): 1,
            ("s_t", "t_n"): 1,
            ("e_t", "t_s"): 9,
            ("e_t", "t_w"): 20,
            ("e_t", "t_n"): 9,
            ("w_t", "t_n"): 7,
        }
    )


def test_cologne_sends_most_of_its_trips_over_the_light():
    scenario = resolve(SumoConfig(scenario="cologne1"))
    movements = junction("cologne1").movements
    root = ElementTree.parse(scenario.route_files[0]).getroot()
    flows = route_flows(root, movements, scenario.net_file, 25200.0, 28800.0).flows
    assert np.all(flows >= 0)
    assert flows.sum() > 0.9 * len(root.findall("trip"))
