"""How synthetic transitions come from a fitted generator. Here: whole ones, as in SynthER and PGR; see also `rollouts`.

Shapes: N real transitions, n synthetic ones, D columns.

Relevance steers every source in the same way, by the most relevant real transitions: whole rows are conditioned on
their relevance (Wang et al., 2025, section 4.2), rollouts begin in their states.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor

from genreplay.common.seeding import derive_seed
from genreplay.config.schema import SynthesisConfig
from genreplay.generators.base import Sampled
from genreplay.generators.distributed.team import Team
from genreplay.generators.fitting import OnProgress
from genreplay.transitions.codec import Codec
from genreplay.transitions.seats import swap_seats


class Source(NamedTuple):
    """The real transitions that a generator is fitted to, and those that steer it."""

    real: TensorDictBase
    """`[N]`."""
    relevance: Tensor | None = None
    """`[N, 1]`; None where all count alike."""
    top: Tensor | None = None
    """Row numbers of the most relevant ones, which synthesis starts from; None likewise."""

    @property
    def most_relevant(self) -> TensorDictBase | None:
        """The transitions in `top`."""
        return None if self.top is None else self.real[self.top.to(self.real.device)]


class Synthetic(NamedTuple):
    """What was drawn at one time."""

    rows: Tensor
    """`[n, D]`, as the generator drew them, before the codec makes them valid."""
    transitions: TensorDict
    """`[n]`."""
    metrics: dict[str, float]
    """`kept`: share of the drawn rows; where the generator has confidence in its rows also the means of `confidence`
    and `agreement` over all that were drawn."""


class Synthesis(ABC):
    """Fits a generator, draws synthetic transitions and keeps those in which the generator has confidence.

    Args:
        config: its options.
        codec: from transitions to the generator's rows and back.
        team: the generator, on all ranks.
    """

    def __init__(self, config: SynthesisConfig, codec: Codec, team: Team):
        self.config, self.codec, self.team, self.generator = config, codec, team, team.generator

    @abstractmethod
    def draw(self, source: Source, num_rows: int, seed: int) -> Synthetic:
        """Draw `num_rows` transitions; those that are kept may be fewer, or none. Everything random follows `seed`."""

    def source(self, real: TensorDictBase, relevance: Tensor | None) -> Source:
        """Real transitions `[N]` and their relevance `[N, 1]`, with the most relevant ones picked."""
        share = self.generator.config.sampler.prompt_top_fraction
        return Source(real, relevance, None if relevance is None else most_relevant(relevance, share))

    def fit(self, source: Source, seed: int, on_progress: OnProgress | None = None) -> dict[str, float]:
        """Fit the generator; the figures of `fitting.fit`."""
        return self.team.fit(*self.training_rows(source.real, source.relevance), seed, on_progress)

    def training_rows(self, real: TensorDictBase, relevance: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Rows `[n, D]` of real transitions `[N]` that the generator is fitted to, and the relevance of each `[n, 1]`.

        With `swap_seats` every joint transition counts twice, as either player sees it.
        """
        rows, seats = self.codec.encode(real), self.codec.layout.seats
        if not self.config.swap_seats or seats is None:
            return rows, relevance
        rows = torch.cat([rows, self.codec.encode(swap_seats(real, seats))])
        return rows, None if relevance is None else torch.cat([relevance, relevance])

    def confident(self, sampled: Sampled) -> Tensor:
        """Whether the generator has enough confidence in each row, `[n]` bool; True where it has no such figure."""
        config, confidence, agree = self.config, sampled.confidence, sampled.agree
        if confidence is None or agree is None:
            return torch.ones(len(sampled.rows), dtype=torch.bool, device=sampled.rows.device)
        kept = confidence.view(-1) >= config.min_confidence
        return kept & agree.view(-1) if config.require_agreement else kept

    def _kept(self, sampled: Sampled) -> Synthetic:
        """The rows in which the generator has enough confidence, and figures of all."""
        kept = self.confident(sampled)
        of_all = {"kept": kept, "confidence": sampled.confidence, "agreement": sampled.agree}
        metrics = {name: float(value.float().mean()) for name, value in of_all.items() if value is not None}
        return Synthetic(sampled.rows[kept], self.codec.decode(sampled.rows[kept]), metrics)


class Generated(Synthesis):
    """Whole transitions, drawn by the generator.

    Each follows one real transition, drawn with replacement: it is conditioned on that one's relevance, and takes from
    it the columns that the generator is given. So the two are a pair that occurred.
    """

    def draw(self, source: Source, num_rows: int, seed: int) -> Synthetic:
        """As of `Synthesis`."""
        top = torch.arange(len(source.real)) if source.top is None else source.top
        followed = draw_prompts(top, num_rows, seed)
        prompts = None if source.relevance is None else source.relevance[followed]
        given = None
        if self.generator.given_columns is not None:
            given = self.generator.given_of(self.codec.encode(source.real[followed.to(source.real.device)]))
        return self._kept(self.team.sample(num_rows, prompts, seed, given))


def most_relevant(relevance: Tensor, top_fraction: float) -> Tensor:
    """Row numbers of the top fraction of `relevance` `[N, 1]`, at least one."""
    return relevance.view(-1).topk(max(1, round(top_fraction * relevance.shape[0]))).indices


def draw_prompts(top: Tensor, num_prompts: int, seed: int) -> Tensor:
    """`num_prompts` of the most relevant transitions `[*, ...]`, with replacement: of their row numbers or relevances.

    Wang et al. (2025), section 4.2: the prompts are the relevances of the most relevant real transitions.
    """
    generator = torch.Generator(device=top.device).manual_seed(derive_seed(seed, "prompts"))
    return top[torch.randint(len(top), (num_prompts,), generator=generator, device=top.device)]
