import re

import pytest

from genreplay.envs.sumo.network.intersection import cleared_state, read_intersection, yellow_state
from genreplay.envs.sumo.traffic.scenarios import SCENARIOS
from tests.helpers.junctions import junction
from tests.helpers.paths import REPOSITORY

EXAMPLE = REPOSITORY / "examples/my_junction/my_junction.net.xml"


@pytest.mark.parametrize(
    ("name", "num_greens", "num_lanes", "upstream", "yellow"),
    [
        ("2way", 4, 8, {}, 2),
        ("single", 2, 4, {}, 2),
        ("cologne1", 4, 8, {"27115123#3": {"27115123#2", "130165204"}}, 5),
        ("ingolstadt1", 3, 7, {"164051413": {"653473569#5", "391891458#0", "25149219#1"}}, 3),
    ],
)
def test_what_the_shipped_maps_say(name, num_greens, num_lanes, upstream, yellow):
    intersection = junction(name, 300.0)
    assert len(intersection.greens) == num_greens
    assert sum(len(section.lanes) for section in intersection.sections) == num_lanes
    found = {approach.name: set(approach.edges[1:]) for approach in intersection.approaches if approach.edges[1:]}
    assert found == upstream
    assert (intersection.yellow_time, intersection.all_red_time) == (yellow, 0)
    assert name in SCENARIOS


def test_signal_states_between_greens():
    assert yellow_state("GGgrrs", "rGrGrr") == "yGyrrs"
    assert cleared_state("yGyrrs") == "rGrrrs"


def test_random_traffic_enters_upstream():
    intersection = junction("cologne1", 300.0)
    entries = dict(zip([approach.name for approach in intersection.approaches], intersection.entries, strict=True))
    assert all(entry[-1] == name for name, entry in entries.items())
    assert entries["27115123#3"][-2:] == ("27115123#2", "27115123#3")


def test_cars_keep_off_tracks_and_paths(tmp_path):
    net_file = tmp_path / "tram.net.xml"
    text = EXAMPLE.read_text()
    net_file.write_text(re.sub(r'(<lane id="south_in_0" index="0")', r'\1 allow="tram"', text))
    intersection = read_intersection(net_file, 300.0)
    assert {movement.from_edge for movement in intersection.movements if not movement.has_cars} == {"south_in"}
