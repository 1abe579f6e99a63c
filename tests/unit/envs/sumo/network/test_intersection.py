import re

import pytest

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.scenarios import SCENARIOS
from tests.helpers.junctions import junction
from tests.helpers.paths import REPOSITORY
from tests.helpers.signals import MAPS

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
    assert len(intersection.plan.stages) == num_greens
    assert sum(len(section.lanes) for section in intersection.sections) == num_lanes
    found = {approach.name: set(approach.edges[1:]) for approach in intersection.approaches if approach.edges[1:]}
    assert found == upstream
    assert (intersection.plan.yellow_time, intersection.plan.all_red_time) == (yellow, 0)
    assert name in SCENARIOS


def test_random_traffic_enters_upstream():
    intersection = junction("cologne1", 300.0)
    entries = dict(zip([approach.name for approach in intersection.approaches], intersection.entries, strict=True))
    assert all(entry[-1] == name for name, entry in entries.items())
    assert entries["27115123#3"][-2:] == ("27115123#2", "27115123#3")


def test_cars_keep_off_tracks_and_paths(tmp_path):
    net_file = tmp_path / "tram.net.xml"
    text = EXAMPLE.read_text()
    net_file.write_text(re.sub(r'(<lane id="south_in_0" index="0")', r'\1 allow="tram"', text))
    intersection = read_intersection(net_file, SumoConfig())
    assert {movement.from_edge for movement in intersection.movements if not movement.has_cars} == {"south_in"}


def test_a_left_hand_map_has_its_turns(tmp_path):
    """Turnarounds of left-hand maps have the direction `T`; a direction may be `invalid`."""
    text = (MAPS / "lefthand.net.xml").read_text()
    assert 'dir="T"' in text
    left_hand = read_intersection(MAPS / "lefthand.net.xml", SumoConfig())
    assert left_hand.is_left_hand
    assert sorted({movement.turn for movement in left_hand.movements}) == ["left", "right", "straight", "turn"]
    odd = tmp_path / "odd.net.xml"
    odd.write_text(text.replace('dir="s"', 'dir="invalid"', 1))
    assert [m.turn for m in read_intersection(odd, SumoConfig()).movements] == [m.turn for m in left_hand.movements]


def test_crossings_are_sections():
    intersection = read_intersection(MAPS / "ped.net.xml", SumoConfig())
    crossings = {s.crossing: links for s, links in zip(intersection.sections, intersection.section_links, strict=True)}
    assert {name: links for name, links in crossings.items() if name} == {
        ":C_c0": (20,), ":C_c1": (21,), ":C_c2": (22,), ":C_c3": (23,)
    }  # fmt: skip
    assert {section.crossing: set(section.edges) for section in intersection.sections if section.crossing} == {
        ":C_c0": {":C_w0", ":C_w1"}, ":C_c1": {":C_w1", ":C_w2"},
        ":C_c2": {":C_w2", ":C_w3"}, ":C_c3": {":C_w3", ":C_w0"},
    }  # fmt: skip
    assert not intersection.is_left_hand
