"""Masked diffusion over the whole transition. Shapes: N training rows, n sampled rows, B rows of a batch, D entries."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from genreplay.common.precision import EXACT, Speed
from genreplay.generators.base import Generator, Sampled
from genreplay.generators.config import MaskedConfig
from genreplay.generators.discrete.categories import Categories, split_columns
from genreplay.generators.discrete.masked_diffusion import MaskedNetwork, Predict, draw_mask, masked_loss, unmask
from genreplay.generators.networks.condition import guide
from genreplay.generators.networks.normalizer import Normalizer
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import ACTION


class MaskedGenerator(Generator):
    """Masked discrete diffusion over every categorical column of a transition, conditioned on relevance.

    Args:
        config: its options.
        codec: its columns.
        conditional: whether rows come with a relevance to condition on.
        speed: how it computes.

    Raises:
        UserError: a column is not categorical.
    """

    config: MaskedConfig

    def __init__(self, config: MaskedConfig, codec: Codec, conditional: bool, speed: Speed = EXACT):
        super().__init__(config, codec, conditional, speed)
        self.current_columns, self.next_columns = split_columns(codec, config.name)
        self.diffused = self.diffused_columns()
        """The columns that diffusion draws."""
        self.condition_normalizer = Normalizer(1, "standard")
        self.set_network()

    def diffused_columns(self) -> Categories:
        """All of them: those of state and action, then the next ones."""
        now, then = self.current_columns, self.next_columns
        return Categories(now.columns + then.columns, now.starts + then.starts)

    def drawn_first(self) -> Tensor | None:
        """Which of the diffused columns are drawn before the others, `[C]` bool; None for none."""
        return None

    def row_weights(self, codes: Tensor, masked: Tensor) -> Tensor | None:
        """How much each row of codes `[B, C]` counts in the loss, `[B]`; None for all alike."""
        return None

    def build_network(self) -> nn.Module:
        """A network with fresh weights."""
        size = self.config.network
        return MaskedNetwork(self.diffused, size.hidden_width, size.num_blocks, self.conditional)

    def diffusion(self, averaged: bool) -> MaskedNetwork:
        """The network that predicts masked columns: the one in training or its average."""
        return cast(MaskedNetwork, self.ema if averaged else self.network)

    def fit_scales(self, rows: Tensor, condition: Tensor | None) -> None:
        """Fit the normaliser of conditions `[N, 1]`."""
        if condition is not None:
            self.condition_normalizer.fit(condition)

    def draw(self, num_rows: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Which columns each row hides, and which rows keep their condition."""
        draws = {"masked": draw_mask(num_rows, len(self.diffused), rng)}
        if self.conditional:
            uniform = torch.rand(num_rows, 1, generator=rng, device=rng.device)
            draws["keep"] = uniform >= self.config.fit.condition_dropout
        return draws

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        """Loss of predicting the hidden columns (`masked_loss`)."""
        network = self.diffusion(averaged=False)
        condition = self.condition_normalizer.normalize(batch["condition"]) if self.conditional else None
        codes, masked = self.diffused.encode(batch["rows"]), batch["masked"]
        hidden = torch.where(masked, self.diffused.mask_codes, codes)
        logits = network(hidden, network.embed(condition, batch.get("keep")))
        return masked_loss(logits, codes, masked, self.row_weights(codes, masked))

    def sample_chunk(self, num_rows: int, condition: Tensor | None, rng: torch.Generator) -> Sampled:
        """`num_rows` rows, by unmasking."""
        rows = torch.zeros(num_rows, self.num_columns, device=self.device)
        self.diffused.write(self.draw_codes(num_rows, condition, rng), rows)
        return Sampled(rows)

    def draw_codes(self, num_rows: int, condition: Tensor | None, rng: torch.Generator) -> Tensor:
        """Codes of the diffused columns `[n, C]`."""
        masks, predict = self.diffused.mask_codes, self.predictor(num_rows, condition)
        num_steps = self.config.sampler.num_steps
        return unmask(predict, masks.expand(num_rows, -1), masks, num_steps, rng, self.drawn_first())

    def partner_probabilities(self, rows: Tensor, seats: Tensor) -> Tensor:
        """As of `PartnerModel`.

        One forward pass of the averaged network: the relevance is left open (the null token), and nothing is guided.
        """
        network = self.diffusion(averaged=True)
        logits = network(self.diffused.encode(rows.to(self.device)), network.embed(None))
        places = [i for i, key in enumerate(self.diffused.keys) if key == ACTION]
        of_both = logits[:, places, : self.diffused.sizes[places[0]]].softmax(dim=-1).cpu()
        return of_both[torch.arange(len(seats)), seats]

    def predictor(self, num_rows: int, condition: Tensor | None) -> Predict:
        """The averaged network at conditions `[n, 1]`, guided by `guidance_scale`.

        Guided logits are l_uncond + w (l_cond - l_uncond) (Ho & Salimans, 2022, on logits). Both halves go through the
        network as one batch.
        """
        network, scale = self.diffusion(averaged=True), self.config.sampler.guidance_scale
        guided = scale != 1 and condition is not None
        context = network.embed(None if condition is None else self.condition_normalizer.normalize(condition))
        if guided:
            context = torch.cat([c.expand(num_rows, -1) for c in (context, network.embed(None))])

        def predict(codes: Tensor) -> Tensor:
            if not guided:
                return network(codes, context)
            conditional, unconditional = network(torch.cat([codes, codes]), context).chunk(2)
            # -inf - (-inf) is no number: choices that a column lacks are put back.
            return guide(conditional, unconditional, scale).masked_fill(~self.diffused.real, -torch.inf)

        return predict
