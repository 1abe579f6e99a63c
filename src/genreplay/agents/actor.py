"""The stochastic policies: a tanh-squashed Gaussian and a categorical, whose parameters a network gives.

Shapes: B batch (any leading dimensions), O observation, A action, H hidden width.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from genreplay.common.precision import multiplies_bfloat16

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
"""Limits of the Gaussian's log deviation before the tanh (Haarnoja et al., 2018)."""


def _relu_network(in_width: int, out_width: int, hidden_width: int, num_hidden_layers: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise([in_width] + [hidden_width] * num_hidden_layers):
        layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(hidden_width, out_width))


def _outputs(network: nn.Sequential, inputs: Tensor) -> Tensor:
    """`network(inputs)`, where `genreplay.common.precision` says so with the hidden layers' products in bfloat16."""
    if not multiplies_bfloat16(inputs):
        return network(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = network[:-1](inputs)
    return network[-1](hidden.float())


class Actor(nn.Module):
    """Mean and log deviation of the Gaussian before the tanh.

    Args:
        observation_width: O.
        action_width: A.
        hidden_width: H.
        num_hidden_layers: ReLU layers before the two heads.
    """

    def __init__(self, observation_width: int, action_width: int, hidden_width: int, num_hidden_layers: int):
        super().__init__()
        self.network = _relu_network(observation_width, 2 * action_width, hidden_width, num_hidden_layers)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Mean `[B, A]` and log deviation `[B, A]` from observations `[B, O]`."""
        mean, log_std = _outputs(self.network, observation).chunk(2, dim=-1)
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)


class ActorPolicy(nn.Module):
    """Observations to actions in [-1, 1], without gradients; it shares the actor's weights, so it acts as they are.

    Args:
        actor: whose weights to use.
        deterministic: the tanh of the mean; otherwise a sample from torch's global generator.
    """

    def __init__(self, actor: Actor, deterministic: bool):
        super().__init__()
        self.actor, self.deterministic = actor, deterministic

    @torch.no_grad()
    def forward(self, observation: Tensor) -> Tensor:
        """Actions `[B, A]` from observations `[B, O]`."""
        mean, log_std = self.actor(observation)
        if self.deterministic:
            return mean.tanh()
        return (mean + log_std.exp() * torch.randn_like(mean)).tanh()


class CategoricalActor(nn.Module):
    """Log-probabilities of the actions.

    Args:
        observation_width: O.
        num_actions: A.
        hidden_width: H.
        num_hidden_layers: ReLU layers before the logits.
    """

    def __init__(self, observation_width: int, num_actions: int, hidden_width: int, num_hidden_layers: int):
        super().__init__()
        self.network = _relu_network(observation_width, num_actions, hidden_width, num_hidden_layers)

    def forward(self, observation: Tensor) -> Tensor:
        """`[B, A]` from observations `[B, O]`, in nats."""
        return log_softmax(_outputs(self.network, observation), dim=-1)


class CategoricalPolicy(nn.Module):
    """Observations to actions, without gradients; it shares the actor's weights, so it acts as they are.

    Args:
        actor: whose weights to use.
        deterministic: give the probabilities; otherwise a sample from torch's global generator.
    """

    def __init__(self, actor: CategoricalActor, deterministic: bool):
        super().__init__()
        self.actor, self.deterministic = actor, deterministic

    @torch.no_grad()
    def forward(self, observation: Tensor) -> Tensor:
        """Actions `[B]`, int64, or their probabilities `[B, A]`, from observations `[B, O]`."""
        log_prob = self.actor(observation)
        if self.deterministic:
            return log_prob.exp()
        return sample_categorical(log_prob, torch.rand_like(log_prob[..., :1]))


def sample_categorical(log_prob: Tensor, uniform: Tensor) -> Tensor:
    """Actions `[B]`, int64: the inverse of the distribution function at `uniform` `[B, 1]` in [0, 1).

    Args:
        log_prob: `[B, A]`.
        uniform: the random numbers.
    """
    cumulative = log_prob.exp().cumsum(dim=-1)
    # The last entry is 1 up to rounding, so it is not asked.
    return (uniform >= cumulative[..., :-1]).sum(dim=-1)
