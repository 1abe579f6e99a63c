"""Gymnasium environments with awkward traits: accepted, or refused by name and step before a row is stored."""

import importlib
import inspect
import json
import logging
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box

from genreplay import cli
from genreplay.envs.episodes import play_all
from genreplay.envs.gymnasium.config import GymnasiumConfig
from genreplay.envs.gymnasium.env import scaled
from genreplay.envs.gymnasium.world import GymnasiumWorld
from genreplay.replay.collection import Collection
from genreplay.transitions.keys import NEXT_OBSERVATION, OBSERVATION, REWARD
from tests.helpers import odd_envs
from tests.helpers.parts import agent_for
from tests.helpers.paths import REPOSITORY
from tests.helpers.refusal import refusal

ODD = "tests.helpers.odd_envs"

NOT_FINITE = {
    "NanReward": "gave the reward nan, which is no finite number (float32)",
    "InfReward": "gave the reward inf, which is no finite number (float32)",
    "NanObs": "observed nan in entry 1, which is no finite number (float32)",
}


def world_of(name: str) -> GymnasiumWorld:
    importlib.import_module(ODD)
    return GymnasiumWorld(GymnasiumConfig(id=f"{ODD}:{name}-v0"))


def make(name: str, num_workers: int = 1):
    return world_of(name).make_env(num_workers, lambda worker, index: 10 * worker + index)


def still(observations):
    return {worker: np.zeros(1, np.float32) for worker in observations}


@pytest.mark.parametrize("name", NOT_FINITE)
def test_a_row_that_is_not_finite_is_refused_by_name_and_step_and_never_stored(name: str) -> None:
    """While the agent collects, while it is evaluated, and where a checkpoint's actions are played again."""
    message = (
        f"env.id: {ODD}:{name}-v0 {NOT_FINITE[name]}, at step 7 of the episode with seed {{}}; correct the environment"
    )
    collection, stored = Collection(make(name), agent_for("gymnasium").policy(deterministic=False), 100), []

    def collect() -> None:
        while True:
            stored.append(collection.next())

    assert refusal(collect) == message.format(0)
    assert len(stored) == 6
    assert all(np.isfinite(rows[key]).all() for rows in stored for key in (OBSERVATION, NEXT_OBSERVATION, REWARD))
    assert refusal(lambda: play_all(make(name), still, [3, 4])) == message.format(3)
    env = make(name, num_workers=2)
    env.load_state_dict(
        {"episode_index": [0, 1], "returns": [0, 0], "num_decisions": [0, 9], "episodes": [[], [[0.0]] * 9]}
    )
    assert refusal(env.reset) == message.format(11)


FAULTS = {
    "NanReward": (7, NOT_FINITE["NanReward"]),
    "Raises": (13, "raised RuntimeError: the physics engine gave up (odd_envs.py, line {line})"),
    "Exits": (13, "ended the program (exit status 3)"),
    "Hangs": (13, "gave no answer within 0.2 s (loop.decision_deadline)"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_its_episode_alone_and_so_many_are_skipped(name: str, caplog) -> None:
    """The other worker keeps its rows; the fault after those that are skipped is raised; a resumed run goes on."""
    step, what = FAULTS[name]
    line = inspect.getsourcelines(odd_envs.Raises.step)[1] + 2
    message = f"env.id: {ODD}:{name}-v0 {what.format(line=line)}, at step {step} of the episode with seed {{}}; "
    message += "correct the environment"
    env = make(name, num_workers=2)
    env.checks.deadline, env.faults.limit = 0.2, 3
    env.envs[1] = make("ConstantWorld").envs[0]
    collection = Collection(env, agent_for("gymnasium").policy(deterministic=False), 100)
    with caplog.at_level(logging.WARNING, "genreplay"):
        counts = [len(collection.next()) for _ in range(4 * step - 1)]
        assert refusal(collection.next) == message.format(3)
    assert [at for at, count in enumerate(counts, 1) if count == 1] == [step, 2 * step, 3 * step]
    assert caplog.messages == [
        f"{message.format(seed)} (skipped: fault {seed + 1} of 3, loop.max_faults)" for seed in range(3)
    ]
    state = json.loads(json.dumps(collection.state_dict()))
    assert state["env"]["faults"] == 4
    assert state["env"]["episode_index"][0] == 4
    resumed = Collection(make(name, num_workers=2), collection.policy, 100)
    resumed.env.envs[1] = make("ConstantWorld").envs[0]
    resumed.load_state_dict(state)
    assert len(resumed.next()) == 2
    assert resumed.env.state_dict()["episode_index"] == state["env"]["episode_index"]


def test_none_in_place_of_a_step_or_an_observation_is_named() -> None:
    env = make("GivesNone")
    env.begin({0: 4})
    for _ in range(12):
        env.decide(still({0: None}))
    assert "GivesNone-v0 raised TypeError: cannot unpack non-iterable NoneType object (" in refusal(
        lambda: env.decide(still({0: None}))
    )
    env.envs[0].unwrapped.observe = lambda: None
    assert refusal(lambda: env.begin({0: 4})).endswith(
        " observed None, which is no array of numbers, at the start of the episode with seed 4; correct the environment"
    )


def test_a_fit_ends_in_one_line(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    config = str(REPOSITORY / "conf/pendulum_pgr.yaml")
    argv = ["fit", "--config", config, f"env.id={ODD}:NanReward-v0", "fabric.accelerator=cpu"]
    assert cli.main(argv) == 2
    *_, last = capsys.readouterr().err.strip().splitlines()
    assert last.startswith(f"genreplay: error: env.id: {ODD}:NanReward-v0 gave the reward nan, which is no finite")


def test_a_wrong_shape_is_refused_at_the_start() -> None:
    with pytest.warns(UserWarning, match="not within the observation space"):
        assert refusal(make("WrongShape").reset) == (
            f"env.id: {ODD}:WrongShape-v0 observed an array of shape (4,), but its space has shape (3,), at the start "
            "of the episode with seed 0; correct the environment"
        )


def test_a_reward_is_one_number() -> None:
    env = make("ConstantWorld")

    def reward_of(reward: object) -> float:
        env.envs[0].unwrapped.reward = lambda action: reward
        env.begin({0: 5})
        return env.decide(still({0: None}))[0].reward

    for reward in (np.float32(2.0), np.array([2.0], np.float32), np.array([[2.0]]), np.array(2), 2):
        assert reward_of(reward) == 2.0
    for reward in (np.array([2.0, 3.0]), np.array([]), "2 points", None):
        assert refusal(partial(reward_of, reward)) == (
            f"env.id: {ODD}:ConstantWorld-v0 gave the reward {reward!r}, which is not one number, at step 1 of the "
            "episode with seed 5; correct the environment"
        )


def test_an_end_and_a_cut_at_the_same_step_is_an_end() -> None:
    (episode,) = play_all(make("Both"), still, [0])
    assert (episode["num_decisions"], episode["return"]) == (10.0, 10.0)
    rows = make("Both").rollout(20, break_when_any_done=False)[0]
    assert rows["next", "terminated"].view(-1).nonzero().view(-1).tolist() == [9, 19]


def test_a_saturated_action_stays_inside_a_float64_box() -> None:
    env = make("StrictAction")
    env.start({0: 0})
    for action in ((1.0, 1.0), (-1.0, -1.0), (9.0, -9.0), (0.3, -0.7)):
        env.advance({0: np.array(action, np.float32)})  # the environment asserts it
    rng = np.random.default_rng(0)
    bounds = np.sort(rng.normal(size=(2, 1000)) * 10.0 ** rng.integers(-6, 6, 1000), axis=0)
    for dtype in (np.float64, np.float32):
        space = Box(*bounds.astype(dtype), dtype=dtype)
        for end, expected in ((1.0, space.high), (-1.0, space.low)):
            saturated = scaled(np.full(1000, end, np.float32), space)
            assert space.contains(saturated)
            assert np.allclose(saturated, expected)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_every_whole_number_has_an_equal_share_of_the_actions(dtype) -> None:
    actions = np.linspace(-1.0, 1.0, 110_001)[:, None]
    values = scaled(actions, Box(0, 10, (1,), dtype)).ravel()
    assert values.dtype == dtype
    assert np.abs(np.bincount(values) - 10_000).max() <= 1
    env = make("IntAction")
    env.start({0: 0})
    for action in (-1.0, 0.0, 1.0):
        env.advance({0: np.full(2, action, np.float32)})  # the environment asserts its bounds and its kind


def test_an_array_that_is_used_again_leaves_earlier_observations_alone() -> None:
    env = make("ReusedArray")
    first = env.begin({0: 0})[0]
    assert env.decide(still({0: None}))[0].observation.tolist() == [0.0, 1.0]
    assert first.tolist() == [0.0, 0.0]


def test_an_action_that_is_no_number_blames_the_agent() -> None:
    env = make("HugeObs")
    env.begin({0: 8})
    assert refusal(lambda: env.decide({0: np.full(1, np.nan, np.float32)})) == (
        f"env.id: {ODD}:HugeObs-v0 was given an action that is no number, at step 1 of the episode with seed 8; scale "
        "its observations to about 1, or lower the agent's learning rates"
    )


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("DictObs", "choose an environment that observes a flat Box"),
        ("ImageObs", "choose an environment that observes a flat Box"),
        ("DiscreteAct", "choose one with continuous actions"),
        ("MultiDiscreteAct", "choose one with continuous actions"),
        ("MatrixAct", "choose one with continuous actions"),
        ("HalfBounded", "choose one with bounded actions"),
    ],
)
def test_other_spaces_are_refused(name: str, ending: str) -> None:
    assert refusal(lambda: world_of(name)).endswith(f"; {ending}")
