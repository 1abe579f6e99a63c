"""Novelty: the error of a network trained to imitate a fixed random one on the next observation (RND).

Burda et al. (2019), "Exploration by Random Network Distillation". The error is low on observations like those seen
often.

Shapes: B rows, O observation, H features.
"""

from __future__ import annotations

from typing import Self

import torch
from tensordict import TensorDictBase
from torch import Tensor, nn

from genreplay.relevance.base import Relevance, TdErrors
from genreplay.relevance.config import NoveltyConfig
from genreplay.transitions.columns import TransitionLayout
from genreplay.transitions.keys import NEXT_OBSERVATION, OBSERVATION


class Novelty(Relevance):
    """Error of a trained predictor to a fixed random target network.

    Args:
        config: sizes and learning rate.
        observation_width: O.
    """

    optimizer: torch.optim.Optimizer

    def __init__(self, config: NoveltyConfig, observation_width: int):
        super().__init__()
        hidden, features = config.hidden_width, config.feature_width
        self.normalizer = RunningNormalizer(observation_width, config.observation_clip)
        self.target = nn.Sequential(
            nn.Linear(observation_width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, features),
        ).requires_grad_(False)
        # Deeper than the target, as in the paper, so that it can imitate what it has seen.
        self.predictor = nn.Sequential(
            nn.Linear(observation_width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, features),
        )
        self.optimizer = torch.optim.Adam(self.predictor.parameters(), lr=config.learning_rate)

    @classmethod
    def for_layout(cls, config: NoveltyConfig, layout: TransitionLayout, td_error: TdErrors) -> Self:
        """Novelty of an environment's observations."""
        return cls(config, layout.widths()[OBSERVATION])

    def relevance(self, transitions: TensorDictBase) -> Tensor:
        """Mean squared error over the features, Burda et al. (2019), section 2.2."""
        observation = self.normalizer(transitions[NEXT_OBSERVATION])
        return (self.predictor(observation) - self.target(observation)).square().mean(dim=1, keepdim=True)

    def update(self, transitions: TensorDictBase) -> dict[str, Tensor]:
        """One step of the predictor, after the batch has entered the observation statistics."""
        self.normalizer.update(transitions[NEXT_OBSERVATION])
        loss = self.relevance(transitions).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {"predictor_loss": loss.detach()}


class RunningNormalizer(nn.Module):
    """Observations less their mean, in standard deviations, clipped (Burda et al., 2019, section 2.4).

    Args:
        width: O.
        clip: in standard deviations.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, width: int, clip: float):
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, observation: Tensor) -> Tensor:
        """Shape `[B, O]` in and out."""
        # The floor keeps entries that never varied from turning rounding noise into novelty.
        deviation = self.variance.sqrt().clamp_min(1e-4)
        return ((observation - self.mean) / deviation).clamp(-self.clip, self.clip)

    @torch.no_grad()
    def update(self, observation: Tensor) -> None:
        """Merge the mean and variance of a batch `[B, O]` (Chan et al., 1979)."""
        num_rows = observation.shape[0]
        variance, mean = torch.var_mean(observation, dim=0, correction=0)
        total = self.count + num_rows
        share = num_rows / total
        delta = mean - self.mean
        self.variance.lerp_(variance, share).add_(delta.square() * share * (1 - share))
        self.mean += delta * share
        self.count.copy_(total)
