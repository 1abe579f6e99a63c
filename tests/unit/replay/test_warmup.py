"""The warm-up's actions where they hold a choice."""

import torch
from tensordict import TensorDict

from genreplay.replay.warmup import RANDOM_SHARE, random_actions, warmup_policy
from tests.helpers.hybrid_redq_sac import CHOICES, NUMBERS, OBS, RULE, make_agent, make_layout
from tests.helpers.redq_sac import make_agent as make_continuous_agent


def decide(warmup, num=20_000):
    torch.manual_seed(3)
    return warmup(TensorDict({"observation": torch.ones(num, OBS)}, [num]))["action"]


def test_random_actions_are_uniform_numbers_and_a_uniform_choice():
    torch.manual_seed(0)
    action = random_actions(make_layout(), torch.zeros(30_000, NUMBERS + CHOICES))
    assert torch.equal(action[:, NUMBERS:].sum(-1), torch.ones(len(action)))
    assert (action[:, NUMBERS:].mean(0) - 1 / CHOICES).abs().max() < 0.02
    assert action[:, :NUMBERS].abs().max() <= 1
    assert action[:, :NUMBERS].mean(0).abs().max() < 0.02
    assert (action[:, :NUMBERS].std(0) - 3**-0.5).abs().max() < 0.01


def test_with_a_rule_the_untrained_policy_collects_with_random_actions_at_times():
    agent, layout = make_agent(rule=RULE), make_layout(RULE)
    action = decide(warmup_policy(agent.policy(deterministic=False), layout, agent.begins_with_rule))
    by_rule = (torch.ones(OBS) @ RULE.preference).softmax(-1)
    expected = (1 - RANDOM_SHARE) * by_rule + RANDOM_SHARE / CHOICES
    assert (action[:, NUMBERS:].mean(0) - expected).abs().max() < 0.015


def test_without_a_rule_every_action_is_random():
    agent, layout = make_agent(), make_layout()
    action = decide(warmup_policy(agent.policy(deterministic=False), layout, agent.begins_with_rule))
    assert (action[:, NUMBERS:].mean(0) - 1 / CHOICES).abs().max() < 0.02


def test_actions_of_numbers_alone_need_no_policy():
    agent = make_continuous_agent()
    layout = make_layout()
    numbers = type(layout)(tuple(column for column in layout.columns if column.kind != "categorical"))
    assert warmup_policy(agent.policy(deterministic=False), numbers, agent.begins_with_rule) is None
