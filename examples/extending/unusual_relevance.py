"""A relevance function: how far from the usual place a transition leads."""

from dataclasses import dataclass
from typing import Self

import torch
from tensordict import TensorDictBase
from torch import Tensor

from genreplay.common.errors import require
from genreplay.relevance.base import Relevance, TdErrors
from genreplay.transitions.columns import TransitionLayout
from genreplay.transitions.keys import NEXT_OBSERVATION


@dataclass
class UnusualConfig:
    """Distance of the next observation from the mean of those seen."""

    name: str = "unusual"
    """Which relevance: `unusual`."""
    rate: float = 0.1
    """Share of each batch's mean that the mean takes over, in (0, 1]."""

    def __post_init__(self) -> None:
        require(0 < self.rate <= 1, "rate", f"must lie in (0, 1], not {self.rate}")


class Unusual(Relevance):
    """Keeps a running mean of next observations; buffers and parameters of the module are in the checkpoint."""

    def __init__(self, config: UnusualConfig, observation_width: int):
        super().__init__()
        self.rate = config.rate
        self.register_buffer("mean", torch.zeros(observation_width))

    @classmethod
    def for_layout(cls, config: UnusualConfig, layout: TransitionLayout, td_error: TdErrors) -> Self:
        """For any environment."""
        return cls(config, layout.widths()[NEXT_OBSERVATION])

    def relevance(self, transitions: TensorDictBase) -> Tensor:
        """Euclidean distance from the mean, `[N, 1]`."""
        return (transitions[NEXT_OBSERVATION] - self.mean).norm(dim=1, keepdim=True)

    def update(self, transitions: TensorDictBase) -> dict[str, Tensor]:
        """Move the mean toward that of a batch of real transitions `[B]`; returns how far it moved."""
        shift = self.rate * (transitions[NEXT_OBSERVATION].mean(dim=0) - self.mean)
        self.mean += shift
        return {"shift": shift.norm()}
