"""The agent finds the optimum of a control problem whose optimum is known: a discounted linear-quadratic regulator.

x' = x + 0.5 a with |a| <= 1, reward -(x^2 + 0.5 a^2). From |x| <= 1 the optimal action a = -k x keeps within its
limits, so the Riccati equation's solution is the optimum: value -p x^2.
"""

import math

import pytest
import torch
from tensordict import TensorDict

from genreplay.agents.config import RedqSacConfig
from genreplay.agents.continuous.redq_sac import RedqSac
from genreplay.common import precision

GAIN, ACTION_COST, GAMMA, PERIOD = 0.5, 0.5, 0.9, 30.0
K, B, NUM_BLOCKS = 20, 64, 200


def riccati():
    """p and k of the optimum, by value iteration."""
    p = 0.0
    for _ in range(500):
        k = GAMMA * p * GAIN / (ACTION_COST + GAMMA * p * GAIN**2)
        p = 1 + ACTION_COST * k**2 + GAMMA * p * (1 - GAIN * k) ** 2
    return p, k


def make_block():
    """Transitions from states and actions all over the space. Every step takes one period."""
    x, a = 3 * torch.rand(K, B, 1) - 1.5, 2 * torch.rand(K, B, 1) - 1
    following = TensorDict(
        {
            "observation": x + GAIN * a,
            "reward": -(x**2 + ACTION_COST * a**2),
            "duration": torch.full_like(x, PERIOD),
            "terminated": torch.zeros_like(x, dtype=torch.bool),
        },
        batch_size=[K, B],
    )
    return TensorDict(
        {"observation": x, "action": a, "next": following, "is_synthetic": torch.zeros_like(x, dtype=torch.bool)},
        batch_size=[K, B],
    )


def discounted_cost(policy, x):
    cost = torch.zeros_like(x)
    for t in range(100):
        a = policy(TensorDict({"observation": x}, batch_size=[len(x)]))["action"]
        cost += GAMMA**t * (x**2 + ACTION_COST * a**2)
        x = x + GAIN * a
    return cost


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ensemble_size", "speed"),
    [(2, "exact"), (5, "exact"), (5, "fast")],
)
def test_the_learned_policy_is_close_to_the_optimal_regulator(monkeypatch, ensemble_size, speed):
    monkeypatch.setattr(precision, "_CPU_HAS_BFLOAT16", True)  # slow without the units, and the same figures
    torch.manual_seed(0)
    config = RedqSacConfig(
        hidden_width=32,
        ensemble_size=ensemble_size,
        critic_updates_per_actor_update=K,
        gamma=GAMMA,
        critic_learning_rate=2e-3,
        actor_learning_rate=4e-3,
        temperature_learning_rate=3e-2,
        target_update_rate=0.02,
        initial_temperature=0.1,
        target_entropy=-2.0,
    )
    agent = RedqSac(config, 1, 1, PERIOD, precision.AGENT_SPEEDS[speed])
    start = torch.linspace(-1, 1, 21).unsqueeze(1)
    p, k = riccati()
    optimal = (p * start**2).mean().item()
    untrained = discounted_cost(agent.policy(deterministic=True), start).mean().item()
    for _ in range(NUM_BLOCKS):
        metrics = agent.training_step(make_block())

    learned = discounted_cost(agent.policy(deterministic=True), start).mean().item()
    assert untrained > 3 * optimal
    assert optimal * (1 - 1e-3) < learned < 1.1 * optimal
    actions = agent.policy(deterministic=True)(TensorDict({"observation": start}, [21]))["action"]
    assert (actions + k * start).abs().max() < 0.25

    # The critics know the cost as well, up to the entropy's part of the soft value, which is the same everywhere.
    q = agent.critics(torch.cat([start, -k * start], dim=1)).mean(dim=0)
    error = (q + p * start**2).detach()
    assert error.std().item() < 0.1 * optimal
    assert abs(metrics["entropy"].item() - config.target_entropy) < 0.7
    assert math.isfinite(metrics["temperature"].item())
