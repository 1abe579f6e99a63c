"""Plans of the maps in tests/data/signals: what an engineer reads from them."""

import re

import numpy as np
import pytest

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.signals.build import read_plan
from genreplay.envs.sumo.signals.plan import round_of
from tests.helpers.refusal import refusal
from tests.helpers.signals import MAPS, map_plan


def shown(plan, start, end):
    return [tuple(step) for step in plan.transitions[start][end]]


def test_a_dark_phase_is_no_stage():
    plan = map_plan("flashphase", "mid")
    assert [stage.state for stage in plan.stages] == ["GGGggrrrrrGGGggrrrrr", "rrrrrGGGggrrrrrGGGgg"]
    assert plan.intergreen.tolist() == [[0, 3], [3, 0]]


def test_red_and_amber_belongs_to_the_change():
    plan = map_plan("redyellow", "mid")
    assert shown(plan, 0, 1) == [
        ("yyyyyrrrrryyyyyrrrrr", 3), ("rrrrrrrrrrrrrrrrrrrr", 1), ("rrrrruuuuurrrrruuuuu", 1)
    ]  # fmt: skip
    assert plan.all_red_time == 2


@pytest.mark.parametrize("name", ["allred", "allred_slip"])
def test_all_red_holds_for_everyone_who_conflicts(name):
    """Two seconds between all stages of different streets, also in changes that the programme never shows; a slip lane
    that is always green takes part in none.
    """
    plan = map_plan(name)
    assert plan.always_green == ({0} if name == "allred_slip" else set())
    assert (plan.yellow_time, plan.all_red_time) == (4, 2)
    for start, end in [(0, 2), (0, 3), (1, 2), (1, 3), (2, 0), (2, 1), (3, 0), (3, 1)]:
        assert plan.intergreen[start, end] == 6
        slip = {state[0] for state, _ in plan.transitions[start][end]}
        assert slip == ({"G"} if name == "allred_slip" else {"y", "r"} if start == 0 else {"r"})


def test_pedestrian_clearance_belongs_to_every_change():
    plan = map_plan("ped")
    assert [(stage.has_walk, stage.min_green, stage.green_seconds) for stage in plan.stages] == [(True, 7, 37)] * 2
    assert shown(plan, 0, 1) == [("gGGggrrrrrgGGggrrrrrrrrr", 5), ("yyyyyrrrrryyyyyrrrrrrrrr", 3)]


def test_nema_stages_are_the_pairs_within_a_barrier():
    plan = map_plan("nema")
    assert plan.kind == "NEMA"
    left, through = {3, 4, 13, 14}, {0, 1, 2, 10, 11, 12}
    green = [{i for i, c in enumerate(stage.state) if c == "G"} for stage in plan.stages]
    assert green[:4] == [left, {10, 11, 12, 13, 14}, {0, 1, 2, 3, 4}, through]
    assert [{link - 5 for link in links} for links in green[4:6]] == [left, {10, 11, 12, 13, 14}]
    assert {(stage.min_green, stage.max_green) for stage in plan.stages} == {(5, 50)}
    # Yellow 3 s and red 2 s, as its phases say; a phase that stays green is not interrupted.
    assert shown(plan, 0, 1) == [("rrryyrrrrrrrrGGrrrrr", 3), ("rrrrrrrrrrrrrGGrrrrr", 2)]
    assert set(plan.intergreen[~np.eye(8, dtype=bool)].tolist()) <= {3, 5}


def test_nema_without_rings_is_refused(tmp_path):
    net_file = tmp_path / "odd.net.xml"
    net_file.write_text(
        (MAPS / "nema.net.xml").read_text().replace('key="ring1" value="1,2,3,4"', 'key="ring1" value="1,2,3,9"')
    )
    assert refusal(lambda: read_plan(net_file, "C", SumoConfig())) == (
        f"env.net_file: the NEMA programme '0' of the traffic light 'C' of {net_file} names the phase '9', which it "
        "does not have; give it the parameters ring1, ring2, barrierPhases and barrier2Phases with the names of its "
        "phases"
    )


def test_nema_phases_without_yellow_get_one(tmp_path):
    net_file = tmp_path / "bare.net.xml"
    net_file.write_text((MAPS / "nema.net.xml").read_text().replace(' yellow="3" red="2"', ""))
    plan = read_plan(net_file, "C", SumoConfig())
    assert shown(plan, 0, 4) == [("rrryyrrrrrrrryyrrrrr", 3)]
    assert {stage.green_seconds for stage in plan.stages} == {50}


def test_an_actuated_programme_bounds_its_greens():
    plan = map_plan("actuated")
    assert plan.kind == "actuated"
    assert {(stage.min_green, stage.max_green) for stage in plan.stages} == {(5, 50)}
    chosen = map_plan("actuated", max_greens=[40, 10, 30, 10], min_green=6)
    assert [(stage.min_green, stage.max_green) for stage in chosen.stages] == [(6, 40), (6, 10), (6, 30), (6, 10)]


def test_a_programme_is_chosen_by_name():
    assert (map_plan("two_programmes").programme, map_plan("two_programmes").cycle_seconds) == ("night", 48)
    assert map_plan("two_programmes", programme="0").cycle_seconds == 90
    assert refusal(lambda: map_plan("two_programmes", programme="day")) == (
        f"env.programme: the traffic light 'C' of {MAPS}/two_programmes.net.xml has no programme 'day'; choose one of "
        "'0', 'night'"
    )


def test_a_protected_green_that_becomes_permissive_is_interrupted():
    """From left turns with right of way to the stage where they give way to the oncoming stream, which starts."""
    plan = map_plan("actuated")
    assert shown(plan, 1, 0) == [("rrryyrrrrrrrryyrrrrr", 3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"yellow_time": 3},
            "env.yellow_time: 3 s is less than the 4 s that the programme of the traffic light 'C' of",
        ),
        ({"all_red_time": 1}, "env.all_red_time: 1 s is less than the 2 s that the programme of"),
        ({"max_red": 20}, "env.max_red: the light 'C' needs 22 s to serve everybody once with the shortest greens"),
        ({"max_greens": [20, 20]}, "env.min_greens, env.max_greens: give one number for each of the 4 stages"),
        ({"max_greens": [20, 4, 20, 20]}, "env.max_green: the longest green of stage 1, 4 s, is below its shortest, 5"),
    ],
)
def test_options_that_do_not_fit_the_programme(options, message):
    assert refusal(lambda: map_plan("allred", **options)).startswith(message)


def test_longer_clearance_than_the_programmes_is_made():
    plan = map_plan("allred", yellow_time=5, all_red_time=3)
    assert plan.intergreen[0, 2] == 8
    assert shown(plan, 0, 2)[0][1] == 5


def test_two_greens_with_right_of_way_on_conflicting_paths_are_refused(tmp_path):
    net_file = tmp_path / "unsafe.net.xml"
    text = (MAPS / "allred.net.xml").read_text()
    net_file.write_text(re.sub(r'state="GGGggrrrrrGGGggrrrrr"', 'state="GGGGGrrrrrGGGggrrrrr"', text))
    assert refusal(lambda: read_plan(net_file, "C", SumoConfig())) == (
        f"env.net_file: stage 0 (GGGGGrrrrrGGGggrrrrr) of the traffic light 'C' of {net_file} gives the conflicting "
        "links 3 and 11 green with right of way at the same time; write g for the one that has to give way, or "
        "separate them"
    )


def test_the_round_serves_every_group_once():
    first, second, third = frozenset({0, 1}), frozenset({0, 2}), frozenset({2, 3})
    assert round_of([first, frozenset({1}), third, frozenset({3}), second], 4) == {
        0: [first, second], 3: [third, frozenset({3})], 1: [frozenset({1})]
    }  # fmt: skip
