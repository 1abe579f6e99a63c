"""The base class of generators: fit to rows, average the weights, sample rows.

Shapes: N training rows, n sampled rows, B rows of a batch, D columns.

One module serves three drivers: the Fabric loop of `fitting.fit`, a plain `lightning.Trainer` over
`fitting.Batches`, and hand-written loops in tests. A fit is `begin_fit`, then for each batch `training_step`,
`on_before_optimizer_step`, an optimiser step and `on_train_batch_end`, then `on_train_end`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import lightning
import torch
from torch import Tensor, nn

from genreplay.common.precision import EXACT, Speed, matmul_precision
from genreplay.common.seeding import derive_seed
from genreplay.generators.config import GeneratorConfig
from genreplay.transitions.codec import Codec

GRADIENT_CLIP_NORM = 1.0
"""Largest norm of the gradient, as in the releases of SynthER and PGR."""


class Sampled(NamedTuple):
    """Rows that a generator drew, with its confidence in them."""

    rows: Tensor
    """`[n, D]` in the codec's units, not yet projected to valid ones."""
    confidence: Tensor | None = None
    """`[n, 1]` in [0, 1]: probability that the generator gives to what follows in the row; None where it has none."""
    agree: Tensor | None = None
    """`[n, 1]` bool: whether all members of the generator's ensemble hold the same outcome likeliest; None likewise."""

    def pack(self) -> Tensor:
        """All of it as one tensor `[n, D]` or `[n, D + 2]`, for travelling between ranks."""
        if self.confidence is None or self.agree is None:
            return self.rows
        return torch.cat([self.rows, self.confidence, self.agree.to(self.rows.dtype)], dim=1)

    @classmethod
    def unpack(cls, packed: Tensor, num_columns: int) -> Sampled:
        """What `pack` made; D is `num_columns`."""
        if packed.shape[1] == num_columns:
            return cls(packed)
        return cls(packed[:, :num_columns], packed[:, -2:-1], packed[:, -1:] > 0.5)


class StepModel(ABC):
    """The outcome of given states and actions: what a generator needs for rollouts of a policy."""

    @abstractmethod
    def complete(self, rows: Tensor, seed: int = 0) -> Sampled:
        """Rows `[n, D]` in the codec's units with their next columns, whatever they hold, replaced by predictions.

        `seed` is that of the noise, where outcomes are random.
        """


class Generator(lightning.LightningModule, ABC):
    """A model of transitions that can be fitted again and again.

    A subclass calls `self.set_network()` at the end of its `__init__`, and gives the abstract methods. All randomness
    is passed in, as seeds or in the batch: every rank that fits the same rows with the same seed has the same weights.

    Args:
        config: its options.
        codec: its rows.
        conditional: whether rows come with a relevance to condition on.
        speed: how it computes.
    """

    has_confidence: bool = False
    """Whether samples carry confidence and agreement."""
    step_model: StepModel | None = None
    """What predicts the outcome of a given state and action; None where the generator draws whole rows alone."""
    given_columns: Tensor | None = None
    """`[D]` bool: the columns that a sampled row takes from a real one; None where it generates all of them."""

    config: GeneratorConfig
    network: nn.Module
    """The network in training."""
    ema: nn.Module
    """The moving average of `network`, which is what samples."""
    _fitted: Tensor

    def __init__(self, config: GeneratorConfig, codec: Codec, conditional: bool, speed: Speed = EXACT):
        super().__init__()
        self.config, self.conditional, self.speed = config, conditional, speed
        self.num_columns = codec.width
        """D."""

    def set_network(self) -> None:
        """Build `network` and its average; the weights mean nothing until `begin_fit`."""
        self.network = self.build_network()
        self.ema = copy.deepcopy(self.network).requires_grad_(False)
        self.register_buffer("_fitted", torch.tensor(False))

    @property
    def fitted(self) -> bool:
        """Whether a fit has ended, so that samples mean something."""
        return bool(self._fitted)

    @abstractmethod
    def build_network(self) -> nn.Module:
        """A network with fresh weights, drawn from torch's global CPU generator."""

    @abstractmethod
    def fit_scales(self, rows: Tensor, condition: Tensor | None) -> None:
        """Take from the training rows `[N, D]` and conditions `[N, 1]` whatever is not learned by gradient."""

    @abstractmethod
    def draw(self, num_rows: int, rng: torch.Generator) -> dict[str, Tensor]:
        """The random numbers that `training_step` needs for `num_rows` rows, each `[num_rows, ...]`."""

    @abstractmethod
    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        """Loss of a batch with `rows` `[B, D]`, `condition` `[B, 1]` (if there is one) and what `draw` gave."""

    @abstractmethod
    def sample_chunk(self, num_rows: int, condition: Tensor | None, rng: torch.Generator) -> Sampled:
        """`num_rows` rows in the codec's units, drawn from `ema`."""

    def fill_chunk(self, given: Tensor, condition: Tensor | None, rng: torch.Generator) -> Sampled:
        """Rows that keep the entries of `given` `[n, D]`; those that are NaN are drawn from `ema`, to fit them.

        Only for generators with `given_columns` or a step model of this kind.
        """
        raise NotImplementedError(f"{type(self).__name__} draws whole rows only")

    def given_of(self, real: Tensor) -> Tensor | None:
        """What rows take from real ones `[n, D]`: NaN in the columns to generate; None where that is all of them."""
        columns = self.given_columns
        return None if columns is None else real.masked_fill(~columns.to(real.device), torch.nan)

    def configure_optimizers(self) -> Any:
        """AdamW whose step size falls to zero over `fit.num_steps` along a half cosine."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.config.fit.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=self.config.fit.weight_decay,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.config.fit.num_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def begin_fit(self, rows: Tensor, condition: Tensor | None, seed: int) -> None:
        """Prepare a fit to rows `[N, D]` and conditions `[N, 1]`.

        The network starts from the averaged weights of the last fit (`warm_start`) or from weights that depend on
        `seed` alone.
        """
        if rows.ndim != 2 or rows.shape[1] != self.num_columns:
            raise ValueError(f"rows have shape {tuple(rows.shape)}, but this generator has {self.num_columns} columns")
        if condition is not None and condition.shape != (rows.shape[0], 1):
            raise ValueError(f"condition has shape {tuple(condition.shape)}; it must be [{rows.shape[0]}, 1]")
        if self.conditional and condition is None:
            raise ValueError("this generator is conditional: fit needs the condition of every row")
        if not self.conditional and condition is not None:
            raise ValueError("this generator has no condition: build it with conditional=True to use one")
        self.fit_scales(rows, condition)
        if self.config.fit.warm_start and self.fitted:
            self.network.load_state_dict(self.ema.state_dict())
            return
        with torch.random.fork_rng(devices=[]):
            # Only the CPU generator: torch.manual_seed would reseed the devices' generators too.
            torch.default_generator.manual_seed(derive_seed(seed, "weights"))
            fresh = self.build_network()
        self.network.load_state_dict(fresh.state_dict())
        self.ema.load_state_dict(fresh.state_dict())

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_CLIP_NORM)

    @torch.no_grad()
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the average toward the weights; the first steps of a fit count little (warm-up)."""
        decay = min(self.config.fit.ema_decay, (1 + batch_idx) / (10 + batch_idx))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.network.parameters()), 1 - decay)

    def on_train_end(self) -> None:
        """The fit is over: samples mean something from here on."""
        self._fitted.fill_(True)

    @torch.no_grad()
    def sample(
        self,
        num_rows: int,
        condition: Tensor | None,
        seed: int,
        part: int = 0,
        num_parts: int = 1,
        given: Tensor | None = None,
    ) -> Sampled:
        """Rows `[num_rows, D]` in the codec's units, not yet projected to valid ones.

        Each chunk of `sampler.chunk_size` rows has a random stream of its own, so the rows do not depend on how many
        ranks share the work.

        Args:
            num_rows: n.
            condition: `[n, 1]`, one for each row; None samples the unconditional model.
            seed: of the noise.
            part: which of `num_parts` consecutive parts of the rows to make; the parts in order are the whole.
            num_parts: how many parts there are.
            given: `[n, D]`, what the rows keep, NaN where they are generated (`given_of`); None for nothing.
        """
        if not self.fitted:
            raise RuntimeError("the generator has not been fitted: call fit before sample")
        if condition is not None and condition.shape != (num_rows, 1):
            raise ValueError(f"condition has shape {tuple(condition.shape)}; it must be [{num_rows}, 1]")
        if given is None and self.given_columns is not None:
            raise ValueError("this generator takes some columns from real rows: sample needs `given` (given_of)")
        if given is not None and given.shape != (num_rows, self.num_columns):
            raise ValueError(f"given has shape {tuple(given.shape)}; it must be [{num_rows}, {self.num_columns}]")
        here, size = self.part_of(num_rows, part, num_parts), self.config.sampler.chunk_size
        chunks = [torch.empty(0, self.packed_width, device=self.device)]
        for start in range(here.start, here.stop, size):
            stop = min(start + size, here.stop)
            rng = torch.Generator(self.device).manual_seed(derive_seed(seed, "sample", start // size))
            wanted = None if condition is None else condition[start:stop].to(self.device)
            with matmul_precision(self.speed.matmul_precision):
                if given is None:
                    chunk = self.sample_chunk(stop - start, wanted, rng)
                else:
                    chunk = self.fill_chunk(given[start:stop].to(self.device), wanted, rng)
                chunks.append(chunk.pack())
        return Sampled.unpack(torch.cat(chunks), self.num_columns)

    @property
    def packed_width(self) -> int:
        """Columns of a packed sample: D, and two more where it has confidence in its rows."""
        return self.num_columns + 2 * self.has_confidence

    def part_of(self, num_rows: int, part: int, num_parts: int) -> slice:
        """Which rows are in the given part of `num_rows`: whole chunks, as evenly as they go."""
        size = self.config.sampler.chunk_size
        num_chunks = -(-num_rows // size)
        first, last = (i * num_chunks // num_parts * size for i in (part, part + 1))
        return slice(min(first, num_rows), min(last, num_rows))
