"""Zones and loops in the simulator: readings as in the files of SUMO's own detectors, failures, reward, layout."""

import itertools
from collections import defaultdict
from xml.etree import ElementTree

import numpy as np
import pytest
import sumolib
import torch

from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.simulator.episode import EpisodeRequest
from genreplay.envs.sumo.world import SumoWorld
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION, REWARD
from tests.helpers.command_line import genreplay, only_run
from tests.helpers.paths import REPOSITORY
from tests.helpers.signals import MAPS
from tests.helpers.simulators import longest_wait, recording_simulator

SECONDS = 600
NET = MAPS / "ped.net.xml"


def config_of(sensors, failures=0.0, **options):
    demand = DemandConfig(flow_range=[1000.0, 1000.0], evaluation_flows=[1200.0])
    defaults = {"net_file": str(NET), "route_file": str(MAPS / "ped.rou.xml"), "episode_seconds": SECONDS}
    return SumoConfig(sensors=sensors, sensor_failures=failures, demand=demand, **(defaults | options))


def play(config, folder, change=None, seed=3):
    """The simulator, values by part and place, and rewards of the decisions of an episode of random actions."""
    folder.mkdir(exist_ok=True)
    simulator = recording_simulator()(config, folder)
    if change is not None:
        change(simulator)
    values, rewards, ends, rng = [], [], [], np.random.default_rng(0)
    simulator.start(EpisodeRequest(seed, evaluation=True))
    is_over = False
    while not is_over:
        outcome = simulator.decide(rng.uniform(-1, 1, simulator.timing.action_width))
        observation = np.array(outcome.observation)
        values.append({
            (part.quantity, place): observation[simulator.view.slices[part.quantity]][i] * part.scales[i]
            for part in simulator.view.parts for i, place in enumerate(part.places)
        })  # fmt: skip
        rewards.append(outcome.reward)
        ends.append(simulator.episode.elapsed)
        is_over = outcome.truncated
    return simulator, values, rewards, ends


def with_own_detectors(folder, *elements):
    """Adds detectors of the test, at places of its own, that write a file each second; the lanes and the file."""
    net, out = sumolib.net.readNet(str(NET)), folder / "seen.xml"
    light = net.getTrafficLights()[0]
    lanes = list(dict.fromkeys(lane for lane, _, _ in light.getConnections()))

    def change(simulator):
        file = simulator._files.additional
        tree = ElementTree.parse(file)
        for lane, (element, name, attributes) in itertools.product(lanes, elements):
            places = {
                key: f"{lane.getLength() - value:.2f}" for key, value in attributes.items() if key in ("pos", "endPos")
            }
            rest = {key: str(value) for key, value in attributes.items() if key not in places}
            ident = {"id": f"own {name} {lane.getID()}", "lane": lane.getID(), "period": "1", "file": str(out)}
            ElementTree.SubElement(tree.getroot(), element, ident | places | rest)
        tree.write(file, encoding="unicode")

    return change, [lane.getID() for lane in lanes], out


def seconds_of(out):
    """`{detector: [interval of each second]}`"""
    found = defaultdict(list)
    for interval in ElementTree.parse(out).iter("interval"):
        found[interval.get("id").removeprefix("own ")].append(interval)
    return found


def numbers(intervals, key):
    return np.array([float(interval.get(key)) for interval in intervals])


def test_zones_count_as_sumo_does(tmp_path):
    """SUMO's file differs where a vehicle leaves the zone, or changes its lane, in the very second of a decision."""
    area = {"pos": 50.0, "endPos": 0.0, "speedThreshold": 0.1, "timeThreshold": 0}
    change, lanes, out = with_own_detectors(tmp_path, ("laneAreaDetector", "zone", area))
    _, values, _, ends = play(config_of("zones"), tmp_path, change)
    seen, last = seconds_of(out), np.array(ends) - 1
    for quantity, key in (("zone_count", "meanVehicleNumber"), ("zone_standing", "intervalHaltingDurationSum")):
        read = np.array([[each[quantity, lane] for lane in lanes] for each in values])
        differences = np.abs(read - np.array([numbers(seen[f"zone {lane}"], key)[last] for lane in lanes]).T)
        assert differences.max() < 1.001
        assert (differences < 0.001).mean() > 0.95
        assert read.max() > 2.9


def test_loops_count_as_sumo_does(tmp_path):
    stop_line = ("inductionLoop", "stop_line", {"pos": 5.0, "length": 5})
    change, lanes, out = with_own_detectors(tmp_path, stop_line, ("inductionLoop", "upstream", {"pos": 40.0}))
    _, values, _, ends = play(config_of("loops"), tmp_path, change)
    seen = seconds_of(out)
    begins = [0, *ends[:-1]]
    durations, shares = np.diff([0, *ends]), []
    for loop, lane in itertools.product(("stop_line", "upstream"), lanes):
        entered, occupancy = (numbers(seen[f"{loop} {lane}"], key) for key in ("nVehEntered", "occupancy"))
        of = {
            what: np.array([each[f"{loop}_{what}", lane] for each in values])
            for what in ("occupied", "occupancy", "counted", "gap")
        }
        np.testing.assert_allclose(
            of["counted"], [entered[a:b].sum() for a, b in zip(begins, ends, strict=True)], atol=1e-4
        )
        busy = occupancy > 0
        for i, end in enumerate(ends):
            before = np.flatnonzero(busy[:end])
            assert of["gap"][i] == pytest.approx(min(30, end if len(before) == 0 else end - 1 - before[-1]), abs=1e-4)
            if occupancy[end - 1] in (0.0, 100.0):
                assert of["occupied"][i] == occupancy[end - 1] / 100.0
        shares.append([(of["occupancy"] * durations).sum(), occupancy.sum() / 100.0])
    mine, sumos = np.array(shares).T
    assert mine.sum() == pytest.approx(sumos.sum(), rel=0.03)  # once a second, and SUMO all the time
    assert np.corrcoef(mine, sumos)[0, 1] > 0.99
    assert max(each["stop_line_counted", lane] for each in values for lane in lanes) > 3


@pytest.mark.parametrize("kind", ["zones", "loops"])
def test_buttons_are_pressed_by_people(tmp_path, kind):
    _, values, _, _ = play(config_of(kind), tmp_path)
    pressed = np.array([[value for (quantity, _), value in each.items() if quantity == "button"] for each in values])
    assert set(np.unique(pressed)) == {0.0, 1.0}
    assert pressed.shape[1] == 4


@pytest.mark.parametrize("kind", ["zones", "loops"])
def test_failed_detectors_call_all_the_time(tmp_path, kind):
    simulator, values, _, _ = play(config_of(kind, 1.0), tmp_path)
    failed = {
        "zones": {"zone_count": 1, "zone_standing": 1},
        "loops": {
            f"{loop}_{what}": value
            for loop in ("stop_line", "upstream")
            for what, value in (("occupied", 1), ("occupancy", 1), ("counted", 0), ("gap", 0))
        },
    }[kind]
    lanes = [section.name for section in simulator.intersection.sections if section.lanes]
    for each, lane, (quantity, value) in itertools.product(values, lanes, failed.items()):
        assert each[quantity, lane] == pytest.approx(value)
    timing = simulator.timing
    for each in values:
        shown = [each["phase", str(p)] for p in range(timing.num_stages)].index(1.0)
        for r, stage in enumerate(timing.home):
            is_road = simulator.view.calls[: len(lanes), shown, stage].any()
            assert is_road <= (each["waited_for", str(stage)] > 0)
            assert timing.is_satisfied[shown, r] <= (not is_road)


@pytest.mark.parametrize("kind", ["zones", "loops"])
def test_nobody_who_is_seen_waits_longer_than_promised(tmp_path, kind):
    """A controller that always prefers the same stage; with random traffic on a map with a slip lane."""

    class Watching(recording_simulator()):
        def _sumo_step(self):
            super()._sumo_step()
            names = [section.name for section in self.intersection.sections]
            seen = np.zeros(len(names))
            if hasattr(self, "episode") and self.episode.detectors is not None:
                self.episode.detectors.record()  # the reading of this very second, whatever else is recorded
                seen[[names.index(name) for name in self.view.callers]] = self.episode.detectors.calling()
            self.present.append(seen)

        def _begin(self, *arguments, **named):
            self.present = []
            super()._begin(*arguments, **named)

    options = {"net_file": str(MAPS / "allred_slip.net.xml"), "route_file": None, "max_red": 70}
    simulator = Watching(config_of(kind, 0.2, **options), tmp_path)
    simulator.start(EpisodeRequest(3, evaluation=True))
    favourite = np.eye(simulator.timing.action_width)[1]
    favourite[0] = 1.0
    while not simulator.decide(favourite).truncated:
        pass
    assert 50 < longest_wait(simulator) <= 70


def test_the_reward_does_not_depend_on_the_sensors(tmp_path):
    """In a fixed order of stages the same actions give the same traffic, whoever is seen."""
    rewards = {
        kind: play(config_of(kind, action_mode="duration"), tmp_path / kind)[2] for kind in ("full", "zones", "loops")
    }
    assert rewards["full"] == rewards["zones"] == rewards["loops"]
    assert min(rewards["full"]) < -1.0


@pytest.mark.parametrize("kind", ["zones", "loops"])
@pytest.mark.parametrize("mode", ["phase_duration", "cycle"])
def test_rewards_are_generated_and_the_rest_is_derived(kind, mode):
    here = SumoWorld(config_of(kind, 0.2, action_mode=mode))
    derived = {column.name for column in here.layout.columns if column.derived}
    assert "reward" not in derived
    assert {"duration", "terminated", "next phase"} <= derived
    env = here.make_env(1, lambda worker, index: index)
    try:
        torch.manual_seed(0)
        real = env.rollout(12 if mode == "cycle" else 50, break_when_any_done=False).reshape(-1)
    finally:
        env.close()
    codec = Codec(here.layout)
    decoded = codec.decode(codec.encode(real))
    for key in here.layout.widths():
        torch.testing.assert_close(decoded[key], real[key], rtol=1e-5, atol=1e-5)
    made = codec.decode(torch.randn(200, codec.width, generator=torch.Generator().manual_seed(0)) * 3)
    for key in (OBSERVATION, NEXT_OBSERVATION):
        assert (made[key] >= 0).all()
        assert (made[key] <= torch.from_numpy(here.view.high)).all()
    assert (made[REWARD] <= 0).all()
    assert made[ACTION].abs().max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zones", "loops"])
def test_a_policy_is_trained_and_evaluated_with_them(tmp_path, kind):
    small = {
        "agent.hidden_width": 16, "generator.network.hidden_width": 16, "generator.network.num_blocks": 1,
        "generator.fit.num_steps": 20, "generator.sampler.num_steps": 4, "relevance.hidden_width": 16,
        "loop.num_env_steps": 60, "loop.warmup_env_steps": 20, "loop.utd_ratio": 1, "loop.first_refit_env_step": 30,
        "loop.refit_every_env_steps": 30, "loop.num_synthetic_rows": 200, "loop.evaluate_every_env_steps": 60,
        "evaluation.seeds": "[1]", "env.episode_seconds": 300, "fabric.accelerator": "cpu",
        "env.sensors": kind, "env.sensor_failures": 0.1,
    }  # fmt: skip
    config = REPOSITORY / "conf/sumo_pgr.yaml"
    done = genreplay(tmp_path, "fit", "--config", str(config), *(f"{key}={value}" for key, value in small.items()))
    assert done.returncode == 0, done.stderr
    client, run = only_run(tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.params["env.sensors"] == kind
    (delay,) = client.get_metric_history(run.info.run_id, "evaluation/delay")
    assert delay.value > 0
    assert run.data.metrics["counters/generator_step"] > 0
