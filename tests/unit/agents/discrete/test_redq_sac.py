"""The agent of two seats: its updates against plain loops, schedules, seats, policies, resuming."""

import copy
import math
from typing import NamedTuple

import pytest
import torch
from tensordict import TensorDict

from genreplay.agents.discrete.actor import sample_categorical
from tests.helpers.discrete_redq_sac import PERMUTATION, A, B, K, O, make_agent, make_block
from tests.helpers.redq_sac import step

# Updates against plain loops -----------------------------------------------------------------------------------


class PlainRow(NamedTuple):
    sees: torch.Tensor
    does: int
    paid: torch.Tensor
    then_sees: torch.Tensor
    duration: torch.Tensor
    terminated: bool
    weight: torch.Tensor


def plain_rows(transitions, coefficient):
    """Seat rows one by one."""
    for row in transitions:
        for seat, view in enumerate((torch.arange(O), PERMUTATION)):
            yield PlainRow(
                row["observation"][view],
                int(row["action"].view(2, A)[seat].argmax()),
                row["next", "reward"][0] + coefficient * row["next", "shaped_reward"][seat],
                row["next", "observation"][view],
                row["next", "duration"][0],
                bool(row["next", "terminated"]),
                row["learner"][seat],
            )


def plain_target(agent, row, subset, mode):
    if row.terminated:
        return row.paid
    pi = agent.actor.network(row.then_sees).softmax(dim=0)
    q = agent.target_critics(row.then_sees.unsqueeze(0))[:, 0]
    value = 0.0
    for a in range(A):
        of_subset = torch.stack([q[i, a] for i in subset])
        joined = of_subset.min() if mode == "min" else of_subset.mean()
        value = value + pi[a] * (joined - agent.log_temperature.exp() * pi[a].log())
    return row.paid + 0.9**row.duration * value


@pytest.mark.parametrize("mode", ["min", "mean"])
def test_one_update_has_the_gradients_of_plain_loops(mode):
    agent = make_agent(critic_updates_per_actor_update=1, target_mode=mode, shaping_env_steps=100).double()
    agent.set_progress(30)
    with torch.no_grad():
        for parameter in agent.target_critics.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    block = make_block(1).apply(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)
    before = copy.deepcopy(agent)
    torch.manual_seed(7)
    subset = agent._draw_subsets(1)[0].tolist()
    assert len(set(subset)) == 2
    metrics = step(agent, block)
    rows = list(plain_rows(block[0], 0.7))
    total = sum(row.weight for row in rows)

    loss, target_sum = torch.zeros(()), 0.0
    for row in rows:
        target = plain_target(before, row, subset, mode).detach()
        q = before.critics(row.sees.unsqueeze(0))[:, 0, row.does]
        loss = loss + row.weight / total * (q - target).square().sum()
        target_sum += row.weight / total * target
    expected = torch.autograd.grad(loss, list(before.critics.parameters()))
    for parameter, gradient in zip(agent.critics.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    torch.testing.assert_close(metrics["target_mean"], target_sum)
    torch.testing.assert_close(3 * metrics["critic_loss"], loss.detach())

    # The actor's update follows the critics' own.
    loss, entropy = torch.zeros(()), 0.0
    for row in rows:
        pi = before.actor.network(row.sees).softmax(dim=0)
        q = agent.critics(row.sees.unsqueeze(0))[:, 0].detach()
        of_row = sum(pi[a] * (before.log_temperature.detach().exp() * pi[a].log() - q[:, a].mean()) for a in range(A))
        loss = loss + row.weight / total * of_row
        entropy = entropy - row.weight / total * (pi * pi.log()).sum().detach()
    expected = torch.autograd.grad(loss, list(before.actor.parameters()))
    for parameter, gradient in zip(agent.actor.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    torch.testing.assert_close(metrics["actor_loss"], loss.detach())
    torch.testing.assert_close(metrics["entropy"], entropy)
    torch.testing.assert_close(agent.log_temperature.grad, entropy - agent.target_entropy, check_dtype=False)


# Seats ---------------------------------------------------------------------------------------------------------


def test_seat_rows_without_weight_cost_nothing_but_time():
    """Beside a partner only the learner's rows are made; the updates are those of all rows, weighted."""
    block = make_block()
    block["learner"] = torch.nn.functional.one_hot(torch.arange(B) % 2, 2).float().expand(K, B, 2)
    one, every = make_agent(learners="one"), make_agent(learners="any")
    metrics = [step(agent, block) for agent in (one, every)]
    for name in metrics[0]:
        torch.testing.assert_close(metrics[0][name], metrics[1][name], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(one.parameters(), every.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_a_block_in_which_nobody_learns_leaves_finite_numbers():
    agent = make_agent()
    metrics = step(agent, make_block(learner=[0.0, 0.0]))
    assert metrics["critic_loss"].item() == 0
    assert all(parameter.isfinite().all() for parameter in agent.parameters())


# Schedules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env_step", "share"), [(0, 0.6), (5_000, 0.4875), (10_000, 0.375), (20_000, 0.15), (90_000, 0.15)]
)
def test_target_entropy_falls_in_a_straight_line(env_step, share):
    agent = make_agent()
    agent.set_progress(env_step)
    assert agent.target_entropy == pytest.approx(share * math.log(A))


@pytest.mark.parametrize(
    ("num_env_steps", "env_step", "coefficient"),
    [(400, 0, 1.0), (400, 100, 0.75), (400, 400, 0.0), (400, 401, 0.0), (0, 0, 0.0)],
)
def test_the_shaping_coefficient_falls_to_zero(num_env_steps, env_step, coefficient):
    agent = make_agent(shaping_env_steps=num_env_steps)
    agent.set_progress(env_step)
    assert agent.shaping_coefficient == coefficient


# Acting and scoring --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_the_exploring_policy_gives_each_seat_an_action(shape):
    seen = TensorDict({("agents", "observation"): torch.rand(*shape, 2, O)}, shape)
    action = make_agent().policy(deterministic=False)(seen)["agents", "action"]
    assert action.shape == (*shape, 2)
    assert action.dtype == torch.int64
    assert action.min() >= 0
    assert action.max() < A


def test_policies_act_by_the_actors_probabilities():
    agent = make_agent()
    for actor in (agent.actor, agent.average_actor):
        torch.nn.init.zeros_(actor.network[-1].weight)
        actor.network[-1].bias.data = torch.tensor([0.2, 0.5, 0.3]).log()
    seen = TensorDict({("agents", "observation"): torch.rand(20_000, 2, O)}, [20_000])
    probability = agent.policy(deterministic=True)(seen.clone())["agents", "action_probability"]
    torch.testing.assert_close(probability, torch.tensor([0.2, 0.5, 0.3]).expand(20_000, 2, A))
    torch.manual_seed(0)
    sampled = agent.policy(deterministic=False)(seen)["agents", "action"]
    share = torch.bincount(sampled.flatten(), minlength=A) / 40_000
    torch.testing.assert_close(share, torch.tensor([0.2, 0.5, 0.3]), atol=0.01, rtol=0)


def test_sampling_inverts_the_distribution_function():
    log_prob = torch.tensor([0.25, 0.5, 0.25]).log().expand(5, 3)
    uniform = torch.tensor([[0.0], [0.24], [0.26], [0.76], [1 - 2**-24]])
    assert sample_categorical(log_prob, uniform).tolist() == [0, 0, 1, 2, 2]


def test_td_error_is_the_mean_over_learning_seats():
    agent, rows = make_agent(learners="both"), make_block(learner=[1.0, 1.0])[0]
    both = agent.td_error(rows)
    assert not both.requires_grad
    of_seat = [
        agent.td_error(rows.clone().set("learner", torch.tensor(learner).expand(B, 2)))
        for learner in ([1.0, 0.0], [0.0, 1.0])
    ]
    torch.testing.assert_close(both, (of_seat[0] + of_seat[1]) / 2)
    assert not torch.equal(*of_seat)
    assert (agent.td_error(rows.clone().set("learner", torch.zeros(B, 2))) == 0).all()


def test_td_error_of_terminated_rows_by_hand():
    agent, rows = make_agent(learners="one"), make_block(learner=[1.0, 0.0])[0]
    rows["next", "terminated"].fill_(True)
    q = agent.critics(rows["observation"]).mean(dim=0).gather(1, rows["action"][:, :A].argmax(dim=1, keepdim=True))
    target = rows["next", "reward"] + rows["next", "shaped_reward"][:, :1]
    torch.testing.assert_close(agent.td_error(rows), (target - q).abs().detach())
