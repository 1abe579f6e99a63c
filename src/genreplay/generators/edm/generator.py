"""The diffusion generator of SynthER (Lu et al., 2023) and PGR (Wang et al., 2025): EDM on rows of numbers.

Shapes: N training rows, n sampled rows, B rows of a batch, D columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from genreplay.common.compilation import compiled, compiles, or_eager
from genreplay.common.errors import UserError
from genreplay.common.precision import EXACT, Speed, multiplies_bfloat16
from genreplay.generators.base import Generator, Sampled, StepModel
from genreplay.generators.config import EdmConfig
from genreplay.generators.edm import sampler
from genreplay.generators.edm.denoiser import Denoiser, denoise, edm_loss
from genreplay.generators.networks.condition import guide
from genreplay.generators.networks.normalizer import Normalizer
from genreplay.transitions.codec import Codec


class EdmGenerator(Generator, StepModel):
    """A denoising diffusion model of transitions, conditioned on relevance by classifier-free guidance.

    Columns may be *given*: the network sees them clean and is told which they are, the loss leaves them out, and
    samples keep them. With `categories: given` those of a whole row are its categorical columns. A share `given_share`
    of the training rows has its state and action given instead, without relevance: this is what `complete` uses. A
    categorical column that follows is generated as numbers there.

    Args:
        config: its options.
        codec: its rows.
        conditional: whether rows come with a relevance to condition on (PGR) or not (SynthER).
        speed: how it computes.

    Raises:
        UserError: every column is categorical and shall be given.
    """

    config: EdmConfig
    network: Denoiser
    ema: Denoiser
    _current: Tensor
    """`[D]` bool: state and action, and whatever else is no next column."""
    _in_whole_rows: Tensor
    """`[D]` bool: what is given in a whole row."""

    def __init__(self, config: EdmConfig, codec: Codec, conditional: bool, speed: Speed = EXACT):
        super().__init__(config, codec, conditional, speed)
        entries = [column for column in codec.columns for _ in range(column.width)]
        given = torch.tensor([config.categories == "given" and column.kind == "categorical" for column in entries])
        if given.all():
            raise UserError(
                "generator.categories: given leaves 'edm' nothing to generate, as every column is categorical; write "
                "numbers, or generator.name: masked"
            )
        current = torch.tensor([not isinstance(column.key, tuple) for column in entries])
        self.register_buffer("_current", current, persistent=False)
        self.register_buffer("_in_whole_rows", given, persistent=False)
        self._takes_given = bool(given.any())
        kind = cast(Any, config.fit.normalization)
        self.normalizer = Normalizer(codec.width, kind)
        self.condition_normalizer = Normalizer(1, kind)
        self.set_network()

    @cached_property
    def _loss(self) -> Callable[..., Tensor]:
        """Denoising loss, compiled or not; chosen at the first step: one that only samples compiles nothing."""
        if not compiles(self.speed, self.device):
            return _loss
        generated = compiled(_loss, "the generator's loss")
        return or_eager(generated, _loss) if self.speed.eager_fallback else generated

    @property
    def given_columns(self) -> Tensor | None:  # type: ignore[override]
        """The categorical columns, where they are given."""
        return self._in_whole_rows if self._takes_given else None

    @property
    def step_model(self) -> StepModel | None:  # type: ignore[override]
        """Itself, where it learns the outcome of given states and actions."""
        return self if self.config.fit.given_share > 0 else None

    def build_network(self) -> Denoiser:
        """A denoiser with fresh weights."""
        size, with_known = self.config.network, self._takes_given or self.config.fit.given_share > 0
        return Denoiser(self.num_columns, size.hidden_width, size.num_blocks, self.conditional, with_known)

    def fit_scales(self, rows: Tensor, condition: Tensor | None) -> None:
        """Fit the normalisers of rows `[N, D]` and conditions `[N, 1]`."""
        self.normalizer.fit(rows)
        if condition is not None:
            self.condition_normalizer.fit(condition)

    def draw(self, num_rows: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Noise, log-normal noise levels (EDM, table 1), which rows keep their condition and which are `step` rows."""
        noise = torch.randn(num_rows, self.num_columns, generator=rng, device=rng.device)
        log_sigma = torch.randn(num_rows, 1, generator=rng, device=rng.device)
        draws = {"noise": noise, "sigma": (self.config.fit.p_mean + self.config.fit.p_std * log_sigma).exp()}
        if self.conditional:
            uniform = torch.rand(num_rows, 1, generator=rng, device=rng.device)
            draws["keep"] = uniform >= self.config.fit.condition_dropout
        if self.config.fit.given_share > 0:
            uniform = torch.rand(num_rows, 1, generator=rng, device=rng.device)
            draws["step"] = uniform < self.config.fit.given_share
            if self.conditional:
                draws["keep"] &= ~draws["step"]
        return draws

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        """Denoising loss of a batch (EDM, equation 8)."""
        condition = self.condition_normalizer.normalize(batch["condition"]) if self.conditional else None
        rows = self.normalizer.normalize(batch["rows"])
        draws = batch["noise"], batch["sigma"], batch.get("keep")
        options = self.config.fit.sigma_data, multiplies_bfloat16(rows)
        return self._loss(self.network, rows, condition, *draws, *options, self._known(batch.get("step")))

    def _known(self, step: Tensor | None) -> Tensor | None:
        """Which columns are given, `[B, D]` or `[1, D]`: state and action in the rows of `step` `[B, 1]`."""
        if step is not None:
            return torch.where(step, self._current, self._in_whole_rows)
        return self._in_whole_rows.unsqueeze(0) if self._takes_given else None

    @torch.no_grad()
    def complete(self, rows: Tensor, seed: int = 0) -> Sampled:
        """As of `StepModel`: each outcome is drawn, without relevance."""
        given = rows.to(self.device).masked_fill(~self._current, torch.nan)
        if bool(given[:, self._current].isnan().any()):
            raise ValueError("complete needs every column of state and action; sample draws whole rows")
        return self.sample(len(rows), None, seed, given=given)

    def sample_chunk(self, num_rows: int, condition: Tensor | None, rng: torch.Generator) -> Sampled:
        """`num_rows` rows by the configured solver."""
        return Sampled(self._solve(num_rows, condition, rng, None))

    def fill_chunk(self, given: Tensor, condition: Tensor | None, rng: torch.Generator) -> Sampled:
        """As of `Generator`, by the configured solver."""
        rows = self._solve(len(given), condition, rng, self.normalizer.normalize(given))
        return Sampled(torch.where(given.isnan(), rows, given))

    def _solve(self, num_rows: int, condition: Tensor | None, rng: torch.Generator, given: Tensor | None) -> Tensor:
        """Rows from noise; `given` is normalised."""
        config = self.config.sampler
        noise = torch.randn(num_rows, self.num_columns, generator=rng, device=rng.device)
        sigmas = sampler.karras_sigmas(config.num_steps, config.sigma_min, config.sigma_max, config.rho)
        estimate = self.denoiser(num_rows, condition, given)
        if config.solver == "dpmpp_2m":
            rows = sampler.dpmpp_2m(estimate, noise, sigmas)
        elif config.solver == "heun":
            rows = sampler.heun(estimate, noise, sigmas)
        else:
            churn = sampler.Churn(config.churn, config.churn_sigma_min, config.churn_sigma_max, config.churn_noise)
            rows = sampler.stochastic_heun(estimate, noise, sigmas, churn, rng)
        return self.normalizer.denormalize(self.normalizer.limit(rows))

    def denoiser(self, num_rows: int, condition: Tensor | None, given: Tensor | None = None) -> sampler.Denoise:
        """The averaged denoiser for `num_rows` rows at conditions `[num_rows, 1]`, guided by `guidance_scale`.

        With guidance both halves go through the network as one batch; at scale 1 only the conditional half does.
        `given` `[num_rows, D]`: normalised rows, NaN where they are to be denoised.
        """
        scale = self.config.sampler.guidance_scale
        known = None if given is None else ~given.isnan()
        guided = condition is not None and scale != 1
        wanted = None if condition is None else self.condition_normalizer.normalize(condition)
        context = self.ema.context(wanted, None, known)
        if guided:
            context = torch.cat([context, self.ema.context(None, None, known).expand(num_rows, -1)])
            given = None if given is None else torch.cat([given, given])

        sigma_data = self.config.fit.sigma_data

        def estimate(x: Tensor, sigma: float) -> Tensor:
            both = torch.cat([x, x]) if guided else x
            level = x.new_full((1, 1), sigma)
            clean = self.normalizer.limit(denoise(self.ema, both, level, context, sigma_data, given))
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
    known: Tensor | None,
) -> Tensor:
    """Denoising loss of normalised rows and conditions."""
    context = network.context(condition, keep, known)
    return edm_loss(network, rows, noise, sigma, context, sigma_data, bfloat16, known)
