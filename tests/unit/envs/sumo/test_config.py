import pytest

from genreplay.common.errors import FieldError, UserError
from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.network.intersection import cleared_state, yellow_state
from genreplay.envs.sumo.traffic.scenarios import SCENARIOS, resolve
from tests.helpers.junctions import junction


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"scenario": "2way", "net_file": "mine.net.xml"},
            "net_file: scenario '2way' has a map already; set scenario: null to use your own, or drop net_file",
        ),
        (
            {"route_file": "mine.rou.xml"},
            "route_file: belongs to net_file; set net_file too (and scenario: null), or drop route_file",
        ),
        ({"action_mode": "split"}, "action_mode: must be one of phase_duration, duration, cycle, not 'split'"),
        (
            {"min_green": 10, "max_green": 15},
            "max_green: must be at least twice min_green (10), not 15, so that a green can be chosen",
        ),
        ({"backend": "sumo"}, "backend: must be one of libsumo, traci, not 'sumo'"),
        ({"yellow_time": 0}, "yellow_time: must be at least 1 s, or null for the map's own, not 0"),
        ({"junction_blocker_seconds": 0}, "junction_blocker_seconds: must be at least 1 s, or -1 for never, not 0"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(FieldError) as error:
        SumoConfig(**settings)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"flow_range": [2000.0, 1000.0]},
            "flow_range: must be [smallest, largest] with 1 <= smallest <= largest, not [2000.0, 1000.0]",
        ),
        ({"evaluation_scales": []}, "evaluation_scales: must be a list of positive numbers, not []"),
    ],
)
def test_demand_that_cannot_work(settings, message):
    with pytest.raises(FieldError) as error:
        DemandConfig(**settings)
    assert str(error.value) == message


def test_unknown_scenario():
    with pytest.raises(UserError) as error:
        resolve(SumoConfig(scenario="cologne7"))
    assert str(error.value) == (
        "env.scenario: there is no scenario 'cologne7'; choose one of 2way, single, cologne1, ingolstadt1, or set "
        "env.net_file to a map of your own"
    )


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError) as error:
        resolve(SumoConfig(net_file=str(tmp_path / "a.net.xml")))
    assert str(error.value) == f"env.net_file: there is no file {tmp_path / 'a.net.xml'}; write the path of one"
    net_file = str(resolve(SumoConfig(scenario="2way")).net_file)
    with pytest.raises(UserError) as error:
        resolve(SumoConfig(net_file=net_file, route_file=str(tmp_path / "b.rou.xml")))
    assert str(error.value) == f"env.route_file: there is no file {tmp_path / 'b.rou.xml'}; write the path of one"


def test_default_scenario_and_overridden_times():
    scenario = resolve(SumoConfig(episode_seconds=90, begin_time=7))
    assert scenario == resolve(SumoConfig(scenario="2way", episode_seconds=90, begin_time=7))
    assert (scenario.begin_time, scenario.episode_seconds, scenario.route_file) == (7, 90, None)


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
