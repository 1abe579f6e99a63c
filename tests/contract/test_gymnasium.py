import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torchrl.envs.utils import check_env_specs

from genreplay.common.errors import FieldError, UserError
from genreplay.diagnostics.diagnose import diagnose
from genreplay.envs.gymnasium.config import GymnasiumConfig
from genreplay.envs.gymnasium.world import GymnasiumWorld
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION, REWARD, TERMINATED


class Plain(gymnasium.Env):
    """A test environment with the spaces it is given."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(self.observation_space.shape, self.observation_space.dtype), {}

    def step(self, action):
        self.action = action
        return np.zeros(self.observation_space.shape, self.observation_space.dtype), 1.0, True, False, {}


@pytest.fixture
def register():
    """Registers a `Plain` environment with these spaces for one test."""
    ids = []

    def add(observation_space, action_space, limit=5):
        ids.append(f"GenreplayPlain{len(ids)}-v0")
        options = {"disable_env_checker": True, "max_episode_steps": limit}
        gymnasium.register(ids[-1], entry_point=lambda: Plain(observation_space, action_space), **options)
        return ids[-1]

    yield add
    for env_id in ids:
        del gymnasium.registry[env_id]


def make_pendulum(num_workers=2, **options):
    return GymnasiumWorld(GymnasiumConfig(**options)).make_env(num_workers, lambda w, i: 10 * w + i)


def roll(env, num_steps=30, seed=0):
    torch.manual_seed(seed)
    return env.rollout(num_steps, break_when_any_done=False)


def test_actions_are_scaled_to_the_bounds_and_clipped(register):
    low, high = np.array([-3.0, 0.0], np.float32), np.array([1.0, 10.0], np.float32)
    env_id = register(Box(-1, 1, (2,)), Box(low, high))
    env = GymnasiumWorld(GymnasiumConfig(id=env_id)).make_env(1, lambda w, i: 0)
    env.start({0: 0})
    for action, expected in (((-1, -1), low), ((1, 1), high), ((0, 0), (-1, 5)), ((-9, 9), (-3, 10))):
        env.advance({0: np.array(action, np.float32)})
        assert env.envs[0].unwrapped.action.tolist() == pytest.approx(list(expected))


def test_steps_are_those_of_the_bare_environment():
    rows, bare = roll(make_pendulum(1), num_steps=20)[0], gymnasium.make("Pendulum-v1")
    observation, _ = bare.reset(seed=0)
    for row in rows:
        assert torch.equal(row["observation"], torch.from_numpy(observation))
        observation, reward, *_ = bare.step(2.0 * row["action"].numpy())
        assert row["next", "reward"].item() == pytest.approx(float(reward), rel=1e-6)
        assert row["next", "duration"].item() == 1.0


@pytest.mark.parametrize(("limit", "expected"), [(None, 200), (15, 15)])
def test_the_time_limit_truncates_and_never_terminates(limit, expected):
    env = make_pendulum(1, max_episode_steps=limit)
    rows = roll(env, num_steps=201)[0]
    assert rows["next", "truncated"].nonzero()[0, 0].item() == expected - 1
    assert not rows["next", "terminated"].any()
    assert env.pop_finished()[0]["num_decisions"] == expected


def test_the_end_of_the_task_terminates(register):
    env_id = register(Box(-1, 1, (2,)), Box(-1, 1, (1,)))
    rows = roll(GymnasiumWorld(GymnasiumConfig(id=env_id)).make_env(1, lambda w, i: 0), num_steps=1)[0]
    assert rows["next", "terminated"].all()
    assert not rows["next", "truncated"].any()


def test_the_layout_has_the_bounds_of_the_observations():
    world = GymnasiumWorld(GymnasiumConfig(max_episode_steps=9))
    assert [c.low for c in world.layout.columns if c.key == OBSERVATION] == [-1.0, -1.0, -8.0]


def test_unbounded_observations_are_left_open(register):
    env_id = register(Box(np.array([-np.inf, -1]), np.array([np.inf, 1]), dtype=np.float64), Box(-1, 1, (1,)))
    world = GymnasiumWorld(GymnasiumConfig(id=env_id))
    env = world.make_env(1, lambda w, i: 0)
    check_env_specs(env)
    assert env.reset()["observation"].dtype == torch.float32
    assert [(c.low, c.high) for c in world.layout.columns[:2]] == [(-np.inf, np.inf), (-1, 1)]


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("Nope-v0", r"env.id: Gymnasium cannot make 'Nope-v0': Environment `Nope` doesn't exist\."),
        ("Pendulum-v7", r"env.id: Gymnasium cannot make 'Pendulum-v7': Environment version `v7` for environment"),
        ("no_such_module:Foo-v0", r"env.id: Gymnasium cannot make 'no_such_module:Foo-v0': No module named"),
        ("CartPole-v1", r"env.id: CartPole-v1 acts in Discrete\(2\); choose one with continuous actions$"),
    ],
)
def test_unusable_ids_are_user_errors(env_id, message):
    with pytest.raises(UserError, match=f"^{message}"):
        GymnasiumWorld(GymnasiumConfig(id=env_id))


def test_a_missing_package_is_a_user_error_that_says_how_to_install_it(monkeypatch):
    def make(env_id, **options):
        raise gymnasium.error.DependencyNotInstalled('MuJoCo is not installed, run `pip install "gymnasium[mujoco]"`')

    monkeypatch.setattr(gymnasium, "make", make)
    message = (
        r"^env.id: HalfCheetah-v5 needs a package that is not installed: MuJoCo is not installed, "
        r'run `pip install "gymnasium\[mujoco\]"`$'
    )
    with pytest.raises(UserError, match=message):
        GymnasiumWorld(GymnasiumConfig(id="HalfCheetah-v5"))


@pytest.mark.parametrize(
    ("observation_space", "action_space", "limit", "message"),
    [
        (Box(-1, 1, (2, 2)), Box(-1, 1, (1,)), 5, "choose an environment that observes a flat Box"),
        (Box(-1, 1, (2,)), Box(-np.inf, 1, (1,)), 5, "; choose one with bounded actions"),
        (Box(-1, 1, (2,)), Box(-1, 1, (1,)), None, "might never end; set one"),
    ],
)
def test_unusable_spaces_are_user_errors(register, observation_space, action_space, limit, message):
    env_id = register(observation_space, action_space, limit)
    with pytest.raises(UserError, match=f"{message}$"):
        GymnasiumWorld(GymnasiumConfig(id=env_id))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"id": " "}, "id: name an environment of Gymnasium, such as Pendulum-v1"),
        (
            {"max_episode_steps": 0},
            "max_episode_steps: must be at least 1, or null for the environment's own limit, not 0",
        ),
    ],
)
def test_bad_fields_are_named(options, message):
    with pytest.raises(FieldError, match=f"^{message}$"):
        GymnasiumConfig(**options)


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "MountainCarContinuous-v0"])
def test_the_simulator_agrees_with_real_transitions_and_not_with_broken_ones(env_id):
    world = GymnasiumWorld(GymnasiumConfig(id=env_id))
    rows = roll(world.make_env(2, lambda w, i: w), num_steps=300).reshape(-1)
    answer = world.oracle.simulate(rows)
    assert answer["possible"].all()
    for key in (NEXT_OBSERVATION, REWARD, TERMINATED):
        torch.testing.assert_close(answer[key], rows[key], rtol=1e-5, atol=1e-5)
    codec = Codec(world.layout)
    sound = diagnose(codec, rows, codec.encode(rows), seed=0, oracle=world.oracle).metrics
    assert (sound["simulator_invalid_rows"], sound["simulator_impossible_states"]) == (0.0, 0.0)
    assert sound["simulator_error"] < 1e-9
    broken = rows.clone()
    broken[ACTION][:60] *= -1  # what follows is another action's
    metrics = diagnose(codec, rows, codec.encode(broken), seed=0, oracle=world.oracle).metrics
    assert metrics["simulator_error"] > 100 * sound["simulator_error"]
    assert metrics["simulator_error_yardstick"] == pytest.approx(sound["simulator_error"], rel=1e-6)
    broken[NEXT_OBSERVATION][:60, -1] += 5.0 * rows[NEXT_OBSERVATION][:, -1].std()
    metrics = diagnose(codec, rows, codec.encode(broken), seed=0, oracle=world.oracle).metrics
    assert metrics["simulator_invalid_rows"] == pytest.approx(0.1, abs=0.02)


def test_an_angle_off_the_circle_is_impossible():
    world = GymnasiumWorld(GymnasiumConfig())
    rows = roll(world.make_env(1, lambda w, i: 0), num_steps=3)[0]
    rows[OBSERVATION][1, :2] *= 0.9
    answer = world.oracle.simulate(rows)
    assert answer["possible"].tolist() == [True, False, True]
    torch.testing.assert_close(answer[NEXT_OBSERVATION], rows[NEXT_OBSERVATION], rtol=1e-5, atol=1e-5)  # the nearest


def test_a_simulation_moves_no_random_stream_and_is_refused_where_states_are_not_known(register):
    world = GymnasiumWorld(GymnasiumConfig())
    rows = roll(world.make_env(1, lambda w, i: 0), num_steps=5)[0]
    before = torch.get_rng_state(), np.random.get_state(legacy=True)[1].copy()
    world.oracle.simulate(rows)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state(legacy=True)[1], before[1])
    plain = GymnasiumWorld(GymnasiumConfig(id=register(Box(-1, 1, (2,)), Box(-1, 1, (1,)))))
    assert plain.oracle is None
