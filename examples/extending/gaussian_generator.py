"""A generator: every column a normal distribution of its own."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genreplay.common.precision import EXACT, Speed
from genreplay.generators.base import Generator, Sampled
from genreplay.generators.config import GeneratorConfig
from genreplay.transitions.codec import Codec


@dataclass
class GaussianConfig(GeneratorConfig):
    """Independent columns: the least that a generator can know of transitions."""

    name: str = "gaussian"
    """Which generator: `gaussian`."""


class Normals(nn.Module):
    """D independent normal distributions."""

    def __init__(self, num_columns: int):
        super().__init__()
        self.mean, self.log_std = nn.Parameter(torch.zeros(num_columns)), nn.Parameter(torch.zeros(num_columns))


class GaussianGenerator(Generator):
    """Fits the normals by maximum likelihood, without the relevance. Optimiser, average, chunks and ranks are done."""

    network: Normals
    ema: Normals

    def __init__(self, config: GaussianConfig, codec: Codec, conditional: bool, speed: Speed = EXACT):
        super().__init__(config, codec, conditional, speed)
        self.set_network()

    def build_network(self) -> Normals:
        """Standard normals."""
        return Normals(self.num_columns)

    def fit_scales(self, rows: Tensor, condition: Tensor | None) -> None:
        """Everything is learned by gradient."""

    def draw(self, num_rows: int, rng: torch.Generator) -> dict[str, Tensor]:
        """The loss needs no random numbers."""
        return {}

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        """Negative log-likelihood, up to a constant."""
        error = (batch["rows"] - self.network.mean) * (-self.network.log_std).exp()
        return (0.5 * error.square() + self.network.log_std).sum(dim=1).mean()

    def sample_chunk(self, num_rows: int, condition: Tensor | None, rng: torch.Generator) -> Sampled:
        """Rows `[num_rows, D]`; the codec makes them valid."""
        noise = torch.randn(num_rows, self.num_columns, generator=rng, device=self.device)
        return Sampled(self.ema.mean + self.ema.log_std.exp() * noise)
