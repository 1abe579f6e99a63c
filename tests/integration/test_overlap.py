"""Collection beside the updates, on SUMO itself: the same transitions, in the time that learning takes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from tensordict.nn import TensorDictModule

from genreplay.agents.continuous.actor import Actor, ActorPolicy
from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.simulator.process import BEAT
from genreplay.envs.sumo.world import SumoWorld
from genreplay.replay.collection import Collection
from genreplay.replay.overlapped import OverlappedCollection
from tests.helpers.command_line import assert_same, genreplay, interrupt_after, last_checkpoint, only_run
from tests.helpers.paths import REPOSITORY

NUM_WORKERS, WARMUP, NUM_DECISIONS = 2, 4, 12
SMOKE = [
    "fit",
    "--config",
    str(REPOSITORY / "conf/smoke.yaml"),
    "loop.overlap_collection=true",
    "loop.num_workers=2",
    "loop.num_env_steps=140",
    "loop.utd_ratio=3",
    "loop.num_synthetic_rows=200",
    "loop.checkpoint_every_env_steps=1000",
    "generator.network.hidden_width=32",
    "generator.fit.num_steps=50",
    "agent.critic_updates_per_actor_update=3",
    "agent.hidden_width=32",
    "replay.batch_size=64",
    "evaluation.seeds=[1]",
    "fabric.accelerator=cpu",
]


def collecting(kind):
    """Simulators under an exploring policy that never learns."""
    world = SumoWorld(SumoConfig(scenario="2way", episode_seconds=120))
    env = world.make_env(NUM_WORKERS, lambda worker, index: derive_seed(0, "episode", worker, index))
    torch.manual_seed(0)
    actor = Actor(world.view.width, world.view.timing.action_width, 16)
    policy = TensorDictModule(ActorPolicy(actor, deterministic=False), in_keys=["observation"], out_keys=["action"])
    return kind(env, policy, WARMUP)


def turn(collection):
    rows = collection.next()
    collection.begin_next()
    return rows


@pytest.fixture(scope="module")
def in_turn():
    """Transitions and episodes of a collection that nothing overlaps, with learning in between."""
    collection = collecting(Collection)
    rows = [collection.next() for _ in range(NUM_DECISIONS)]
    episodes = collection.finished_episodes()
    collection.shutdown()
    assert episodes, "the test must see an episode end"
    return rows, episodes


def test_a_fixed_policy_makes_the_same_transitions(in_turn) -> None:
    collection = collecting(OverlappedCollection)
    try:
        rows = [turn(collection) for _ in range(NUM_DECISIONS)]
        assert all((one == other).all() for one, other in zip(rows, in_turn[0], strict=True))
        assert collection.finished_episodes() == in_turn[1]
    finally:
        collection.shutdown()


def test_the_simulators_work_while_nobody_waits_for_them() -> None:
    collection = collecting(OverlappedCollection)
    try:
        turn(collection)
        for worker in collection.env.workers:
            line = BEAT
            while line == BEAT:
                line = worker._lines.get(timeout=60)  # Empty: no answer came before it was asked for
            worker._lines.put(line)
        collection.next()
        assert all(worker._lines.empty() for worker in collection.env.workers)
    finally:
        collection.shutdown()


def test_a_resumed_collection_makes_the_decision_that_was_under_way(in_turn) -> None:
    stopped = collecting(OverlappedCollection)
    for _ in range(5):
        turn(stopped)
    state, random_state = json.loads(json.dumps(stopped.state_dict())), torch.get_rng_state()
    stopped.shutdown()
    resumed = collecting(OverlappedCollection)
    try:
        resumed.load_state_dict(state)
        torch.set_rng_state(random_state)
        for rows in in_turn[0][5:]:
            assert (turn(resumed) == rows).all()
    finally:
        resumed.shutdown()


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="processes are killed as a group")
def test_a_simulator_that_dies_meanwhile_costs_one_transition() -> None:
    collection = collecting(OverlappedCollection)
    try:
        collection.next()
        os.killpg(collection.env.workers[1].pid, signal.SIGSTOP)  # lest it has answered when it dies
        collection.begin_next()
        os.killpg(collection.env.workers[1].pid, signal.SIGKILL)
        assert len(turn(collection)) == NUM_WORKERS - 1
        for _ in range(2):
            assert len(turn(collection)) == NUM_WORKERS
    finally:
        collection.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_interrupted_run_loses_nothing(tmp_path: Path) -> None:
    """The whole run equals the one that was interrupted and resumed, so a seed gives the same run as well."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    done = genreplay(whole, *SMOKE)
    assert done.returncode == 0, done.stderr
    assert only_run(whole)[1].data.metrics["counters/generator_step"] > 0

    rest = interrupt_after("generator fitted", stopped, SMOKE)
    found = last_checkpoint(stopped).counters
    assert found["counters"]["env_step"] < 140, rest
    assert found["collection"]["action"] is not None, "a decision was under way"
    resumed = genreplay(stopped, "fit", "--resume", "last")
    assert resumed.returncode == 0, resumed.stderr
    assert_same(last_checkpoint(stopped), last_checkpoint(whole))
