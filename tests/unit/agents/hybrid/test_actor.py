"""The hybrid actor: its distribution, its policy, and where it begins with a rule."""

import math

import pytest
import torch

from genreplay.agents.hybrid.actor import RULE_LOG_STD, HybridActor, HybridPolicy, join
from tests.helpers.hybrid_redq_sac import CHOICES, NUMBERS, OBS, RULE


def make_actor(rule=None, seed=0):
    torch.manual_seed(seed)
    return HybridActor(OBS, CHOICES, NUMBERS, 8, rule)


def test_probabilities_and_the_numbers_of_a_choice():
    observation = torch.randn(4, 7, OBS)
    distribution = make_actor()(observation)
    assert torch.allclose(distribution.log_prob.exp().sum(-1), torch.ones(4, 7))
    assert distribution.mean.shape == distribution.log_std.shape == (4, 7, CHOICES, NUMBERS)
    choice = torch.randint(CHOICES, (4, 7))
    mean, log_std = distribution.numbers_of(choice)
    for i in range(4):
        for j in range(7):
            assert torch.equal(mean[i, j], distribution.mean[i, j, choice[i, j]])
            assert torch.equal(log_std[i, j], distribution.log_std[i, j, choice[i, j]])


def test_an_untrained_actor_with_a_rule_is_the_rule():
    observation = torch.randn(50, OBS)
    distribution = make_actor(RULE)(observation)
    assert torch.allclose(distribution.log_prob, (observation @ RULE.preference).log_softmax(-1), atol=1e-6)
    assert torch.allclose(distribution.mean.tanh(), RULE.numbers.expand(50, CHOICES, NUMBERS))
    assert torch.allclose(distribution.log_std, torch.tensor(RULE_LOG_STD))
    action = HybridPolicy(make_actor(RULE), deterministic=True)(observation)
    expected = join(RULE.numbers.expand(50, -1), (observation @ RULE.preference).argmax(-1), CHOICES)
    assert torch.allclose(action, expected)


def test_every_weight_of_an_actor_with_a_rule_can_learn():
    actor = make_actor(RULE)
    for _ in range(2):  # behind a last layer of zeros nothing has a gradient in the first step
        distribution = actor(torch.randn(64, OBS))
        loss = (distribution.log_prob * torch.randn(CHOICES)).mean() + distribution.mean.square().mean()
        (loss + distribution.log_std.exp().mean()).backward()
        with torch.no_grad():
            for parameter in actor.parameters():
                parameter -= 0.1 * parameter.grad
    assert all(parameter.grad.abs().sum() > 0 for parameter in actor.parameters())


def test_the_exploring_policy_draws_from_the_distribution():
    actor = make_actor(seed=3)
    observation = torch.randn(OBS).expand(40_000, OBS)
    torch.manual_seed(0)
    action = HybridPolicy(actor, deterministic=False)(observation)
    distribution = actor(observation[:1])
    choice = action[:, NUMBERS:]
    assert set(choice.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(choice.sum(-1), torch.ones(len(choice)))
    assert choice.mean(0) == pytest.approx(distribution.log_prob[0].exp().detach(), abs=0.01)
    for p in range(CHOICES):
        drawn = action[choice[:, p] > 0, :NUMBERS].atanh()
        error = distribution.log_std[0, p].exp().max().item() / math.sqrt(len(drawn))
        assert drawn.mean(0) == pytest.approx(distribution.mean[0, p].detach(), abs=5 * error)
        assert drawn.std(0) == pytest.approx(distribution.log_std[0, p].exp().detach(), rel=0.05)


def test_the_deterministic_policy_moves_no_random_stream():
    policy = HybridPolicy(make_actor(), deterministic=True)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, other = policy(torch.ones(3, OBS)), policy(torch.ones(3, OBS))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, other)
