"""Curiosity: the error of a forward model in a feature space that an inverse model shapes (ICM).

Pathak et al. (2017), "Curiosity-driven Exploration by Self-supervised Prediction", as in PGR: MLPs with SiLU, a forward
model of residual blocks with the action as input of every layer, features as wide as the hidden layers. Unlike PGR's
release, every residual block has weights of its own, and the inverse model has no batch norm.

Shapes: B rows, O observation, A action, H features.
"""

from __future__ import annotations

from typing import Self

import torch
from tensordict import TensorDictBase
from torch import Tensor, nn
from torch.nn.functional import mse_loss, silu

from genreplay.relevance.base import Relevance, TdErrors
from genreplay.relevance.config import CuriosityConfig
from genreplay.transitions.columns import TransitionLayout
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION


class Curiosity(Relevance):
    """Error of predicting the features of s' from those of s and the action.

    Args:
        config: sizes and learning rate.
        observation_width: O.
        action_width: A.
    """

    optimizer: torch.optim.Optimizer

    def __init__(self, config: CuriosityConfig, observation_width: int, action_width: int):
        super().__init__()
        self.config = config
        hidden = config.hidden_width
        self.features = _mlp(observation_width, hidden, hidden)
        self.inverse_model = _mlp(2 * hidden, hidden, action_width)
        self.forward_model = ForwardModel(hidden, action_width, config.num_blocks)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=config.learning_rate)

    @classmethod
    def for_layout(cls, config: CuriosityConfig, layout: TransitionLayout, td_error: TdErrors) -> Self:
        """Curiosity about an environment's transitions."""
        widths = layout.widths()
        return cls(config, widths[OBSERVATION], widths[ACTION])

    def relevance(self, transitions: TensorDictBase) -> Tensor:
        """Mean squared error over the features, Pathak et al. (2017), equation 6 with eta / 2 = 1 / H."""
        predicted = self.forward_model(self.features(transitions[OBSERVATION]), transitions[ACTION])
        return (predicted - self.features(transitions[NEXT_OBSERVATION])).square().mean(dim=1, keepdim=True)

    def update(self, transitions: TensorDictBase) -> dict[str, Tensor]:
        """One step on (1 - beta) * inverse loss + beta * forward loss, Pathak et al. (2017), equation 7.

        As in PGR, the forward model's target is held fixed: else features could collapse to be predictable.
        """
        action, beta = transitions[ACTION], self.config.forward_weight
        features = self.features(transitions[OBSERVATION])
        next_features = self.features(transitions[NEXT_OBSERVATION])
        forward_loss = mse_loss(self.forward_model(features, action), next_features.detach())
        inverse_loss = mse_loss(self.inverse_model(torch.cat([features, next_features], dim=1)), action)
        self.optimizer.zero_grad(set_to_none=True)
        ((1 - beta) * inverse_loss + beta * forward_loss).backward()
        self.optimizer.step()
        return {"forward_loss": forward_loss.detach(), "inverse_loss": inverse_loss.detach()}


class ForwardModel(nn.Module):
    """Features of s' `[B, H]` from features of s `[B, H]` and the action `[B, A]`."""

    def __init__(self, hidden: int, action_width: int, num_blocks: int):
        super().__init__()
        self.enter = nn.Linear(hidden + action_width, hidden)
        self.blocks = nn.ModuleList(ResidualBlock(hidden, action_width) for _ in range(num_blocks))
        self.leave = nn.Linear(hidden + action_width, hidden)

    def forward(self, features: Tensor, action: Tensor) -> Tensor:
        """The predicted features of s'."""
        hidden = self.enter(torch.cat([features, action], dim=1))
        for block in self.blocks:
            hidden = block(hidden, action)
        return self.leave(torch.cat([silu(hidden), action], dim=1))


class ResidualBlock(nn.Module):
    """`x + f(x, a)`, with the action as a further input of both layers of f."""

    def __init__(self, hidden: int, action_width: int):
        super().__init__()
        self.first = nn.Linear(hidden + action_width, hidden)
        self.second = nn.Linear(hidden + action_width, hidden)

    def forward(self, hidden: Tensor, action: Tensor) -> Tensor:
        """Shapes `[B, H]`, `[B, A]` -> `[B, H]`."""
        inner = silu(self.first(torch.cat([silu(hidden), action], dim=1)))
        return hidden + self.second(torch.cat([inner, action], dim=1))


def _mlp(in_width: int, hidden: int, out_width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_width, hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, out_width),
    )
