"""The Overcooked world as TorchRL and the loop see it, and the exact check of its rows."""

import numpy as np
import pytest
import torch
from torchrl.envs.utils import check_env_specs

from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.kitchen.validity import REASONS
from genreplay.envs.overcooked.world import OvercookedWorld
from genreplay.replay.collection import executed
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import (
    ACTION,
    AGENTS_ACTION,
    AGENTS_OBSERVATION,
    EVENT,
    LEARNER,
    NEXT_OBSERVATION,
    OBSERVATION,
    PARTNER,
    POSSIBLE,
    REWARD,
    SHAPED_REWARD,
)


def seeds(worker, index):
    return 100 * worker + index


def make(num_workers=3, evaluation=False, **options):
    world = OvercookedWorld(OvercookedConfig(**options))
    return world, world.make_env(num_workers, seeds, evaluation)


def rows_of(world, env, num_steps=60):
    torch.manual_seed(0)
    return executed(env.rollout(num_steps, break_when_any_done=False).reshape(-1))


@pytest.mark.parametrize("partners", [[], ["self", "self"], ["stay", "random"], ["self", "greedy"]])
def test_it_keeps_torchrl_s_specs(partners):
    _, env = make(partners=partners, horizon=5, start="random")
    check_env_specs(env)


def test_each_agent_sees_itself_first():
    world, env = make(start="random")
    step = env.rollout(5)
    state, views = step[OBSERVATION], step[AGENTS_OBSERVATION]
    assert torch.equal(views[..., 0, :], state)
    assert torch.equal(views[..., 1, :], state[..., world.layout.seats.permutation])
    assert not torch.equal(views[..., 0, :], views[..., 1, :])
    assert torch.equal(views[..., 1, :][..., world.layout.seats.permutation], state)


def test_episodes_end_at_the_horizon_and_are_counted():
    _, env = make(num_workers=2, horizon=7)
    rollout = env.rollout(15, break_when_any_done=False)
    assert rollout["next", "truncated"].view(2, 15).nonzero().tolist() == [[0, 6], [0, 13], [1, 6], [1, 13]]
    assert not rollout["next", "terminated"].any()
    finished = env.pop_finished()
    assert [episode["seed"] for episode in finished] == [0.0, 100.0, 1.0, 101.0]
    assert {episode["num_decisions"] for episode in finished} == {7.0}
    assert env.pop_finished() == []


def test_a_delivery_rewards_the_team_and_is_counted():
    world, env = make(num_workers=1)
    code = world.kitchen.code
    state = env.reset().set(AGENTS_ACTION, torch.tensor([[5, 4]]))
    # Player 0 at (3, 2) faces the serving location to the south with a soup of three onions.
    env.codes[0, :3] = code.cells.index((3, 2)), 1, 5
    out = env.step(state)
    assert out[REWARD].item() == 20.0
    assert out["next", "agents", "reward"].view(-1).tolist() == [20.0, 20.0]
    assert out[SHAPED_REWARD].tolist() == [[0.0, 0.0]]
    assert env.metrics(0) == {"sparse_return": 20.0, "shaped_return": 0.0, "deliveries": 1.0, "potted_onions": 0.0}


def test_random_starts_are_of_training_only_and_a_function_of_the_seed():
    _, env = make(start="random")
    _, again = make(start="random")
    _, judged = make(start="random", evaluation=True)
    first = env.reset()[OBSERVATION]
    assert torch.equal(first, again.reset()[OBSERVATION])
    assert len({tuple(row) for row in first.tolist()}) == 3
    assert len({tuple(row) for row in judged.reset()[OBSERVATION].tolist()}) == 1


def test_a_learner_s_seat_and_partner_belong_to_the_episode():
    _, env = make(num_workers=8, partners=["stay", "random", "greedy"], horizon=6)
    rollout = env.rollout(12, break_when_any_done=False)
    for key in (LEARNER, PARTNER):
        value = rollout[key]
        assert (value.sum(-1) == 1).all()
        for episode in (value[:, :6], value[:, 6:]):
            assert (episode == episode[:, :1]).all()
    assert set(rollout[LEARNER][:, 0, 0].tolist()) == {0.0, 1.0}


def test_a_checkpoint_of_another_layout_is_refused():
    _, env = make()
    _, other = make(layout="forced_coordination")
    env.reset()
    other.load_state_dict(env.state_dict())
    with pytest.raises(ValueError, match=r"^the checkpoint has kitchens of shape \(3, 13\)"):
        other.reset()


def test_the_hooks_step_named_kitchens_alone():
    world, env = make(horizon=2)
    first = env.start({0: 1, 2: 3})
    assert set(first) == {0, 2}
    assert first[0].shape == (2, world.kitchen.code.width)
    steps = env.advance({2: np.array([3, 4])})
    assert (steps[2].truncated, steps[2].reward, steps[2].duration) == (False, 0.0, 1.0)
    assert not np.array_equal(steps[2].observation, first[2])
    assert env.advance({2: np.array([4, 4])})[2].truncated
    assert not env.advance({0: np.array([4, 4])})[0].truncated


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"partners": ["stay", "random", "greedy"]},
        {"partners": ["random", "self", "self"]},
        {"layout": "tutorial_0", "dynamics": "new"},
    ],
)
def test_the_codec_keeps_joint_rows_and_derives_the_rewards(options):
    world, env = make(num_workers=16, start="random", horizon=20, **options)
    rows = rows_of(world, env)
    assert (rows[SHAPED_REWARD] != 0).any()
    codec = Codec(world.layout)
    assert all(column.kind == "categorical" for column in codec.columns)
    decoded = codec.decode(codec.encode(rows))
    for key in world.layout.stored_keys:
        if key not in (("next", "truncated"), ("next", "done"), "is_synthetic"):
            assert torch.equal(decoded[key], rows[key].to(decoded[key].dtype)), key


def test_the_simulator_s_own_step_is_what_the_rows_say():
    world, env = make(num_workers=16, start="random", horizon=30)
    rows = rows_of(world, env)
    answer = world.oracle.simulate(rows)
    assert answer.pop(POSSIBLE).all()
    for key in answer.keys(include_nested=True, leaves_only=True):
        assert torch.equal(answer[key], rows[key]), key
    rows[OBSERVATION] = rows[OBSERVATION].clone()
    width = int(world.kitchen.code.offsets[3])
    rows[OBSERVATION][:, width : 2 * width] = rows[OBSERVATION][:, :width]
    assert not world.oracle.simulate(rows)[POSSIBLE].any()


def broken(world, rows):
    """Rows that are each broken in one way, by the reason that must be found."""
    code = world.kitchen.code
    states, following = code.from_one_hot(rows[OBSERVATION].numpy()), code.from_one_hot(rows[NEXT_OBSERVATION].numpy())
    pot = code.first_pot

    def with_state(column, value):
        changed = states.copy()
        changed[:, column] = value
        return OBSERVATION, torch.from_numpy(code.one_hot(changed))

    def with_next(column):
        changed = following.copy()
        changed[:, column] = (changed[:, column] + 1) % code.sizes[column]
        return NEXT_OBSERVATION, torch.from_numpy(code.one_hot(changed))

    yield "two cooks in one cell", with_state(3, states[:, 0])
    yield "soup that cannot be cooked", with_state(2, 3)
    yield "empty pot's timer", with_state([pot, pot + 1], [0, 5])
    yield "impossible pot", with_state([pot, pot + 1], [3, 0])
    yield "impossible pot", with_state([pot, pot + 1], [2, 7])
    yield "wrong next cell", with_next(0)
    yield "wrong next direction", with_next(4)
    yield "wrong next object in hand", with_next(5)
    yield "wrong next counter", with_next(6)
    yield "wrong next pot", with_next(pot + 1)
    yield "wrong event", (EVENT, rows[EVENT].roll(1, dims=1))
    yield "wrong reward", (REWARD, rows[REWARD] + 20)
    yield "wrong shaped reward", (SHAPED_REWARD, rows[SHAPED_REWARD] + 3)
    yield "wrong duration", (("next", "duration"), rows["next", "duration"] * 2)
    yield "terminated", (("next", "terminated"), ~rows["next", "terminated"])
    yield "not one-hot", (ACTION, rows[ACTION] * 0.5)
    yield "not one-hot", (OBSERVATION, rows[OBSERVATION] + 1)


def test_each_kind_of_broken_row_is_found():
    world, env = make(num_workers=8, horizon=20, start="random")
    rows = rows_of(world, env, 20)
    validity = world.oracle.validity(rows)
    assert validity["valid"].all()
    assert list(validity) == ["valid", *REASONS]
    found = set()
    for reason, (key, value) in broken(world, rows):
        validity = world.oracle.validity(rows.clone().set(key, value))
        assert validity[reason].all(), reason
        assert not validity["valid"].any()
        if reason.startswith(("wrong", "terminated")):
            assert [name for name in REASONS if validity[name].any()] == [reason]
        found.add(reason)
    assert found == set(REASONS) - {"cook out of its area"}


def test_a_cook_behind_the_counter_is_found():
    world, env = make(layout="forced_coordination")
    rows = rows_of(world, env, 5)
    code = world.kitchen.code
    codes = code.from_one_hot(rows[OBSERVATION].numpy())
    swapped = torch.from_numpy(code.one_hot(codes[:, code.swap]))
    validity = world.oracle.validity(rows.set(OBSERVATION, swapped))
    assert validity["cook out of its area"].all()


def test_probabilities_are_drawn_from_with_the_episodes_own_numbers():
    world = OvercookedWorld(OvercookedConfig(horizon=300))
    wanted = np.array([[0.1, 0.2, 0.3, 0.1, 0.1, 0.2], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]], dtype=np.float32)
    seen = []
    for num_workers in (1, 3):
        env = world.make_env(num_workers, lambda worker, index: 0, evaluation=True)
        played = []
        env._advance = lambda workers, actions, step=env._advance, to=played: (
            to.append(actions) or step(workers, actions)
        )
        env.start(dict.fromkeys(range(num_workers), 7))
        for _ in range(300):
            env.advance(dict.fromkeys(range(num_workers), wanted))
        seen.append(np.stack(played))
    one, three = seen
    assert (three == one).all()  # as many kitchens as there may be, the episode of a seed is the same
    shares = np.bincount(one[:, 0, 0], minlength=6) / 300
    assert np.abs(shares - wanted[0]).max() < 0.08
    assert (one[:, 0, 1] == 5).all()
