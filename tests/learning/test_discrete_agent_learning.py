"""The agent of two seats finds the known optimum of a small environment: two players on a line who must press together.

Each player stands on one of four cells and steps left, steps right or presses. To press while both stand on the last
cell pays 1 and ends the episode; any other press costs 0.1 each. All step at once.
"""

import pytest
import torch
from tensordict import TensorDict
from torch.nn.functional import one_hot

from genreplay.agents.config import DiscreteRedqSacConfig
from genreplay.agents.discrete.redq_sac import DiscreteRedqSac
from genreplay.transitions.columns import Seats

CELLS, A, GAMMA, COST = 4, 3, 0.9, 0.1
LEFT, RIGHT, PRESS = range(A)
PERMUTATION = torch.tensor([4, 5, 6, 7, 0, 1, 2, 3])
STATES = torch.cartesian_prod(torch.arange(CELLS), torch.arange(CELLS))


def advance(cells, actions):
    """Next cells `[..., 2]`, reward `[...]` and whether it is over `[...]`."""
    moved = (cells + (actions == RIGHT).long() - (actions == LEFT).long()).clamp(0, CELLS - 1)
    presses = (actions == PRESS).sum(dim=-1)
    together = (presses == 2) & (cells == CELLS - 1).all(dim=-1)
    return moved, torch.where(together, 1.0, -COST * presses), together


def observe(cells):
    return one_hot(cells, CELLS).flatten(-2).float()


def transitions(cells, actions, learner, shaped):
    """Joint transitions of `cells` and `actions` `[..., 2]`. Shaped: 0.1 for each step to the right."""
    following, reward, over = advance(cells, actions)
    shape = cells.shape[:-1]
    return TensorDict(
        {
            "observation": observe(cells),
            "action": one_hot(actions, A).flatten(-2).float(),
            "next": TensorDict(
                {
                    "observation": observe(following),
                    "reward": reward.unsqueeze(-1),
                    "shaped_reward": shaped * 0.1 * (following - cells).float(),
                    "duration": torch.ones(*shape, 1),
                    "terminated": over.unsqueeze(-1),
                },
                shape,
            ),
            "learner": learner,
            "is_synthetic": torch.zeros(*shape, 1, dtype=torch.bool),
        },
        shape,
    )


def make_agent(learners, **options):
    torch.manual_seed(0)
    settings = {
        "hidden_width": 32,
        "critic_layer_norm": True,
        "ensemble_size": 2,
        "target_mode": "mean",
        "gamma": GAMMA,
        "critic_learning_rate": 2e-3,
        "actor_learning_rate": 4e-3,
        "target_update_rate": 0.02,
    }
    return DiscreteRedqSac(DiscreteRedqSacConfig(**settings | options), Seats(PERMUTATION, A, learners), 1.0)


def soft_optimum(temperature):
    """Q `[4, 4, A]` of player 0 with a partner who acts at random, by soft value iteration."""
    q = torch.zeros(CELLS, CELLS, A)
    for _ in range(300):
        value = temperature * (q / temperature).logsumexp(dim=-1)
        new = torch.zeros_like(q)
        for own in range(A):
            for other in range(A):
                actions = torch.tensor([own, other]).expand(CELLS * CELLS, 2)
                following, reward, over = advance(STATES, actions)
                of_next = reward + GAMMA * torch.where(over, 0.0, value[following[:, 0], following[:, 1]])
                new[..., own] += of_next.view(CELLS, CELLS) / A
        q = new
    return q


@pytest.mark.slow
def test_beside_a_random_partner_critics_and_actor_find_the_soft_optimum():
    """The partner plays either seat; the learner's optimum is the same from both."""
    temperature, num_updates, batch_size = 0.1, 10, 64
    agent = make_agent(
        "one",
        critic_updates_per_actor_update=num_updates,
        learn_temperature=False,
        initial_temperature=temperature,
        shaping_env_steps=0,
    )
    optimum = soft_optimum(temperature).view(-1, A)
    policy = (optimum / temperature).softmax(dim=1)
    ego = observe(STATES)
    assert (agent.critics(ego).mean(dim=0) - optimum).abs().max() > 0.3
    for _ in range(150):
        shape = (num_updates, batch_size)
        learner = one_hot(torch.randint(2, shape), 2).float()
        cells, actions = torch.randint(CELLS, (*shape, 2)), torch.randint(A, (*shape, 2))
        agent.training_step(transitions(cells, actions, learner, shaped=0.0))
    error = (agent.critics(ego).mean(dim=0) - optimum).abs()
    assert error.mean() < 0.03
    assert error.max() < 0.12
    assert (agent.actor(ego).exp() - policy).abs().mean() < 0.06


def greedy_value(agent):
    """Discounted team reward of the likeliest actions, by start state `[16]`."""
    policy, cells = agent.policy(deterministic=True), STATES
    value, alive = torch.zeros(len(STATES)), torch.ones(len(STATES))
    for t in range(30):
        seen = TensorDict({("agents", "observation"): observe(torch.stack([cells, cells.flip(-1)], dim=-2))}, [16])
        cells, reward, over = advance(cells, policy(seen)["agents", "action_probability"].argmax(dim=-1))
        value += GAMMA**t * alive * reward
        alive = alive * ~over
    return value


@pytest.mark.slow
def test_self_play_finds_the_joint_optimum():
    num_blocks, num_updates, batch_size, num_lines = 150, 8, 64, 32
    agent = make_agent(
        "both",
        critic_updates_per_actor_update=num_updates,
        initial_temperature=0.1,
        temperature_learning_rate=1e-2,
        target_entropy_env_steps=100,
        target_entropy_end=0.1,
        shaping_env_steps=50,
    )
    # They reach the last cell as fast as the farther one can, then press.
    optimum = GAMMA ** (CELLS - 1 - STATES.min(dim=1).values).float()
    untrained = greedy_value(agent)
    act, cells, seen = agent.policy(deterministic=False), torch.randint(CELLS, (num_lines, 2)), []
    for block in range(num_blocks):
        agent.set_progress(block)
        views = observe(torch.stack([cells, cells.flip(-1)], dim=-2))
        actions = act(TensorDict({("agents", "observation"): views}, [num_lines]))["agents", "action"]
        seen.append(transitions(cells, actions, torch.ones(num_lines, 2), shaped=1.0))
        cells, _, over = advance(cells, actions)
        start_anew = (over | (torch.rand(num_lines) < 0.1)).unsqueeze(-1)
        cells = torch.where(start_anew, torch.randint(CELLS, (num_lines, 2)), cells)
        replay = torch.cat(seen[-100:])
        agent.training_step(replay[torch.randint(len(replay), (num_updates, batch_size))])
    assert untrained.mean() < 0.3 * optimum.mean()
    assert greedy_value(agent).mean() > 0.98 * optimum.mean()
