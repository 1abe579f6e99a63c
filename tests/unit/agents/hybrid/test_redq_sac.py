"""The hybrid agent's losses and targets against enumeration by hand, its rule, its temperatures, its refusals."""

import math
from copy import deepcopy

import pytest
import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from genreplay.agents import losses
from genreplay.agents.config import HybridRedqSacConfig, RedqSacConfig
from genreplay.agents.continuous.redq_sac import RedqSac
from genreplay.agents.hybrid.redq_sac import HybridRedqSac
from genreplay.common.errors import UserError
from genreplay.common.precision import Speed
from genreplay.transitions.columns import TransitionLayout
from tests.helpers.hybrid_redq_sac import CHOICES, NUMBERS, OBS, PERIOD, RULE, make_agent, make_block, make_layout


def moved(agent, scale=0.3):
    """The agent with its actor somewhere else."""
    torch.manual_seed(11)
    with torch.no_grad():
        for parameter in agent.actor.parameters():
            parameter += scale * torch.randn_like(parameter)
    return agent


def by_hand(agent, observation, noise, actor=None):
    """pi(p) `[B, P]`, log pi(u|p) `[B, P]` and numbers `[B, P, C]`, by torch's own distributions."""
    where = agent.actor(observation)
    drawn = where.mean + where.log_std.exp() * noise
    of = where if actor is None else actor(observation)
    gaussian = TransformedDistribution(Normal(of.mean, of.log_std.exp()), [TanhTransform()])
    return of.log_prob, gaussian.log_prob(drawn.tanh()).sum(-1), drawn.tanh()


@pytest.mark.parametrize("rule", [None, RULE], ids=["entropy", "rule"])
def test_the_actor_s_loss_is_the_enumeration_over_choices(rule):
    agent = moved(make_agent(rule=rule, initial_number_temperature=0.15, critic_learning_rate=1e-12))
    block = make_block()
    observation = block[-1]["observation"]
    torch.manual_seed(7)
    noise = agent.draw(*block.shape).actor_noise
    log_prob, number_log_prob, numbers = by_hand(agent, observation, noise)
    rule_terms = (0.0, 0.0) if rule is None else by_hand(agent, observation, noise, agent.rule_actor)[:2]
    total = torch.zeros(())
    for b in range(len(observation)):
        for p in range(CHOICES):
            action = torch.cat([numbers[b, p], torch.eye(CHOICES)[p]])
            q = agent.critics(torch.cat([observation[b], action])[None]).mean()
            left = 0.4 * (log_prob[b, p] - (rule_terms[0] if rule is None else rule_terms[0][b, p]))
            left = left + 0.15 * (number_log_prob[b, p] - (rule_terms[1] if rule is None else rule_terms[1][b, p]))
            total = total + log_prob[b, p].exp() * (left - q)
    torch.manual_seed(7)
    metrics = agent.training_step(block)
    assert metrics["actor_loss"].item() == pytest.approx(total.item() / len(observation), rel=1e-4)
    assert metrics["entropy"].item() == pytest.approx(-(log_prob.exp() * log_prob).sum(-1).mean().item(), rel=1e-4)
    assert metrics["number_entropy"].item() == pytest.approx(
        -(log_prob.exp() * number_log_prob).sum(-1).mean().item(), rel=1e-4
    )


def test_the_exact_expectation_equals_a_large_sample():
    torch.manual_seed(2)
    log_prob = torch.randn(1, CHOICES).log_softmax(-1)
    q, costs, temperatures = torch.randn(2, 1, CHOICES), torch.randn(1, CHOICES, 2), torch.tensor([0.3, 0.7])
    exact = losses.hybrid_actor_loss(q, log_prob, costs, temperatures)
    choice = torch.multinomial(log_prob[0].exp(), 200_000, replacement=True)
    values = (costs[0] * temperatures).sum(-1) - q.mean(0)[0]
    assert exact.item() == pytest.approx(values[choice].mean().item(), abs=0.02)


@pytest.mark.parametrize("accrues", [False, True])
@pytest.mark.parametrize("rule", [None, RULE], ids=["entropy", "rule"])
def test_the_critics_target_by_hand(rule, accrues):
    agent = moved(make_agent(rule=rule, accrues=accrues, target_subset_size=4, gamma=0.8))
    block = make_block(num_updates=3)
    torch.manual_seed(7)
    draws = agent.draw(*block.shape)
    batch, following = block[0], block[0]["next"]
    where = agent.actor(following["observation"])
    choice = (draws.next_uniform[0] >= where.log_prob.exp().cumsum(-1)[:, :-1]).sum(-1)
    noise = draws.next_noise[0][:, None].expand(-1, CHOICES, -1)
    log_prob, number_log_prob, numbers = by_hand(agent, following["observation"], noise)
    rows = torch.arange(len(choice))
    cost = 0.4 * log_prob[rows, choice] + 0.1 * number_log_prob[rows, choice]
    if rule is not None:
        of_rule = by_hand(agent, following["observation"], noise, agent.rule_actor)
        cost = cost - 0.4 * of_rule[0][rows, choice] - 0.1 * of_rule[1][rows, choice]
    action = torch.cat([numbers[rows, choice], torch.eye(CHOICES)[choice]], dim=-1)
    next_q = agent.target_critics(torch.cat([following["observation"], action], dim=-1)).amin(0)[:, 0]
    seconds, reward = following["duration"][:, 0], following["reward"][:, 0]
    if accrues:
        reward = reward * torch.stack([(0.8 ** (torch.linspace(0, s, 2001) / PERIOD)).mean() for s in seconds])
    value = torch.where(following["terminated"][:, 0], 0.0, 0.8 ** (seconds / PERIOD) * (next_q - cost))
    target = reward + value
    q = agent.critics(torch.cat([batch["observation"], batch["action"]], dim=-1))[..., 0]
    expected = (q - target).square().mean()
    torch.manual_seed(7)
    one = make_agent(rule=rule, accrues=accrues, target_subset_size=4, gamma=0.8, critic_updates_per_actor_update=1)
    one.load_state_dict(agent.state_dict())
    torch.manual_seed(7)
    # The same random numbers for the only batch of this block as for the first of the other one.
    one.draw = lambda *shape: type(draws)(draws.next_uniform[:1], draws.next_noise[:1], *draws[2:3], draws.subsets[:1])
    metrics = one.training_step(block[:1])
    assert metrics["critic_loss"].item() == pytest.approx(expected.item(), rel=2e-3)


def test_a_policy_that_is_still_the_rule_pays_nothing():
    agent = make_agent(rule=RULE)
    torch.manual_seed(0)
    _, cost = agent._act(torch.randn(64, OBS), torch.rand(64, 1), torch.randn(64, NUMBERS))
    assert cost.abs().max() < 1e-5


def test_the_actor_rests_until_its_first_step():
    agent = make_agent(rule=RULE, first_actor_env_step=100)
    block, before = make_block(), deepcopy(agent.actor.state_dict())
    critics = deepcopy(agent.critics.state_dict())
    agent.set_progress(99)
    assert "actor_loss" not in agent.training_step(block)
    assert all(torch.equal(before[name], value) for name, value in agent.actor.state_dict().items())
    assert not all(torch.equal(critics[name], value) for name, value in agent.critics.state_dict().items())
    agent.set_progress(100)
    assert agent.training_step(block)["actor_loss"].isfinite()
    assert not all(torch.equal(before[name], value) for name, value in agent.actor.state_dict().items())
    assert all(torch.equal(before[name], value) for name, value in agent.rule_actor.state_dict().items())


def test_both_temperatures_move_toward_their_entropies():
    low = make_agent(target_entropy=0.0, target_number_entropy=-9.0, temperature_learning_rate=0.01)
    high = make_agent(target_entropy=1.0, target_number_entropy=9.0, temperature_learning_rate=0.01)
    for agent in (low, high):
        agent.training_step(make_block())
    start = torch.tensor([math.log(0.4), math.log(0.1)])
    assert (low.log_temperature < start).all()
    assert (high.log_temperature > start).all()


def test_compiled_updates_are_the_eager_ones():
    eager, compiled = (
        make_agent(rule=RULE, accrues=True),
        make_agent(rule=RULE, accrues=True, speed=Speed(compile=True)),
    )
    for agent in (eager, compiled):
        for i in range(2):
            torch.manual_seed(i)
            metrics = agent.training_step(make_block(seed=i))
    assert metrics["critic_loss"].isfinite()
    for name, value in eager.state_dict().items():
        assert torch.allclose(value, compiled.state_dict()[name], atol=1e-5), name


def test_td_error_and_resampled_actions_repeat():
    agent, rows = moved(make_agent(rule=RULE)), make_block()[0]
    before = torch.get_rng_state()
    assert torch.equal(agent.td_error(rows), agent.td_error(rows))
    actions = [agent.resample_actions(rows, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*actions)
    assert torch.equal(actions[0][:, NUMBERS:].sum(-1), torch.ones(len(rows)))


def test_a_state_dict_holds_everything():
    trained = make_agent(rule=RULE)
    trained.training_step(make_block())
    resumed = make_agent(seed=9, rule=RULE)
    resumed.load_state_dict(trained.state_dict())
    resumed.load_optimizer_state_dict(deepcopy(trained.optimizer_state_dict()))
    for agent in (trained, resumed):
        torch.manual_seed(4)
        agent.training_step(make_block(seed=2))
    for name, value in trained.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_refusals():
    layout = make_layout(RULE)
    with pytest.raises(UserError, match=r"agent\.learn_temperature: a policy that begins with a rule is held to it"):
        HybridRedqSac.for_layout(HybridRedqSacConfig(learn_temperature=True), layout, PERIOD)
    free = HybridRedqSacConfig(learn_temperature=True, begin_with_rule=False)
    assert not HybridRedqSac.for_layout(free, layout, PERIOD).begins_with_rule
    numbers = TransitionLayout(tuple(c for c in layout.columns if c.kind != "categorical"))
    with pytest.raises(UserError, match=r"'hybrid_redq_sac' acts with numbers and one choice, .*; write redq_sac"):
        HybridRedqSac.for_layout(HybridRedqSacConfig(), numbers, PERIOD)
    with pytest.raises(UserError, match=r"'redq_sac' acts with numbers alone, .*; write hybrid_redq_sac"):
        RedqSac.for_layout(RedqSacConfig(), layout, PERIOD)
