"""The diffusion generator of SynthER (Lu et al., 2023) and PGR (Wang et al., 2025): EDM on rows of numbers.

Shapes: N training rows, n sampled rows, B rows of a batch, D columns.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from genreplay.common.precision import EXACT, Speed, multiplies_bfloat16
from genreplay.generators.base import Generator, Sampled
from genreplay.generators.config import EdmConfig
from genreplay.generators.edm import sampler
from genreplay.generators.edm.denoiser import Denoiser, denoise, edm_loss
from genreplay.generators.networks.condition import guide
from genreplay.generators.networks.normalizer import Normalizer
from genreplay.transitions.codec import Codec


class EdmGenerator(Generator):
    """A denoising diffusion model of transitions, conditioned on relevance by classifier-free guidance.

    Args:
        config: its options.
        codec: its rows.
        conditional: whether rows come with a relevance to condition on (PGR) or not (SynthER).
        speed: how it computes.
    """

    config: EdmConfig
    network: Denoiser
    ema: Denoiser

    def __init__(self, config: EdmConfig, codec: Codec, conditional: bool, speed: Speed = EXACT):
        super().__init__(config, codec, conditional, speed)
        kind = cast(Any, config.fit.normalization)
        self.normalizer = Normalizer(codec.width, kind)
        self.condition_normalizer = Normalizer(1, kind)
        self._loss = _loss
        if speed.compile:
            from genreplay.common.compilation import compiled

            self._loss = compiled(_loss, "the generator's loss")
        self.set_network()

    def build_network(self) -> Denoiser:
        """A denoiser with fresh weights."""
        size = self.config.network
        return Denoiser(self.num_columns, size.hidden_width, size.num_blocks, self.conditional)

    def fit_scales(self, rows: Tensor, condition: Tensor | None) -> None:
        """Fit the normalisers of rows `[N, D]` and conditions `[N, 1]`."""
        self.normalizer.fit(rows)
        if condition is not None:
            self.condition_normalizer.fit(condition)

    def draw(self, num_rows: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Noise, log-normal noise levels (EDM, table 1) and which rows keep their condition."""
        noise = torch.randn(num_rows, self.num_columns, generator=rng, device=rng.device)
        log_sigma = torch.randn(num_rows, 1, generator=rng, device=rng.device)
        draws = {"noise": noise, "sigma": (self.config.fit.p_mean + self.config.fit.p_std * log_sigma).exp()}
        if self.conditional:
            uniform = torch.rand(num_rows, 1, generator=rng, device=rng.device)
            draws["keep"] = uniform >= self.config.fit.condition_dropout
        return draws

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        """Denoising loss of a batch (EDM, equation 8)."""
        condition = self.condition_normalizer.normalize(batch["condition"]) if self.conditional else None
        rows = self.normalizer.normalize(batch["rows"])
        draws = batch["noise"], batch["sigma"], batch.get("keep")
        options = self.config.fit.sigma_data, multiplies_bfloat16(rows)
        return self._loss(self.network, rows, condition, *draws, *options)

    def sample_chunk(self, num_rows: int, condition: Tensor | None, rng: torch.Generator) -> Sampled:
        """`num_rows` rows by the configured solver."""
        config = self.config.sampler
        noise = torch.randn(num_rows, self.num_columns, generator=rng, device=rng.device)
        sigmas = sampler.karras_sigmas(config.num_steps, config.sigma_min, config.sigma_max, config.rho)
        estimate = self.denoiser(num_rows, condition)
        if config.solver == "dpmpp_2m":
            rows = sampler.dpmpp_2m(estimate, noise, sigmas)
        elif config.solver == "heun":
            rows = sampler.heun(estimate, noise, sigmas)
        else:
            churn = sampler.Churn(config.churn, config.churn_sigma_min, config.churn_sigma_max, config.churn_noise)
            rows = sampler.stochastic_heun(estimate, noise, sigmas, churn, rng)
        return Sampled(self.normalizer.denormalize(self.normalizer.limit(rows)))

    def denoiser(self, num_rows: int, condition: Tensor | None) -> sampler.Denoise:
        """The averaged denoiser for `num_rows` rows at conditions `[num_rows, 1]`, guided by `guidance_scale`.

        With guidance both halves go through the network as one batch; at scale 1 only the conditional half does.
        """
        scale = self.config.sampler.guidance_scale
        if condition is None:
            context, guided = self.ema.embed(None), False
        else:
            context, guided = self.ema.embed(self.condition_normalizer.normalize(condition)), scale != 1
        if guided:
            context = torch.cat([context, self.ema.embed(None).expand(num_rows, -1)])

        def estimate(x: Tensor, sigma: float) -> Tensor:
            both = torch.cat([x, x]) if guided else x
            level = x.new_full((1, 1), sigma)
            clean = self.normalizer.limit(denoise(self.ema, both, level, context, self.config.fit.sigma_data))
            return guide(clean[:num_rows], clean[num_rows:], scale) if guided else clean

        return estimate


def _loss(
    network: Denoiser,
    rows: Tensor,
    condition: Tensor | None,
    noise: Tensor,
    sigma: Tensor,
    keep: Tensor | None,
    sigma_data: float,
    bfloat16: bool,
) -> Tensor:
    """Denoising loss of normalised rows and conditions."""
    return edm_loss(network, rows, noise, sigma, network.embed(condition, keep), sigma_data, bfloat16)
