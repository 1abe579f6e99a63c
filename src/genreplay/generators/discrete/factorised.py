"""p(event, s, a) by masked diffusion, p(s', r | s, a) by an ensemble of networks or by trees.

Shapes: N training rows, n sampled rows, B rows of a batch, D entries, M members.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genreplay.common.precision import EXACT, Speed, matmul_precision
from genreplay.generators.base import Sampled, StepModel
from genreplay.generators.config import FactorisedConfig
from genreplay.generators.discrete.categories import Categories
from genreplay.generators.discrete.forests import Forests
from genreplay.generators.discrete.masked import MaskedGenerator
from genreplay.generators.discrete.masked_diffusion import MaskedNetwork
from genreplay.generators.discrete.one_step import (
    OneStepHead,
    Outcome,
    copy_gate_log_prob,
    copy_gate_probabilities,
    counterparts,
    member_share,
    outcome,
)
from genreplay.generators.discrete.partner_forest import PartnerForest
from genreplay.transitions.codec import Codec


class FactorisedNetwork(nn.Module):
    """The diffusion over events, states and actions, and the members that predict the outcome."""

    def __init__(self, diffusion: MaskedNetwork, members: list[OneStepHead]):
        super().__init__()
        self.diffusion, self.members = diffusion, nn.ModuleList(members)


class FactorisedGenerator(MaskedGenerator, StepModel):
    """p(state, action) by masked diffusion, p(next | state, action) by categorical one-step heads or by trees.

    The *events* of a step (a delivery, say) are the next columns that are the next of no current column. The diffusion
    draws them first, then a state and actions that lead to them; the row's own events are predicted by the heads, like
    all next columns. A rare event follows a rare combination of many columns. So that it is learned as well as the
    rest, rows with rarer events have larger weights, wherever the events are visible: p(state, action | events) is the
    same, and so is the share of each event.

    Every row carries the confidence and the agreement of the heads. `complete` labels given states and actions.

    Args:
        config: its options.
        codec: its columns; those with a key `("next", ...)` are the next ones, the others the current ones.
        conditional: whether rows come with a relevance to condition on.
        speed: how it computes.

    Raises:
        UserError: a column is not categorical.
    """

    has_confidence = True
    config: FactorisedConfig

    _rarity: Tensor

    def __init__(self, config: FactorisedConfig, codec: Codec, conditional: bool, speed: Speed = EXACT):
        super().__init__(config, codec, conditional, speed)
        self.register_buffer("_rarity", torch.ones(self.num_events, self.diffused.max_size), persistent=False)
        trees, seats = config.heads == "trees", codec.layout.seats
        self.forests = Forests(self.current_columns, self.next_columns, config.num_trees) if trees else None
        with_partner = trees and seats is not None and seats.learners != "both"
        self.partner_forest = PartnerForest(self.current_columns) if with_partner else None

    @property
    def step_model(self) -> StepModel:  # type: ignore[override]
        """Itself."""
        return self

    @property
    def num_events(self) -> int:
        """Columns that are events; they are the last of the diffused ones."""
        return len(self.diffused) - len(self.current_columns)

    def diffused_columns(self) -> Categories:
        """The current columns, then the events."""
        events = (counterparts(self.current_columns, self.next_columns) < 0).nonzero().flatten().tolist()
        columns, starts = (
            [sequence[i] for i in events] for sequence in (self.next_columns.columns, self.next_columns.starts)
        )
        return Categories((*self.current_columns.columns, *columns), (*self.current_columns.starts, *starts))

    def drawn_first(self) -> Tensor:
        """The events, `[C]` bool."""
        return torch.arange(len(self.diffused), device=self.device) >= len(self.current_columns)

    def fit_scales(self, rows: Tensor, condition: Tensor | None) -> None:
        """Fit the normaliser of conditions `[N, 1]`, count how rare the events in rows `[N, D]` are; grow trees."""
        super().fit_scales(rows, condition)
        if self.forests is not None:
            self.forests.fit(
                *(columns.encode(rows.to(self.device)) for columns in (self.current_columns, self.next_columns))
            )
        if self.partner_forest is not None:
            self.partner_forest.fit(self.current_columns.encode(rows.to(self.device)))
        events = self.diffused.encode(rows.to(self.device))[:, len(self.current_columns) :]
        rarity = F.one_hot(events, self.diffused.max_size).float().mean(dim=0).clamp_min(1 / len(rows)).rsqrt()
        self._rarity.copy_(rarity / rarest(rarity, events).mean())

    def draw(self, num_rows: int, rng: torch.Generator) -> dict[str, Tensor]:
        """As of any masked diffusion, but half of the rows show their events, as in sampling."""
        draws = super().draw(num_rows, rng)
        shows = torch.rand(num_rows, 1, generator=rng, device=rng.device) < 0.5
        fewer = draws["masked"] & ~(shows & self.drawn_first().to(rng.device))
        # A row that hides nothing else teaches nothing else.
        draws["masked"] = torch.where(fewer.any(dim=1, keepdim=True), fewer, draws["masked"])
        return draws

    def row_weights(self, codes: Tensor, masked: Tensor) -> Tensor:
        """One over the root of the share of the rarest event, 1 in the mean; 1 where an event is hidden."""
        here = slice(len(self.current_columns), None)
        return torch.where(masked[:, here].any(dim=1), 1.0, rarest(self._rarity, codes[:, here]))

    def build_network(self) -> FactorisedNetwork:
        """A diffusion network and M heads with fresh weights; no heads where there are trees."""
        config = self.config
        heads = [
            OneStepHead(self.current_columns, self.next_columns, config.head.hidden_width, config.head.num_blocks)
            for _ in range(config.ensemble_size if config.heads == "networks" else 0)
        ]
        return FactorisedNetwork(cast(MaskedNetwork, super().build_network()), heads)

    def diffusion(self, averaged: bool) -> MaskedNetwork:
        """The network that predicts masked columns: the one in training or its average."""
        return cast(FactorisedNetwork, self.ema if averaged else self.network).diffusion

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        """Loss of the diffusion plus the mean of the members' negative log likelihoods per column."""
        members = cast(FactorisedNetwork, self.network).members
        if not len(members):
            return super().training_step(batch, batch_idx)
        inputs, targets = self.current_columns.encode(batch["rows"]), self.next_columns.encode(batch["rows"])
        share = self.config.member_share
        learns = member_share(inputs, self.config.ensemble_size, share)
        loss = super().training_step(batch, batch_idx)
        for head, mine in zip(members, learns, strict=True):
            logits, gate, current = head(inputs)
            nll = -copy_gate_log_prob(logits, gate, current, targets).mean(dim=1)
            # By the expected number of rows, not by that of this batch: shares of ranks then add up.
            loss = loss + (nll * mine).mean() / share / len(members)
        return loss

    def sample_chunk(self, num_rows: int, condition: Tensor | None, rng: torch.Generator) -> Sampled:
        """`num_rows` rows: events, then states and actions by unmasking, then the outcome of those."""
        return self._complete(self.draw_codes(num_rows, condition, rng)[:, : len(self.current_columns)])

    @torch.no_grad()
    def complete(self, rows: Tensor, seed: int = 0) -> Sampled:
        """As of `StepModel`: the likeliest outcome, so that nothing depends on `seed`."""
        if not self.fitted:
            raise RuntimeError("the generator has not been fitted: call fit before complete")
        if rows.ndim != 2 or rows.shape[1] != self.num_columns:
            raise ValueError(f"rows have shape {tuple(rows.shape)}, but this generator has {self.num_columns} columns")
        codes = self.current_columns.encode(rows.to(self.device))
        if bool((codes == self.current_columns.mask_codes).any()):
            raise ValueError("complete needs every column of state and action; sample draws whole rows")
        chunks = [torch.empty(0, self.packed_width, device=self.device)]
        with matmul_precision(self.speed.matmul_precision):
            chunks += [self._complete(chunk).pack() for chunk in codes.split(self.config.sampler.chunk_size)]
        return Sampled.unpack(torch.cat(chunks), self.num_columns)

    def _complete(self, codes: Tensor) -> Sampled:
        """Rows of input codes `[n, C]` and their outcome."""
        predicted = self.predict(codes)
        rows = torch.zeros(len(codes), self.num_columns, device=codes.device)
        self.current_columns.write(codes, rows)
        self.next_columns.write(predicted.codes, rows)
        return Sampled(rows, predicted.confidence, predicted.agree)

    def partner_probabilities(self, rows: Tensor, seats: Tensor) -> Tensor:
        """As of any masked diffusion, but by trees where there are some."""
        if self.partner_forest is None:
            return super().partner_probabilities(rows, seats)
        return self.partner_forest(self.current_columns.encode(rows.to(self.device))).cpu()

    def predict(self, codes: Tensor) -> Outcome:
        """The outcome of input codes `[n, C]` by the averaged ensemble or the trees, which count as one member."""
        if self.forests is not None:
            return outcome(self.forests(codes).unsqueeze(0))
        members = cast(FactorisedNetwork, self.ema).members
        return outcome(torch.stack([copy_gate_probabilities(*head(codes)) for head in members]))


def rarest(rarity: Tensor, events: Tensor) -> Tensor:
    """The largest `rarity` `[H, K]` of the values `events` `[B, H]` of each row, `[B]`; 1 where there are no events."""
    if not len(rarity):
        return rarity.new_ones(len(events))
    return rarity[torch.arange(len(rarity), device=rarity.device), events].amax(dim=1)
