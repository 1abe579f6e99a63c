import json

import numpy as np
import pytest
import torch
from torchrl.data import Bounded, Unbounded
from torchrl.envs.utils import check_env_specs

from genreplay.envs.batched import BatchedEnv, Step


class SumEnv(BatchedEnv):
    """Observes (seed, sum of actions); the episode ends after `length` decisions; failures by (worker, seed, at)."""

    def __init__(self, num_workers=3, length=4, failures=()):
        super().__init__(
            Unbounded((2,)), Bounded(-1.0, 1.0, shape=(1,)), num_workers, lambda worker, index: 100 * worker + index
        )
        self.length, self.failures = length, set(failures)
        self.state = {}

    def start(self, seeds):
        self.state |= {w: [seed, 0.0, 0] for w, seed in seeds.items()}
        return {w: self._observe(w) for w in seeds}

    def advance(self, actions):
        steps = {}
        for w, action in actions.items():
            self.state[w][1] += float(action[0])
            self.state[w][2] += 1
            seed, total, at = self.state[w]
            failed = (w, seed, at) in self.failures
            steps[w] = Step(self._observe(w), total, 0.5 * at, truncated=at == self.length, failed=failed)
        return steps

    def metrics(self, worker):
        return {"total": self.state[worker][1]}

    def _observe(self, worker):
        return np.array(self.state[worker][:2], dtype=np.float32)


def play(env, num_steps, current=None):
    """`num_steps` decisions of random actions with automatic resets; the rows and where it stands."""
    current = env.reset() if current is None else current
    rows = []
    for _ in range(num_steps):
        current["action"] = torch.rand(env.num_workers, 1) * 2 - 1
        row, current = env.step_and_maybe_reset(current)
        rows.append(row.select("observation", "action", "next").clone())
    return rows, current


def test_specs_hold():
    check_env_specs(SumEnv())


def test_step_tells_reward_duration_and_flags():
    rows, _ = play(SumEnv(), 4)
    assert torch.allclose(rows[1]["next", "reward"], rows[0]["action"] + rows[1]["action"])
    assert [row["next", "duration"][0].item() for row in rows] == [0.5, 1.0, 1.5, 2.0]
    assert [row["next", "done"].all().item() for row in rows] == [False, False, False, True]
    assert rows[3]["next", "truncated"].all()
    assert not rows[3]["next", "terminated"].any()


def test_a_partial_reset_leaves_the_other_workers_alone():
    env = SumEnv(failures=[(1, 100, 2)])
    rows, current = play(env, 2)
    assert rows[1]["next", "failed"].view(-1).tolist() == [False, True, False]
    assert rows[1]["next", "truncated"].view(-1).tolist() == [False, True, False]
    assert current["observation"][1].tolist() == [101.0, 0.0]
    assert torch.equal(current["observation"][0], rows[1]["next", "observation"][0])


def test_finished_episodes_carry_seed_return_and_metrics_and_failed_ones_are_not_counted():
    env = SumEnv(num_workers=2, failures=[(1, 100, 3)])
    rows, _ = play(env, 4)
    (finished,) = env.pop_finished()
    assert finished == {
        "seed": 0.0,
        "num_decisions": 4.0,
        "return": pytest.approx(sum(row["next", "reward"][0].item() for row in rows), abs=1e-5),
        "total": pytest.approx(sum(row["action"][0].item() for row in rows), abs=1e-5),
    }
    assert env.pop_finished() == []


@pytest.mark.parametrize("stop_after", [0, 1, 3, 4, 6])
def test_a_resumed_environment_continues_its_episodes(stop_after):
    torch.manual_seed(0)
    env = SumEnv()
    _, current = play(env, stop_after)
    env.pop_finished()
    state, random_state = json.loads(json.dumps(env.state_dict())), torch.get_rng_state()
    expected, _ = play(env, 9, current)

    resumed = SumEnv()
    resumed.load_state_dict(state)
    torch.set_rng_state(random_state)
    rows, _ = play(resumed, 9)
    assert all((a == b).all() for a, b in zip(rows, expected, strict=True))
    assert resumed.pop_finished() == env.pop_finished()


def test_an_episode_that_fails_while_it_is_played_again_makes_room_for_the_next_one():
    env = SumEnv()
    _, current = play(env, 3)
    resumed = SumEnv(failures=[(1, 100, 2)])
    resumed.load_state_dict(env.state_dict())
    observation = resumed.reset()["observation"]
    assert observation[1].tolist() == [101.0, 0.0]
    assert torch.equal(observation[[0, 2]], current["observation"][[0, 2]])
    assert [len(actions) for actions in resumed.state_dict()["episodes"]] == [3, 0, 3]


def test_a_checkpoint_of_another_number_of_workers_is_refused():
    state = SumEnv(num_workers=2).state_dict()
    with pytest.raises(ValueError, match=r"^the checkpoint has 2 environment workers, this run 3$"):
        SumEnv(num_workers=3).load_state_dict(state)


def test_a_seed_starts_the_numbering_of_episodes_anew():
    env = SumEnv()
    play(env, 5)
    env.set_seed(0)
    assert env.reset()["observation"][:, 0].tolist() == [0.0, 100.0, 200.0]
