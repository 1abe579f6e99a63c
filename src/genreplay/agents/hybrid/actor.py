"""The hybrid actor: a categorical choice, and for each choice a tanh-squashed Gaussian of its numbers.

Shapes: B batch (any leading dimensions), O observation, P choices, C numbers, A = C + P action, H hidden width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, one_hot

from genreplay.agents.continuous.actor import LOG_STD_MAX, LOG_STD_MIN
from genreplay.agents.discrete.actor import sample_categorical
from genreplay.agents.networks import bfloat16_outputs, relu_network
from genreplay.transitions.columns import ActionRule

RULE_LOG_STD = -0.7
"""Log deviation of the numbers, before the tanh, of an actor that begins with a rule."""


class HybridDistribution(NamedTuple):
    """The distribution of actions in a state."""

    log_prob: Tensor
    """Of each choice, in nats, `[B, P]`."""
    mean: Tensor
    """Of each choice's numbers before the tanh, `[B, P, C]`."""
    log_std: Tensor
    """Likewise, `[B, P, C]`."""

    def numbers_of(self, choice: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log deviation `[B, C]` of the numbers of choices `[B]` (int64)."""
        place = choice[..., None, None].expand(*choice.shape, 1, self.mean.shape[-1])
        return self.mean.gather(-2, place).squeeze(-2), self.log_std.gather(-2, place).squeeze(-2)


class HybridActor(nn.Module):
    """A network of two ReLU layers. With a rule a linear layer is added, and the whole begins as the rule.

    Args:
        observation_width: O.
        num_choices: P.
        num_numbers: C.
        hidden_width: H.
        rule: where to begin; None for random weights.
    """

    def __init__(
        self,
        observation_width: int,
        num_choices: int,
        num_numbers: int,
        hidden_width: int,
        rule: ActionRule | None = None,
    ):
        super().__init__()
        self.num_choices, self.num_numbers = num_choices, num_numbers
        num_outputs = num_choices * (1 + 2 * num_numbers)
        self.network = relu_network(observation_width, num_outputs, hidden_width)
        self.rule = None if rule is None else nn.Linear(observation_width, num_outputs)
        if rule is not None:
            self._begin_with(rule)

    @torch.no_grad()
    def _begin_with(self, rule: ActionRule) -> None:
        assert self.rule is not None
        for layer in (self.network[-1], self.rule):
            assert isinstance(layer, nn.Linear)
            layer.weight.zero_()
            layer.bias.zero_()
        self.rule.weight[: self.num_choices] = rule.preference.T
        of_numbers = self.rule.bias[self.num_choices :].view(2, self.num_choices, self.num_numbers)
        of_numbers[0], of_numbers[1] = rule.numbers.atanh(), RULE_LOG_STD

    def forward(self, observation: Tensor) -> HybridDistribution:
        """The distributions of actions at observations `[B, O]`."""
        outputs = bfloat16_outputs(self.network, observation)
        if self.rule is not None:
            outputs = outputs + self.rule(observation)
        logits, numbers = outputs[..., : self.num_choices], outputs[..., self.num_choices :]
        mean, log_std = numbers.unflatten(-1, (2, self.num_choices, self.num_numbers)).unbind(-3)
        return HybridDistribution(log_softmax(logits, dim=-1), mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX))


class HybridPolicy(nn.Module):
    """Observations to actions, without gradients; it shares the actor's weights, so it acts as they are.

    Args:
        actor: whose weights to use.
        deterministic: the likeliest choice, of equals the first, and the tanh of its mean; otherwise a sample from
            torch's global generator.
    """

    def __init__(self, actor: HybridActor, deterministic: bool):
        super().__init__()
        self.actor, self.deterministic = actor, deterministic

    @torch.no_grad()
    def forward(self, observation: Tensor) -> Tensor:
        """Actions `[B, A]`, numbers in [-1, 1] and then the one-hot choice, from observations `[B, O]`."""
        distribution = self.actor(observation)
        if self.deterministic:
            choice = distribution.log_prob.argmax(dim=-1)
            numbers = distribution.numbers_of(choice)[0]
        else:
            choice = sample_categorical(distribution.log_prob, torch.rand_like(observation[..., :1]))
            mean, log_std = distribution.numbers_of(choice)
            numbers = mean + log_std.exp() * torch.randn_like(mean)
        return join(numbers.tanh(), choice, self.actor.num_choices)


def join(numbers: Tensor, choice: Tensor, num_choices: int) -> Tensor:
    """Actions `[B, A]` of numbers `[B, C]` and choices `[B]` (int64)."""
    return torch.cat([numbers, one_hot(choice, num_choices).to(numbers.dtype)], dim=-1)
