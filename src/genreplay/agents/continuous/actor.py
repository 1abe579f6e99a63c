"""The tanh-squashed Gaussian actor and the policy made of it.

Shapes: B batch (any leading dimensions), O observation, A action, H hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genreplay.agents.networks import bfloat16_outputs, relu_network

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
"""Limits of the Gaussian's log deviation before the tanh (Haarnoja et al., 2018)."""


class Actor(nn.Module):
    """Mean and log deviation of the Gaussian before the tanh.

    Args:
        observation_width: O.
        action_width: A.
        hidden_width: H.
    """

    def __init__(self, observation_width: int, action_width: int, hidden_width: int):
        super().__init__()
        self.network = relu_network(observation_width, 2 * action_width, hidden_width)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Mean `[B, A]` and log deviation `[B, A]` from observations `[B, O]`."""
        mean, log_std = bfloat16_outputs(self.network, observation).chunk(2, dim=-1)
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
