"""The evaluator on a real environment: fixed seeds, any number of workers, the same figures."""

import numpy as np
import pytest
import torch
from tensordict.nn import TensorDictModule
from torch import nn

from genreplay.common.errors import UserError
from genreplay.envs.batched import Step
from genreplay.envs.episodes import MAX_ATTEMPTS
from genreplay.envs.gymnasium.config import GymnasiumConfig
from genreplay.envs.gymnasium.world import GymnasiumWorld
from genreplay.evaluation.evaluator import Evaluator


class Constant(nn.Module):
    def __init__(self, value: float):
        super().__init__()
        self.value = value

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        return torch.full((*observation.shape[:-1], 1), self.value)


def constant(value: float) -> TensorDictModule:
    return TensorDictModule(Constant(value), in_keys=["observation"], out_keys=["action"])


@pytest.fixture
def world() -> GymnasiumWorld:
    return GymnasiumWorld(GymnasiumConfig(id="Pendulum-v1"))


def test_episodes_are_those_of_gymnasium(world: GymnasiumWorld) -> None:
    import gymnasium

    evaluation = Evaluator(world, 2, [3, 5, 8]).evaluate_policy(constant(0.5))
    for episode, seed in zip(evaluation.episodes, [3, 5, 8], strict=True):
        env = gymnasium.make("Pendulum-v1")
        env.reset(seed=seed)
        total, ended = 0.0, False
        while not ended:
            _, reward, terminated, truncated, _ = env.step(np.array([1.0], dtype=np.float32))  # 0.5 of the bound 2.0
            total, ended = total + float(reward), terminated or truncated
        assert episode["seed"] == seed
        assert episode["return"] == pytest.approx(total, rel=1e-5)
        assert episode["num_decisions"] == 200


@pytest.mark.parametrize("num_workers", [1, 2, 8])
def test_the_number_of_workers_changes_nothing(world: GymnasiumWorld, num_workers: int) -> None:
    alone = Evaluator(world, 1, [1, 2, 3]).evaluate_policy(constant(-0.25))
    assert Evaluator(world, num_workers, [1, 2, 3]).evaluate_policy(constant(-0.25)).episodes == alone.episodes


def test_evaluating_twice_gives_the_same(world: GymnasiumWorld) -> None:
    evaluator = Evaluator(world, 2, [1, 2, 3])
    assert evaluator.evaluate_policy(constant(0.1)).episodes == evaluator.evaluate_policy(constant(0.1)).episodes


def test_means_leave_out_the_seed(world: GymnasiumWorld) -> None:
    evaluation = Evaluator(world, 1, [1, 2]).evaluate_policy(constant(0.0))
    assert "seed" not in evaluation.means()
    assert evaluation.means()["return"] == pytest.approx(np.mean([e["return"] for e in evaluation.episodes]))


def test_a_failed_episode_is_tried_again_then_given_up(world: GymnasiumWorld) -> None:
    evaluator = Evaluator(world, 1, [1, 2])
    whole = evaluator.evaluate_policy(constant(0.0)).episodes
    real_decide, left = evaluator.env.decide, 2

    def break_down(actions: dict[int, np.ndarray]) -> dict[int, Step]:
        nonlocal left
        steps = real_decide(actions)
        if left == 0:
            return steps
        left -= 1
        return {worker: step._replace(failed=True) for worker, step in steps.items()}

    evaluator.env.decide = break_down
    assert evaluator.evaluate_policy(constant(0.0)).episodes == whole
    left = MAX_ATTEMPTS * 2
    with pytest.raises(UserError, match=f"the episode of seed [12] failed {MAX_ATTEMPTS} times in the simulator"):
        evaluator.evaluate_policy(constant(0.0))
