"""The categorical actor and the policy made of it.

Shapes: B batch (any leading dimensions), O observation, A actions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from genreplay.agents.networks import bfloat16_outputs, relu_network


class CategoricalActor(nn.Module):
    """Log-probabilities of the actions.

    Args:
        observation_width: O.
        num_actions: A.
        hidden_width: H.
    """

    def __init__(self, observation_width: int, num_actions: int, hidden_width: int):
        super().__init__()
        self.network = relu_network(observation_width, num_actions, hidden_width)

    def forward(self, observation: Tensor) -> Tensor:
        """`[B, A]` from observations `[B, O]`, in nats."""
        return log_softmax(bfloat16_outputs(self.network, observation), dim=-1)


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
    # The last entry is 1 up to rounding, so it is left out.
    return (uniform >= cumulative[..., :-1]).sum(dim=-1)
