"""Each baseline in the simulator on traffic with a known answer: all vehicles go from west to east."""

import itertools
from contextlib import closing

import numpy as np
import pytest

from genreplay.common.errors import UserError
from genreplay.envs.facets import BaselineRun
from genreplay.envs.sumo.baselines.table import BASELINES
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.simulator.episode import EpisodeRequest
from genreplay.envs.sumo.traffic.scenarios import resolve
from genreplay.envs.sumo.world import SumoWorld
from tests.helpers.signals import MAPS
from tests.helpers.simulators import recording_simulator

SECONDS = 600
WE = 2
"""The phase that lets the west go straight, of ns, ns left, we, we left."""
ROUTES = '<routes><route id="we" edges="w_t t_e"/><flow id="f" route="we" begin="0" end="9999" period="5"/></routes>'


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """Plays an episode under a baseline; its figures, and the states shown as [phase, or its yellow], seconds."""
    folder = tmp_path_factory.mktemp("baselines")
    (folder / "west.rou.xml").write_text(ROUTES)
    config = SumoConfig(
        net_file=str(resolve(SumoConfig()).net_file),
        route_file=str(folder / "west.rou.xml"),
        episode_seconds=SECONDS,
        min_green=5,
        max_green=40,
    )
    simulator = recording_simulator()(config, folder)

    def run(name, settings=None, demand="1"):
        figures = simulator.baseline(EpisodeRequest(3, True, demand), name, settings or {})
        greens = [stage.state for stage in simulator.intersection.plan.stages]
        shown = [greens.index(s) if s in greens else "y" for s in simulator.states]
        return figures, [(phase, len(list(group))) for phase, group in itertools.groupby(shown)]

    return run


def greens(runs):
    """Lengths by phase, without the first and the last, which the episode cuts."""
    of_phase: dict[int, list[int]] = {phase: [] for phase in range(4)}
    for phase, length in runs[1:-1]:
        if phase != "y":
            of_phase[phase].append(length)
    return of_phase


@pytest.mark.parametrize(
    "name", ["fixed_plan", *(name for name in BASELINES if name not in ("constant_plan", "time_of_day"))]
)
def test_every_episode_has_the_same_length_and_traffic(play, name):
    figures, runs = play(name)
    assert sum(length for _, length in runs) == SECONDS
    assert figures["num_vehicles"] == SECONDS / 5
    assert figures["demand_scale"] == 1.0
    assert all(length == 2 for phase, length in runs if phase == "y")
    assert all(length >= 5 for phase, length in runs[1:-1] if phase != "y")


def test_the_fixed_plan_is_the_maps(play):
    _, runs = play("fixed_plan")
    assert runs[:9] == [(0, 33), ("y", 2), (1, 6), ("y", 2), (2, 33), ("y", 2), (3, 6), ("y", 2), (0, 33)]


@pytest.mark.parametrize(
    ("name", "incumbent", "programme"),
    [
        ("nema", "nema_plan", None),
        ("nema", "nema_plan", "0"),
        ("actuated", "actuated_plan", None),
        ("two_programmes", "fixed_plan", None),
    ],
)
def test_the_incumbent_is_the_maps_programme_named_by_its_kind(tmp_path, name, incumbent, programme):
    """SUMO shows the map's own stages, each at least once, with something between them."""
    config = SumoConfig(net_file=str(MAPS / f"{name}.net.xml"), programme=programme, episode_seconds=300)
    assert next(iter(SumoWorld(config).evaluation.sees)) == incumbent
    simulator = recording_simulator()(config, tmp_path)
    figures = simulator.baseline(EpisodeRequest(3, True, "1000"), incumbent, {})
    shown = [state for state, _ in itertools.groupby(simulator.states)]
    stages = {stage.state for stage in simulator.intersection.plan.stages}
    assert len(stages & set(shown)) >= 4
    assert all(not {a, b} <= stages for a, b in itertools.pairwise(shown))
    assert figures["throughput"] > 20


def test_a_constant_plan_is_shown_as_it_is(play):
    _, runs = play("constant_plan", {"greens": [7, 5, 21, 6]})
    assert runs[:9] == [(0, 7), ("y", 2), (1, 5), ("y", 2), (2, 21), ("y", 2), (3, 6), ("y", 2), (0, 7)]


def test_webster_gives_the_only_flow_all_but_the_least_greens(play):
    """720 vehicles/h on one lane: L = 4 * (2 + 1) s, so C = 23 / (1 - 0.4) = 38 s, of which the west could have 15 s.
    That carries 1800 * 14 / 38 = 663. 1800 * 24 / 48 = 900 and 1800 * 34 / 58 = 1055 halve the delay twice; the longest
    green is 40 s.
    """
    _, runs = play("webster")
    assert {phase: set(lengths) for phase, lengths in greens(runs).items()} == {0: {5}, 1: {5}, 2: {35}, 3: {5}}


@pytest.mark.parametrize("name", ["actuated", "delay_based"])
def test_actuated_programmes_prolong_the_only_green_that_is_used(play, name):
    figures, runs = play(name, demand="2")
    of_phase = greens(runs)
    assert all(5 <= length <= 40 for lengths in of_phase.values() for length in lengths)
    assert np.mean(of_phase[WE]) > 10
    assert all(np.mean(of_phase[phase]) < 8 for phase in (0, 1, 3))
    assert figures["delay"] < play("fixed_plan", demand="2")[0]["delay"]


@pytest.mark.parametrize("name", ["actuated", "delay_based"])
def test_actuated_programmes_obey_max_red_and_the_longest_green_of_each_stage(tmp_path, name):
    """Cars from the west every 2 s hold its green to the end; one from the south waits from second 20 on."""
    south = '<vehicle id="s{0}" depart="{0}"><route edges="s_t t_n"/></vehicle>'
    west = '<vehicle id="w{0}" depart="{0}"><route edges="w_t t_e"/></vehicle>'
    cars = "".join((south if second % 90 == 20 else west).format(second) for second in range(0, SECONDS, 2))
    (tmp_path / "cars.rou.xml").write_text(f"<routes>{cars}</routes>")
    longest: dict[tuple, int] = {}
    reds: dict[tuple, float] = {}
    for bounds in ((120, 300), (120, 70), (30, 300)):
        config = SumoConfig(
            net_file=str(resolve(SumoConfig()).net_file),
            route_file=str(tmp_path / "cars.rou.xml"),
            episode_seconds=SECONDS,
            max_greens=[40, 10, bounds[0], 10],
            max_red=bounds[1],
        )
        simulator = recording_simulator()(config, tmp_path)
        figures = simulator.baseline(EpisodeRequest(3, True, "1"), name, {})
        west_green = simulator.intersection.plan.stages[WE].state
        runs = [(state, len(list(group))) for state, group in itertools.groupby(simulator.states)]
        longest[bounds] = max(length for state, length in runs if state == west_green)
        assert all(length == 2 for state, length in runs if "y" in state)
        reds[bounds] = figures["longest_red"]
    assert longest[120, 300] > 70
    assert reds[120, 300] > 70
    assert 40 < reds[120, 70] <= 70
    assert longest[30, 300] == 30


@pytest.mark.parametrize("name", ["max_pressure", "longest_queue", "fully_actuated", "fully_actuated_loops"])
def test_rules_go_to_the_only_queue_and_stay(play, name):
    figures, runs = play(name)
    assert [phase for phase, _ in runs] == [0, "y", WE]
    assert figures["delay"] < 0.2 * play("fixed_plan")[0]["delay"]


@pytest.mark.parametrize(
    ("name", "sensors"),
    [
        ("fully_actuated", "full"),
        ("fully_actuated_loops", "loops"),
        ("actuated_queue", "full"),
        ("actuated_queue", "loops"),
    ],
)
def test_people_are_served_within_seconds_and_then_the_light_rests(tmp_path, name, sensors):
    """The first person crosses in the stage that is green, the second one in the other stage."""
    walks = '<walk from="n_in" to="s_out"/>', '<walk from="e_in" to="w_out"/>'
    people = "".join(
        f'<person id="{i}" depart="{100 * (i + 1)}" departPos="280">{walk}</person>' for i, walk in enumerate(walks)
    )
    (tmp_path / "people.rou.xml").write_text(f"<routes>{people}</routes>")
    config = SumoConfig(
        net_file=str(MAPS / "ped.net.xml"),
        route_file=str(tmp_path / "people.rou.xml"),
        episode_seconds=300,
        sensors=sensors,
    )
    simulator = recording_simulator()(config, tmp_path)
    simulator.baseline(EpisodeRequest(3, True, "1"), name, {})
    greens = [stage.state for stage in simulator.intersection.plan.stages]
    shown = [greens.index(state) for state in simulator.states if state in greens]
    assert [stage for stage, _ in itertools.groupby(shown)] in ([0, 1], [0, 1, 0])
    assert shown[:100] == [0] * 100


def test_random_phases_are_drawn_by_the_episodes_seed(play):
    first, again = play("random"), play("random")
    assert first == again
    assert {phase for phase, _ in first[1]} == {0, 1, 2, 3, "y"}
    assert first[0]["delay"] > play("max_pressure")[0]["delay"]


def test_a_policys_evaluation_episode_ends_on_time_too(tmp_path):
    simulator = recording_simulator()(SumoConfig(episode_seconds=203), tmp_path)
    seconds = {}
    for evaluation in (True, False):
        simulator.start(EpisodeRequest(3, evaluation))
        seconds[evaluation], over = 0.0, False
        while not over:
            outcome = simulator.decide(np.array([0.7, 0.1, 0.5, 0.2, 0.4]))
            seconds[evaluation], over = seconds[evaluation] + outcome.duration, outcome.truncated
    assert seconds[True] == 203
    assert seconds[False] > 203
    with pytest.raises(UserError, match=r"^--demand 0: there is no such demand; "):
        simulator.start(EpisodeRequest(3, True, "0"))


def test_an_episode_is_given_up_once_it_is_sure_to_end_above_the_limit():
    world = SumoWorld(SumoConfig(episode_seconds=600))
    with closing(world.make_env(1, lambda worker, index: 0, evaluation=True)) as env:
        env.demand = "1500"

        def jammed(**options):
            return env.play_baseline(BaselineRun("constant_plan", {"greens": [5, 40, 5, 40]}, **options), {0: 3})[0]

        whole = jammed()
        assert jammed(limit=whole["delay"]) == whole
        given_up = jammed(limit=0.4 * whole["delay"])
    assert set(given_up) == {"delay", "simulated_seconds"}
    assert 0.4 * whole["delay"] < given_up["delay"] < whole["delay"]
    assert 0 < given_up["simulated_seconds"] < 600
