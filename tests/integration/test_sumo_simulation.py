"""The simulator second by second, compared with SUMO's own records; failures of the simulator."""

import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.reward import REWARD_SCALE
from genreplay.envs.sumo.simulator.episode import EpisodeRequest, Outcome
from genreplay.envs.sumo.simulator.tripinfo import read_trips
from genreplay.envs.sumo.traffic.scenarios import resolve
from genreplay.envs.sumo.world import SumoWorld
from tests.helpers.simulators import recording_simulator


def random_play(simulator, request):
    rng = np.random.default_rng(0)
    simulator.start(request)
    outcomes: list[Outcome] = []
    while not outcomes or not outcomes[-1].truncated:
        outcomes.append(simulator.decide(rng.uniform(-1, 1, simulator.timing.action_width)))
    return outcomes


@pytest.mark.parametrize("mode", ["phase_duration", "duration", "cycle"])
@pytest.mark.parametrize(("scenario", "yellow", "all_red"), [("2way", None, 0), ("cologne1", 6, 2)])
def test_greens_and_yellows_in_random_play(tmp_path, mode, scenario, yellow, all_red):
    config = SumoConfig(
        scenario=scenario,
        action_mode=mode,
        episode_seconds=900,
        min_green=6,
        max_green=20,
        yellow_time=yellow,
        all_red_time=all_red,
    )
    simulator = recording_simulator()(config, tmp_path)
    plan = simulator.intersection.plan
    greens = [stage.state for stage in plan.stages]
    outcomes = random_play(simulator, EpisodeRequest(3, evaluation=False))
    assert len(simulator.states) == sum(outcome.duration for outcome in outcomes)
    runs = [(state, len(list(group))) for state, group in itertools.groupby(simulator.states)]
    shown = [i for i, (state, _) in enumerate(runs) if state in greens]
    assert {runs[i][0] for i in shown} == set(greens)
    for i, k in itertools.pairwise(shown):
        now, following = greens.index(runs[i][0]), greens.index(runs[k][0])
        assert runs[i + 1 : k] == list(plan.transitions[now][following])
        assert runs[i + 1][1] == (2 if yellow is None else yellow)
        assert 6 <= runs[i][1] <= 20 or now == following


def test_the_reward_is_the_delay_that_sumo_records(tmp_path):
    """Rewards against timeLoss + departDelay of all trips, at a demand that spills out of the map.

    The two differ by time lost on the intersection and beyond it, and by each driver's desired speed.
    """
    config = SumoConfig(episode_seconds=900, demand=DemandConfig(evaluation_flows=[2600.0]))
    simulator = recording_simulator()(config, tmp_path)
    outcomes = random_play(simulator, EpisodeRequest(3, evaluation=True))
    lost = -sum(outcome.reward for outcome in outcomes) / REWARD_SCALE
    trips = read_trips(tmp_path / "tripinfo.xml")
    assert trips.delay.sum() > 10_000
    assert lost == pytest.approx(trips.delay.sum(), rel=0.02)
    root = ElementTree.parse(tmp_path / "tripinfo.xml").getroot()
    waited = (trips.delay.sum() - sum(float(trip.attrib["timeLoss"]) for trip in root)) + trips.waiting_time.sum()
    assert outcomes[-1].metrics["mean_queue"] * len(simulator.states) == pytest.approx(waited, rel=0.02)


def test_a_killed_worker_is_reported_and_the_run_goes_on(caplog):
    world = SumoWorld(SumoConfig(episode_seconds=300))
    with closing(world.make_env(2, lambda worker, index: worker + 10 * index)) as env:
        torch.manual_seed(0)
        state = env.reset()
        state = env.rand_step(state)["next"]
        before = state["observation"][1].clone()
        os.killpg(env.workers[1].pid, signal.SIGKILL)
        with caplog.at_level(logging.WARNING, "genreplay"):
            broken = env.rand_step(state)
        assert broken["next", "failed"].view(-1).tolist() == [False, True]
        assert broken["next", "truncated"].view(-1).tolist() == [False, True]
        assert not broken["next", "terminated"].any()
        assert torch.equal(broken["next", "observation"][1], before)
        assert caplog.messages == [
            "env: the simulator of worker 1 failed and is restarted: the simulator process ended with signal 9"
        ]
        state = env.rollout(5, break_when_any_done=False)
        assert not state["next", "failed"].any()


def test_the_worker_dies_with_its_parent():
    world = SumoWorld(SumoConfig())
    env = world.make_env(1, lambda worker, index: index)
    env.reset()
    worker = env.workers[0]
    assert worker._process.stdin is not None
    worker._process.stdin.close()  # as the parent's death does
    deadline = time.monotonic() + 20
    while worker._process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert worker._process.poll() == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(worker.pid, 0)
    env.close()


def test_a_stopped_worker_is_told_and_restarted(caplog, monkeypatch):
    world = SumoWorld(SumoConfig(episode_seconds=300))
    with closing(world.make_env(1, lambda worker, index: index)) as env:
        action = np.zeros(env.action_spec.shape[-1])
        env.begin({0: 1})
        env.decide({0: action})
        env.checks.deadline = 1.0
        worker = env.workers[0]
        sent, stopped = worker.send, []

        def send_and_stop(message):
            sent(message)
            if not stopped:
                stopped.append(os.killpg(worker.pid, signal.SIGSTOP))

        monkeypatch.setattr(worker, "send", send_and_stop)
        pid = worker.pid
        with caplog.at_level(logging.WARNING, "genreplay"):
            assert env.decide({0: action})[0].failed
        assert worker.pid != pid
        assert caplog.messages == [
            "env: the simulator of worker 0 failed and is restarted: the simulator process gave no sign of life for "
            "1 s (loop.decision_deadline)"
        ]


ORPHAN = """
import os, signal, sys
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.world import SumoWorld
env = SumoWorld(SumoConfig()).make_env(1, lambda worker, index: index)
env.begin({0: 1})
os.killpg(env.workers[0].pid, signal.SIGSTOP)
print(env.workers[0].pid, env._folder.name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's signal at a parent's death")
def test_a_stopped_worker_does_not_outlive_a_killed_parent():
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=False)
    pid, folder = done.stdout.split()
    shutil.rmtree(folder)
    deadline = time.monotonic() + 20
    while (status := Path("/proc", pid, "stat")).exists() and status.read_text().split()[2] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


ROUTES = """<routes>
<vehicle id="good" depart="0"><route edges="w_t t_e"/></vehicle>
{middle}
<vehicle id="lost" depart="{depart}" departLane="9"><route edges="w_t t_e"/></vehicle></routes>"""


def own_map(tmp_path, depart):
    route_file = tmp_path / "routes.rou.xml"
    middle = "".join(f'<vehicle id="v{t}" depart="{t}"><route edges="w_t t_e"/></vehicle>' for t in range(1, depart, 5))
    route_file.write_text(ROUTES.format(middle=middle, depart=depart))
    net_file = str(resolve(SumoConfig()).net_file)
    demand = DemandConfig(scale_range=[1.0, 1.0])
    return SumoConfig(net_file=net_file, route_file=str(route_file), episode_seconds=900, demand=demand)


def test_a_scenario_that_cannot_start_gives_sumos_message_at_once(tmp_path):
    with closing(SumoWorld(own_map(tmp_path, depart=1)).make_env(1, lambda worker, index: index)) as env:
        with pytest.raises(UserError) as error:
            env.rand_step(env.reset())
        assert str(error.value).startswith("env: SUMO cannot run this scenario: ")
        assert "Invalid departLane definition for vehicle 'lost'" in str(error.value)
        assert "\n" not in str(error.value)


def test_a_vehicle_that_cannot_depart_ends_the_episode_and_is_named(tmp_path, caplog):
    with closing(SumoWorld(own_map(tmp_path, depart=600)).make_env(1, lambda worker, index: index)) as env:
        torch.manual_seed(0)
        with caplog.at_level(logging.WARNING, "genreplay"):
            real = env.rollout(60, break_when_any_done=False)
        failed = real["next", "failed"].view(-1)
        assert 1 <= failed.sum() < 20
        assert len(caplog.messages) == failed.sum()
        assert "Invalid departLane definition for vehicle 'lost'" in caplog.messages[0]
        assert env.pop_finished() == []


def test_three_failures_in_a_row_end_the_run():
    with closing(SumoWorld(SumoConfig(episode_seconds=300)).make_env(1, lambda worker, index: index)) as env:
        action = np.zeros(env.action_spec.shape[-1])
        env.begin({0: 1})
        assert not env.decide({0: action})[0].failed
        for _ in range(2):
            os.killpg(env.workers[0].pid, signal.SIGKILL)
            assert env.decide({0: action})[0].failed
        os.killpg(env.workers[0].pid, signal.SIGKILL)
        with pytest.raises(UserError) as error:
            env.decide({0: action})
        assert str(error.value) == (
            "env: SUMO failed 3 times in a row in worker 0: the simulator process ended with signal 9"
        )


@pytest.mark.parametrize("seconds", [120, 30, -1])
def test_sumo_gets_the_time_after_which_a_blocker_is_passed(tmp_path, seconds):
    simulator = recording_simulator()(SumoConfig(junction_blocker_seconds=seconds), tmp_path)
    simulator.start(EpisodeRequest(0, evaluation=True))
    assert float(simulator.sumo.simulation.getOption("ignore-junction-blocker")) == seconds
    simulator.close()
