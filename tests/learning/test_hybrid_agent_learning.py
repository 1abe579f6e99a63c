"""The hybrid agent finds the best order of stages, and the best green for each, where both are known.

A toy junction with three stages: the right one next is the one after the current one, and its right green is the number
that belongs to it. Every other stage costs 1, and a wrong green the square of its distance. Steps take one period, so
the value of the best policy is 0 everywhere.
"""

import pytest
import torch
from tensordict import TensorDict
from torch.nn.functional import one_hot

from genreplay.agents.config import HybridRedqSacConfig
from genreplay.agents.hybrid.redq_sac import HybridRedqSac
from genreplay.transitions.columns import ActionRule

STAGES, PERIOD, K, B = 3, 30.0, 10, 64
GREENS = torch.tensor([-0.6, 0.0, 0.6])


def make_block(num_updates=K, size=B):
    """Transitions of random actions."""
    shape = (num_updates, size)
    stage, choice = torch.randint(STAGES, shape), torch.randint(STAGES, shape)
    green = 2 * torch.rand(*shape, 1) - 1
    is_wrong = (choice != (stage + 1) % STAGES).float().unsqueeze(-1)
    following = TensorDict(
        {
            "observation": one_hot(choice, STAGES).float(),
            "reward": -is_wrong - (green - GREENS[choice].unsqueeze(-1)).square(),
            "duration": torch.full((*shape, 1), PERIOD),
            "terminated": torch.zeros(*shape, 1, dtype=torch.bool),
        },
        batch_size=shape,
    )
    return TensorDict(
        {
            "observation": one_hot(stage, STAGES).float(),
            "action": torch.cat([green, one_hot(choice, STAGES).float()], dim=-1),
            "next": following,
            "is_synthetic": torch.zeros(*shape, 1, dtype=torch.bool),
        },
        batch_size=shape,
    )


@pytest.mark.slow
@pytest.mark.parametrize("begins", ["from_nothing", "from_a_wrong_rule"])
def test_the_best_order_and_greens_are_found(begins):
    torch.manual_seed(0)
    # The wrong rule stays in the current stage, with a green of 0.5.
    rule = None if begins == "from_nothing" else ActionRule(2 * torch.eye(STAGES), torch.tensor([0.5]))
    config = HybridRedqSacConfig(
        hidden_width=32,
        ensemble_size=2,
        critic_updates_per_actor_update=K,
        gamma=0.8,
        critic_learning_rate=2e-3,
        actor_learning_rate=2e-3,
        target_update_rate=0.02,
        initial_temperature=0.05,
        initial_number_temperature=0.02,
    )
    agent = HybridRedqSac(config, STAGES, STAGES, 1, PERIOD, rule=rule)
    for _ in range(300):
        agent.training_step(make_block())
    states = torch.eye(STAGES)
    action = agent.policy(deterministic=True)(TensorDict({"observation": states}, [STAGES]))["action"]
    assert action[:, 1:].argmax(-1).tolist() == [1, 2, 0]
    assert (action[:, 0] - GREENS[[1, 2, 0]]).abs().max() < 0.2
    rows = make_block(1, 512)[0]
    chosen = rows["action"][:, 1:].argmax(-1)
    right = chosen == (rows["observation"].argmax(-1) + 1) % STAGES
    q = agent.critics(torch.cat([rows["observation"], rows["action"]], dim=-1)).mean(0)[:, 0]
    assert (q[right].mean() - q[~right].mean()).item() == pytest.approx(1.0, abs=0.2)
