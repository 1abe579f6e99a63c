"""Masked diffusion over what happens and what leads to it, then an ensemble that says what follows.

Shapes: N training rows, n sampled rows, B rows of a batch, D entries, M members.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genreplay.common.precision import matmul_precision
from genreplay.common.seeding import derive_seed
from genreplay.generators.base import Sampled
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
from genreplay.generators.discrete.partner_forest import Habits
from genreplay.transitions.codec import Codec


class FactorisedNetwork(nn.Module):
    """The diffusion over what happens and what holds at decision time, and the members that say what follows."""

    def __init__(self, diffusion: MaskedNetwork, members: list[OneStepHead]):
        super().__init__()
        self.diffusion, self.members = diffusion, nn.ModuleList(members)


class FactorisedGenerator(MaskedGenerator):
    """p(state, action) by masked diffusion, p(next | state, action) by an ensemble of categorical one-step heads.

    The diffusion draws what happens in the step first (a delivery, say), then a state and actions that lead to it; what
    the row says of it in the end is the ensemble's, as all that follows. What leads to a rare event is a rare
    combination of many columns. So that it is learned as well as the rest, rows count the more the rarer what happens
    in them is, wherever that is visible: p(state, action | what happens) stays what it is, and its share too.

    Every row carries the ensemble's confidence and agreement. `complete` labels given states and actions.

    Args:
        config: its options.
        codec: says which columns a row has; those with a key `("next", ...)` follow, the others hold.
        conditional: whether rows come with a relevance to condition on.

    Raises:
        UserError: a column is not categorical.
    """

    judges = True
    config: FactorisedConfig

    _rarity: Tensor

    def __init__(self, config: FactorisedConfig, codec: Codec, conditional: bool):
        super().__init__(config, codec, conditional)
        self.register_buffer("_rarity", torch.ones(self.num_happening, self.diffused.max_size), persistent=False)
        trees, seats = config.heads == "trees", codec.layout.seats
        self.forests = Forests(self.holds, self.follows, config.num_trees) if trees else None
        with_partner = trees and seats is not None and seats.learners != "both"
        self.habits = Habits(self.holds) if with_partner else None

    @property
    def num_happening(self) -> int:
        """How many columns say what happens; they are the last of the diffused ones."""
        return len(self.diffused) - len(self.holds)

    def diffused_columns(self) -> Categories:
        """The columns that hold at decision time, then what happens: next columns that are the next of none of them."""
        happens = (counterparts(self.holds, self.follows) < 0).nonzero().flatten().tolist()
        columns, starts = ([sequence[i] for i in happens] for sequence in (self.follows.columns, self.follows.starts))
        return Categories((*self.holds.columns, *columns), (*self.holds.starts, *starts))

    def drawn_first(self) -> Tensor:
        """What happens, `[C]` bool."""
        return torch.arange(len(self.diffused), device=self.device) >= len(self.holds)

    def fit_scales(self, rows: Tensor, condition: Tensor | None) -> None:
        """Fit the normaliser of conditions `[N, 1]`, count how rare is what happens in rows `[N, D]`; grow trees."""
        super().fit_scales(rows, condition)
        if self.forests is not None:
            self.forests.fit(*(columns.encode(rows.to(self.device)) for columns in (self.holds, self.follows)))
        if self.habits is not None:
            self.habits.fit(self.holds.encode(rows.to(self.device)))
        happens = self.diffused.encode(rows.to(self.device))[:, len(self.holds) :]
        rarity = F.one_hot(happens, self.diffused.max_size).float().mean(dim=0).clamp_min(1 / len(rows)).rsqrt()
        self._rarity.copy_(rarity / rarest(rarity, happens).mean())

    def draw(self, num_rows: int, rng: torch.Generator) -> dict[str, Tensor]:
        """As of any masked diffusion, but half of the rows show what happens, as they do once it is drawn."""
        draws = super().draw(num_rows, rng)
        shows = torch.rand(num_rows, 1, generator=rng, device=rng.device) < 0.5
        fewer = draws["masked"] & ~(shows & self.drawn_first().to(rng.device))
        # A row that hides nothing else teaches nothing else.
        draws["masked"] = torch.where(fewer.any(dim=1, keepdim=True), fewer, draws["masked"])
        return draws

    def row_weights(self, codes: Tensor, masked: Tensor) -> Tensor:
        """One over the root of the share of the rarest that happens, 1 in the mean; 1 where it is not all visible."""
        here = slice(len(self.holds), None)
        return torch.where(masked[:, here].any(dim=1), 1.0, rarest(self._rarity, codes[:, here]))

    def build_network(self) -> FactorisedNetwork:
        """A diffusion network and M heads with fresh weights; no heads where there are trees."""
        config = self.config
        heads = [
            OneStepHead(self.holds, self.follows, config.head_width, config.head_num_blocks)
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
        inputs, targets = self.holds.encode(batch["rows"]), self.follows.encode(batch["rows"])
        share = self.config.member_share
        learns = member_share(inputs, self.config.ensemble_size, share)
        loss = super().training_step(batch, batch_idx)
        for head, mine in zip(members, learns, strict=True):
            logits, gate, current = head(inputs)
            nll = -copy_gate_log_prob(logits, gate, current, targets).mean(dim=1)
            # By the expected number of rows, not by that of this batch: shares of ranks then add up.
            loss = loss + (nll * mine).mean() / share / len(members)
        return loss

    def sample_chunk(
        self, num_rows: int, condition: Tensor | None, prompt: Tensor | None, rng: torch.Generator
    ) -> Sampled:
        """`num_rows` rows: what happens, then states and actions by unmasking, then what follows from those."""
        if prompt is not None and bool((self.follows.encode(prompt) != self.follows.mask_codes).any()):
            raise ValueError("this generator draws what follows itself: a prompt must hold NaN in the next columns")
        return self._finish(self.draw_codes(num_rows, condition, prompt, rng)[:, : len(self.holds)], rng)

    @torch.no_grad()
    def complete(self, rows: Tensor, seed: int) -> Sampled:
        """The given states and actions with what follows them by the ensemble: counterfactuals of one step.

        Args:
            rows: `[n, D]` in the codec's units; the next columns are ignored and replaced.
            seed: of the draws (with `draw_outcomes`).
        """
        if not self.fitted:
            raise RuntimeError("the generator has not been fitted: call fit before complete")
        if rows.ndim != 2 or rows.shape[1] != self.num_columns:
            raise ValueError(f"rows have shape {tuple(rows.shape)}, but this generator has {self.num_columns} columns")
        codes = self.holds.encode(rows.to(self.device))
        if bool((codes == self.holds.mask_codes).any()):
            raise ValueError("complete needs every column of state and action; use sample with a prompt to draw some")
        chunks = [torch.empty(0, self.packed_width, device=self.device)]
        with matmul_precision(self.config.matmul_precision):
            for i, chunk in enumerate(codes.split(self.config.sample_chunk_size)):
                rng = torch.Generator(self.device).manual_seed(derive_seed(seed, "complete", i))
                chunks.append(self._finish(chunk, rng).pack())
        return Sampled.unpack(torch.cat(chunks), self.num_columns)

    def _finish(self, codes: Tensor, rng: torch.Generator) -> Sampled:
        """Rows of input codes `[n, C]` and what follows them."""
        after = self.follow(codes, rng)
        rows = torch.zeros(len(codes), self.num_columns, device=codes.device)
        self.holds.write(codes, rows)
        self.follows.write(after.codes, rows)
        return Sampled(rows, after.confidence, after.agree)

    def partner_probabilities(self, rows: Tensor, seats: Tensor) -> Tensor:
        """As of any masked diffusion, but by trees where there are some."""
        if self.habits is None:
            return super().partner_probabilities(rows, seats)
        return self.habits(self.holds.encode(rows.to(self.device))).cpu()

    def follow(self, codes: Tensor, rng: torch.Generator) -> Outcome:
        """What the averaged ensemble or the trees expect after input codes `[n, C]`; trees count as one member."""
        if self.forests is not None:
            probabilities = self.forests(codes).unsqueeze(0)
        else:
            members = cast(FactorisedNetwork, self.ema).members
            probabilities = torch.stack([copy_gate_probabilities(*head(codes)) for head in members])
        return outcome(probabilities, rng if self.config.draw_outcomes else None)


def rarest(rarity: Tensor, happens: Tensor) -> Tensor:
    """The largest `rarity` `[H, K]` of the values `happens` `[B, H]` of each row, `[B]`; 1 where nothing can happen."""
    if not len(rarity):
        return rarity.new_ones(len(happens))
    return rarity[torch.arange(len(rarity), device=rarity.device), happens].amax(dim=1)
