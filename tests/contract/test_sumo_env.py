"""SUMO environments keep TorchRL's contract, the layout's, and the loop's (same seed, same episode; resuming)."""

from contextlib import closing

import numpy as np
import pytest
import torch
from tensordict.nn import TensorDictModule

from genreplay.common.seeding import derive_seed
from genreplay.envs.facets import BaselineRun
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.world import SumoWorld
from genreplay.replay.warmup import random_actions
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION, REWARD

MODES = ["actuated", "stage_duration", "phase_duration", "duration", "cycle"]


def seeds(worker, index):
    return derive_seed(0, "episode", worker, index)


def running(world, num_workers=1, evaluation=False):
    return closing(world.make_env(num_workers, seeds, evaluation))


def world(scenario="2way", mode="phase_duration", seconds=300):
    return SumoWorld(SumoConfig(scenario=scenario, action_mode=mode, episode_seconds=seconds))


def rollout(env, num_steps, layout=None):
    """Uniformly random numbers, and of a `layout` with a choice a random one."""
    torch.manual_seed(0)
    policy, like = None, torch.zeros(env.action_spec.shape)
    if layout is not None and layout.choice is not None:
        policy = TensorDictModule(lambda _: random_actions(layout, like), in_keys=[OBSERVATION], out_keys=[ACTION])
    return env.rollout(num_steps, policy, break_when_any_done=False)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", ["2way", "cologne1"])
def test_derived_columns_are_what_the_environment_gave(scenario, mode):
    here = world(scenario, mode, seconds=400)
    with running(here) as env:
        real = rollout(env, 12 if mode == "cycle" else 50, here.layout).reshape(-1)
    assert real["next", "truncated"].any()
    codec = Codec(here.layout)
    decoded = codec.decode(codec.encode(real))  # the rows of a codec are without derived columns
    for key in here.layout.widths():
        torch.testing.assert_close(decoded[key], real[key], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("derive", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_any_generated_row_decodes_to_a_valid_transition(mode, derive):
    here = world("ingolstadt1", mode)
    codec = Codec(here.layout, derive=derive)
    decoded = codec.decode(torch.randn(500, codec.width, generator=torch.Generator().manual_seed(0)) * 3)
    slices, high = here.view.slices, torch.from_numpy(here.view.high)
    for key in (OBSERVATION, NEXT_OBSERVATION):
        assert (decoded[key] >= 0).all()
        assert (decoded[key] <= high).all()
        phase = decoded[key][:, slices["phase"]]
        assert ((phase == 0) | (phase == 1)).all()
        assert (phase.sum(1) == 1).all()
        counts = decoded[key][:, slices["queue"]] * torch.from_numpy(here.view.capacity).float()
        torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-4)
    durations = decoded["next", "duration"]
    assert (durations == durations.round()).all()
    assert (durations >= 5).all()
    assert (durations <= here.view.timing.longest_decision).all()
    assert (decoded[REWARD] <= 0).all()
    choice = here.layout.choice
    if choice is not None:
        stages = decoded[ACTION][:, choice.start :]
        assert ((stages == 0) | (stages == 1)).all()
        assert (stages.sum(1) == 1).all()
    if derive:
        assert not decoded["next", "terminated"].any()


def test_evaluation_traffic_is_the_same_for_every_controller():
    here = SumoWorld(SumoConfig(scenario="single", episode_seconds=300))
    with running(here, num_workers=2, evaluation=True) as env:
        fixed = env.play_baseline(BaselineRun("fixed_plan"), {0: 1, 1: 2})
        env.start({0: 1, 1: 2})
        alive = {0, 1}
        found: dict[int, dict[str, float]] = {}
        while alive:
            steps = env.advance({worker: np.zeros(here.view.timing.action_width) for worker in alive})
            ended = {worker for worker, step in steps.items() if step.truncated}
            found |= {worker: env.metrics(worker) for worker in ended}
            alive -= ended
    for worker in (0, 1):
        assert found[worker]["num_vehicles"] == fixed[worker]["num_vehicles"] > 100
        assert found[worker]["demand_scale"] == fixed[worker]["demand_scale"] == 1.0
        assert found[worker]["delay"] != fixed[worker]["delay"]
    assert fixed[0]["delay"] != fixed[1]["delay"]


def test_an_episode_ends_at_the_first_decision_at_or_after_its_length():
    here = world(seconds=100)
    with running(here) as env:
        real = rollout(env, 30)[0]
    ends = real["next", "truncated"].view(-1).nonzero().view(-1)
    begin = 0
    for end in ends.tolist():
        durations = real["next", "duration"][begin : end + 1].view(-1)
        assert durations.sum() >= 100
        assert durations[:-1].sum() < 100
        begin = end + 1
    assert len(ends) >= 2
    assert not real["next", "terminated"].any()
