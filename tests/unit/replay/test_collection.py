import json

import numpy as np
import pytest
import torch
from tensordict.nn import TensorDictModule
from torchrl.data import Bounded, Unbounded

from genreplay.build import build_world
from genreplay.common.errors import UserError
from genreplay.config.reader import from_yaml
from genreplay.envs.batched import BatchedEnv, Step
from genreplay.envs.gymnasium.config import GymnasiumConfig
from genreplay.envs.gymnasium.world import GymnasiumWorld
from genreplay.replay.collection import Collection
from genreplay.replay.overlapped import OverlappedCollection
from genreplay.transitions.keys import IS_SYNTHETIC, STORED_KEYS

EPISODE_STEPS = 7
BOTH = pytest.mark.parametrize("kind", [Collection, OverlappedCollection])


class Explorer(torch.nn.Module):
    """Acts by its one weight plus noise."""

    def __init__(self, noise=0.3):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.noise = noise

    def forward(self, observation):
        noise = self.noise * torch.randn(observation.shape[0], 1)
        return (self.weight * observation[:, :1] + noise).clamp(-1, 1)


class CountingEnv(BatchedEnv):
    """Observes how many decisions it made; worker 1 fails at `fail_at`; episodes of five."""

    def __init__(self, num_workers, fail_at=None):
        super().__init__(Unbounded((1,)), Bounded(-1.0, 1.0, shape=(1,)), num_workers, lambda w, i: 10 * w + i)
        self.fail_at = fail_at
        self.at = {}

    def start(self, seeds):
        self.at |= dict.fromkeys(seeds, 0)
        return {w: np.zeros(1, np.float32) for w in seeds}

    def advance(self, actions):
        steps = {}
        for w in actions:
            self.at[w] += 1
            failed = w == 1 and self.at[w] == self.fail_at
            steps[w] = Step(
                np.full(1, self.at[w], np.float32), 1.0, 2.0, terminated=self.at[w] == 5 and not failed, failed=failed
            )
        return steps

    def metrics(self, worker):
        return {}


def pendulum(policy=None, warmup_env_steps=0, kind=Collection):
    env = GymnasiumWorld(GymnasiumConfig(max_episode_steps=EPISODE_STEPS)).make_env(2, lambda w, i: 100 * w + i)
    policy = TensorDictModule(policy or Explorer(), in_keys=["observation"], out_keys=["action"])
    return kind(env, policy, warmup_env_steps)


def test_rows_are_flat_and_hold_the_stored_keys():
    rows = pendulum().next()
    assert rows.batch_size == (2,)
    assert set(rows.keys(include_nested=True, leaves_only=True)) == set(STORED_KEYS)
    assert {tuple(rows[key].shape) for key in STORED_KEYS} == {(2, 3), (2, 1)}
    assert not rows[IS_SYNTHETIC].any()
    assert not rows["action"].requires_grad


def test_the_last_row_of_an_episode_holds_its_true_final_observation():
    collection = pendulum()
    rows = [collection.next() for _ in range(EPISODE_STEPS + 1)]
    last, first = rows[EPISODE_STEPS - 1], rows[EPISODE_STEPS]
    assert last["next", "truncated"].all()
    assert not last["next", "terminated"].any()
    assert not torch.isclose(last["next", "observation"], first["observation"]).all(dim=1).any()
    env = GymnasiumWorld(GymnasiumConfig(max_episode_steps=EPISODE_STEPS)).make_env(1, lambda w, i: 0)
    env.start({0: 0})
    for row in rows[:EPISODE_STEPS]:
        step = env.advance({0: row["action"][0].numpy()})[0]
    assert torch.equal(last["next", "observation"][0], torch.from_numpy(step.observation))


def test_observations_follow_each_other_within_an_episode():
    collection = pendulum()
    before = collection.next()
    for _ in range(EPISODE_STEPS - 1):
        after = collection.next()
        assert torch.equal(before["next", "observation"], after["observation"])
        before = after


def test_the_policy_acts_with_what_it_learns_at_once():
    explorer = Explorer(noise=0.0)
    collection = pendulum(explorer)
    assert (collection.next()["action"] == 0).all()
    with torch.no_grad():
        explorer.weight.fill_(0.5)
    rows = collection.next()
    assert torch.equal(rows["action"], 0.5 * rows["observation"][:, :1])


@pytest.mark.parametrize(("warmup", "rounds"), [(0, 0), (5, 3), (6, 3)])
def test_warm_up_is_random_and_as_long_as_asked(warmup, rounds):
    collection = pendulum(Explorer(noise=0.0), warmup)
    was_random = [bool((collection.next()["action"] != 0).all()) for _ in range(6)]
    assert was_random == [True] * rounds + [False] * (6 - rounds)


def test_overlapped_collection_gives_what_torchrls_collector_gives():
    torch.manual_seed(0)
    in_turn = pendulum(warmup_env_steps=6)
    expected = [in_turn.next() for _ in range(18)]
    torch.manual_seed(0)
    overlapped = pendulum(warmup_env_steps=6, kind=OverlappedCollection)
    for rows in expected:
        overlapped.begin_next()
        assert (overlapped.next() == rows).all()
    assert overlapped.finished_episodes() == in_turn.finished_episodes() != []


def test_overlapped_decisions_lag_by_one_round_of_learning():
    explorer = Explorer(noise=0.0)
    overlapped = pendulum(explorer, kind=OverlappedCollection)
    weights = []
    for update in range(5):
        rows = overlapped.next()
        weights.append((rows["action"] / rows["observation"][:, :1]).mean().item())
        overlapped.begin_next()
        with torch.no_grad():
            explorer.weight.fill_(0.1 * (update + 1))
    # The first two rounds come before the first update is seen; the last update would act in the seventh.
    assert weights == pytest.approx([0.0, 0.0, 0.1, 0.2, 0.3])


def test_overlapped_collection_begins_a_decision_once():
    collection = pendulum(kind=OverlappedCollection)
    sent = []
    collection.env.send = sent.append
    collection.begin_next()
    collection.begin_next()
    rows = collection.next()
    assert len(sent) == 1
    assert np.array_equal(np.stack([sent[0][w] for w in (0, 1)]), rows["action"].numpy())


# Within warm-up, at its end, in an episode, at its last step, just after it, in the second episode.
@pytest.mark.parametrize("stop_after", [1, 3, 5, EPISODE_STEPS, EPISODE_STEPS + 1, 11])
@BOTH
def test_resumed_collection_continues_as_the_uninterrupted_one(kind, stop_after):
    def turn(collection):
        rows = collection.next()
        collection.begin_next()
        torch.rand(1)  # learning draws from the same stream
        return rows

    torch.manual_seed(0)
    straight = pendulum(warmup_env_steps=6, kind=kind)
    expected = [turn(straight) for _ in range(18)]
    episodes = straight.finished_episodes()

    torch.manual_seed(0)
    stopped = pendulum(warmup_env_steps=6, kind=kind)
    for _ in range(stop_after):
        turn(stopped)
    before = stopped.finished_episodes()
    state, random_state = json.loads(json.dumps(stopped.state_dict())), torch.get_rng_state()
    stopped.shutdown()

    resumed = pendulum(warmup_env_steps=6, kind=kind)
    resumed.load_state_dict(state)
    torch.set_rng_state(random_state)
    for rows in expected[stop_after:]:
        assert (turn(resumed) == rows).all()
    assert before + resumed.finished_episodes() == episodes


@BOTH
def test_rows_of_a_simulator_that_failed_are_left_out(kind):
    policy = TensorDictModule(Explorer(), in_keys=["observation"], out_keys=["action"])
    collection = kind(CountingEnv(2, fail_at=3), policy, 0)
    counts = [collection.next() for _ in range(5)]
    assert [len(rows) for rows in counts] == [2, 2, 1, 2, 2]
    assert [rows["observation"].view(-1).tolist() for rows in counts] == [[0, 0], [1, 1], [2], [3, 0], [4, 1]]
    assert [episode["seed"] for episode in collection.finished_episodes()] == [0.0]


def test_finished_episodes_are_told_once():
    collection = pendulum()
    for _ in range(EPISODE_STEPS):
        collection.next()
    finished = collection.finished_episodes()
    assert [episode["seed"] for episode in finished] == [0.0, 100.0]
    assert [episode["num_decisions"] for episode in finished] == [EPISODE_STEPS] * 2
    assert collection.finished_episodes() == []


@BOTH
def test_loading_after_collection_has_begun_is_refused(kind):
    collection = pendulum(kind=kind)
    collection.next()
    with pytest.raises(RuntimeError, match=r"^load_state_dict: collection has begun; load before the first next\(\)$"):
        collection.load_state_dict(collection.state_dict())


@pytest.mark.parametrize("begun", [True, False])
@BOTH
def test_shutdown_closes_the_simulators(kind, begun):
    collection = pendulum(kind=kind)
    if begun:
        collection.next()
    collection.shutdown()
    assert collection.env.is_closed


def test_overlap_is_refused_where_the_environment_steps_in_this_process():
    config = from_yaml("env: {name: gymnasium}\nloop: {overlap_collection: true}\n", "test")
    with pytest.raises(
        UserError, match=r"^loop.overlap_collection: env.name 'gymnasium' steps in the training process"
    ):
        build_world(config)
