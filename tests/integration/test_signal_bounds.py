"""Bounds of the signal in the simulator: for random, adversarial and rule-based controllers, on every kind of map."""

import itertools

import numpy as np
import pytest

from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.simulator.episode import EpisodeRequest
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.signals import MAPS
from tests.helpers.simulators import longest_wait, recording_simulator

SECONDS = 900
JUNCTIONS = {
    "allred_slip": {}, "nema": {}, "tram": {"route_file": str(MAPS / "tram.rou.xml")},
    "ped": {"route_file": str(MAPS / "ped.rou.xml")}, "staggered": {}, "lefthand": {}, "two_programmes": {},
}  # fmt: skip


def simulator_of(name, folder, **options):
    """A simulator that records the state, and who is present on each section, second by second."""

    class Watching(recording_simulator()):
        def _sumo_step(self):
            super()._sumo_step()
            self.present.append(self.episode.readings.present() if hasattr(self, "episode") else None)

        def _begin(self, *arguments, **named):
            self.present: list = []
            super()._begin(*arguments, **named)

    demand = DemandConfig(evaluation_flows=[1200.0])
    config = SumoConfig(
        net_file=str(MAPS / f"{name}.net.xml"), episode_seconds=SECONDS, demand=demand, **(JUNCTIONS[name] | options)
    )
    return Watching(config, folder)


def check(simulator):
    """Greens within their bounds, changes as planned, nobody waiting for longer than promised."""
    plan = simulator.intersection.plan
    states = [stage.state for stage in plan.stages]
    runs = [(state, len(list(group))) for state, group in itertools.groupby(simulator.states)]
    shown = [i for i, (state, _) in enumerate(runs) if state in states]
    for i, k in itertools.pairwise(shown):
        now, following = states.index(runs[i][0]), states.index(runs[k][0])
        assert runs[i + 1 : k] == list(plan.transitions[now][following])
        assert runs[i][1] >= plan.stages[now].min_green
    assert longest_wait(simulator) <= plan.max_red
    return [states.index(runs[i][0]) for i in shown]


@pytest.mark.parametrize("name", JUNCTIONS)
@pytest.mark.parametrize(
    "controller",
    ["random", "stubborn", "random actuated", "stubborn actuated", "max_pressure", "longest_queue", "actuated_queue"],
)
def test_bounds_hold(tmp_path, name, controller):
    """The stubborn one wants the first stage for ever, and with actuated greens a reach of 90 m."""
    kind, _, mode = controller.partition(" ")
    simulator = simulator_of(name, tmp_path, action_mode=mode or "phase_duration")
    request = EpisodeRequest(3, evaluation=True)
    if controller in ("max_pressure", "longest_queue", "actuated_queue"):
        simulator.baseline(request, controller, {})
    else:
        rng = np.random.default_rng(0)
        simulator.start(request)
        favourite = np.ones(simulator.timing.action_width)
        favourite[1 - simulator.timing.num_stages :] = 0.0
        is_over = False
        while not is_over:
            random = rng.uniform(-1, 1, simulator.timing.action_width)
            is_over = simulator.decide(random if kind == "random" else favourite).truncated
    assert len(set(check(simulator))) > 1


def test_the_bound_makes_the_difference(tmp_path):
    """The stubborn controller would keep people waiting for as long as the bound lets it."""
    waits = []
    for max_red in (60, 200):
        simulator = simulator_of("allred_slip", tmp_path, max_red=max_red)
        simulator.start(EpisodeRequest(3, evaluation=True))
        favourite = np.array([1.0, 1.0, -1.0, -1.0, -1.0])
        while not simulator.decide(favourite).truncated:
            pass
        waits.append(longest_wait(simulator))
    assert waits[0] <= 60 < 100 < waits[1] <= 200


def test_pedestrians_are_seen_and_served(tmp_path):
    """People who wait call their stage; their waiting is a part of the reward."""
    simulator = simulator_of("ped", tmp_path)
    simulator.start(EpisodeRequest(3, evaluation=True))
    favourite = np.array([1.0, 1.0, -1.0])
    crossings = [i for i, section in enumerate(simulator.intersection.sections) if section.crossing]
    seen, is_over = [], False
    while not is_over:
        outcome = simulator.decide(favourite)
        seen.append(np.array(outcome.observation)[crossings].sum())
        is_over = outcome.truncated
    assert max(seen) > 0
    assert {len(present) for present in simulator.present} == {len(simulator.intersection.sections)}


def test_one_light_of_a_larger_map(tmp_path):
    """The named light is controlled; the others keep their programmes."""
    net_file = resolve(SumoConfig()).net_file.parents[1] / "2x2grid/2x2.net.xml"
    config = SumoConfig(net_file=str(net_file), light="5", episode_seconds=300)
    simulator = recording_simulator()(config, tmp_path)
    simulator.start(EpisodeRequest(3, evaluation=True))
    others = {name: set() for name in ("1", "2", "6")}
    is_over = False
    while not is_over:
        for name, seen in others.items():
            seen.add(simulator.sumo.trafficlight.getRedYellowGreenState(name))
        outcome = simulator.decide(np.random.default_rng(0).uniform(-1, 1, simulator.timing.action_width))
        is_over = outcome.truncated
    assert simulator.intersection.light == "5"
    assert outcome.metrics["throughput"] > 30
    assert all(len(seen) > 2 for seen in others.values())
    assert len(set(simulator.states)) > 2
