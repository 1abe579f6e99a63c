"""What a config file may say about the generator. No torch here: config errors must answer at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from genreplay.common.errors import NoEffect, require

SOLVERS = ("dpmpp_2m", "heun", "stochastic_heun")
NORMALIZATIONS = ("standard", "min_max")
HEADS = ("networks", "trees")
MATMUL_PRECISIONS = ("highest", "high", "medium")


@dataclass
class MaskedConfig:
    """Masked discrete diffusion over whole transitions of categorical columns (D3PM, MDLM)."""

    name: str = "masked"
    """Which generator: `masked`."""

    width: int = 256
    """Width of the diffusion network's residual stream, in units."""
    num_blocks: int = 2
    """Residual blocks of the diffusion network, of two linear layers each."""

    num_fit_steps: int = 2000
    """Gradient steps of one fit."""
    batch_size: int = 256
    """Rows of a gradient step, on each rank."""
    learning_rate: float = 2e-3
    """AdamW's step size at the start of a fit; it falls to zero along a half cosine."""
    weight_decay: float = 0.01
    """AdamW's decoupled weight decay."""
    ema_decay: float = 0.999
    """Share of the old weights that their moving average (which is what samples) keeps at each step; as for `edm`."""
    warm_start: bool = True
    """Start each fit from the last one's weights; false starts afresh."""
    condition_dropout: float = 0.25
    """Share of the training rows whose condition is replaced by the null token (only with a relevance)."""

    num_sampling_steps: int = 32
    """Steps in which a row's columns are unmasked. Those of one step are drawn independently of each other, so with
    fewer steps than columns rare combinations are drawn too seldom; more steps than columns change nothing."""
    guidance_scale: float = 1.5
    """w in l_uncond + w (l_cond - l_uncond), on logits; 1 samples the conditional model. What conditions is the
    relevance and a prompted partner code."""
    prompt_top_fraction: float = 0.25
    """Conditions to sample with are drawn from this most relevant share of the real transitions."""
    sample_chunk_size: int = 512
    """Rows that go through the network together when sampling (twice as many with guidance)."""
    matmul_precision: str = "medium"
    """Of matrix products: `highest` is fp32; `high` may use TF32 and `medium` bfloat16 units where the hardware has
    them."""

    def __post_init__(self) -> None:
        for field in ("width", "num_blocks", "num_fit_steps", "batch_size", "num_sampling_steps", "sample_chunk_size"):
            require(getattr(self, field) >= 1, field, f"must be at least 1, not {getattr(self, field)}")
        require(0 < self.learning_rate < math.inf, "learning_rate", f"must be positive, not {self.learning_rate}")
        for field in ("weight_decay", "guidance_scale"):
            require(getattr(self, field) >= 0, field, f"must not be negative, not {getattr(self, field)}")
        for field in ("ema_decay", "condition_dropout"):
            require(0 <= getattr(self, field) < 1, field, f"must lie in [0, 1), not {getattr(self, field)}")
        require(
            0 < self.prompt_top_fraction <= 1,
            "prompt_top_fraction",
            f"must lie in (0, 1], not {self.prompt_top_fraction}",
        )
        require(
            self.matmul_precision in MATMUL_PRECISIONS,
            "matmul_precision",
            f"must be one of {', '.join(MATMUL_PRECISIONS)}, not {self.matmul_precision!r}",
        )


@dataclass
class FactorisedConfig(MaskedConfig):
    """Masked diffusion over states and actions, then an ensemble of categorical heads that say what follows."""

    NO_EFFECT = (
        NoEffect(
            (
                "synthesis.require_agreement",
                "generator.ensemble_size",
                "generator.member_share",
                "generator.head_width",
                "generator.head_num_blocks",
            ),
            lambda generator: generator.heads == "trees",
            "generator.heads is trees: there is no ensemble of networks; their doubt is in synthesis.min_confidence",
        ),
        NoEffect(
            ("generator.num_trees",),
            lambda generator: generator.heads == "networks",
            "generator.heads is networks; write trees",
        ),
    )

    name: str = "factorised"
    """Which generator: `factorised`."""

    heads: str = "networks"
    """What says what follows: `networks`, fitted by gradient, or `trees`, which learn a rule from fewer examples. Trees
    also say what a partner does, which else the diffusion does."""
    num_trees: int = 16
    """Trees for each next column, where heads are trees; the share of them that agree is the confidence."""
    ensemble_size: int = 3
    """M, one-step heads; their mean is the confidence, and they may disagree."""
    member_share: float = 0.8
    """Share of the distinct states and actions that each head learns from; below 1 heads differ where little is
    known."""
    head_width: int = 256
    """Width of a head's residual stream, in units."""
    head_num_blocks: int = 2
    """Residual blocks of a head, of two linear layers each."""
    draw_outcomes: bool = False
    """Draw each next column from the ensemble's mean; false takes its likeliest value, for a world that is
    deterministic."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.heads in HEADS, "heads", f"must be one of {', '.join(HEADS)}, not {self.heads!r}")
        for field in ("num_trees", "ensemble_size", "head_width", "head_num_blocks"):
            require(getattr(self, field) >= 1, field, f"must be at least 1, not {getattr(self, field)}")
        require(0 < self.member_share <= 1, "member_share", f"must lie in (0, 1], not {self.member_share}")
        require(
            not (self.draw_outcomes and self.heads == "trees"),
            "draw_outcomes",
            "must be false where heads are trees: they answer with the likeliest outcome",
        )


@dataclass
class EdmConfig:
    """Diffusion over whole transitions: Karras et al. (2022) with a residual MLP, as in SynthER and PGR."""

    name: str = "edm"
    """Which generator: `edm`."""

    width: int = 256
    """Width of the denoiser's residual stream, in units."""
    num_blocks: int = 2
    """Residual blocks of the denoiser, of two linear layers each."""

    num_fit_steps: int = 2000
    """Gradient steps of one fit."""
    batch_size: int = 256
    """Rows of a gradient step, on each rank."""
    learning_rate: float = 4e-3
    """AdamW's step size at the start of a fit; it falls to zero along a half cosine."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay."""
    ema_decay: float = 0.999
    """Share of the old weights that their moving average (which is what samples) keeps at each step. It rises to
    this value as (1 + step) / (10 + step), so that short fits forget their first steps."""
    warm_start: bool = False
    """Start each fit from the last one's weights; false starts afresh, as SynthER and PGR do."""

    normalization: str = "standard"
    """`standard`: zero mean, unit deviation a column. `min_max`: [-1, 1] a column, samples held in that range."""
    raw_reward: bool = False
    """Leave the reward column as it is."""
    condition_dropout: float = 0.25
    """Share of the training rows whose condition is replaced by the null token (only with a relevance)."""

    sigma_data: float = 1.0
    """Standard deviation of the normalised data."""
    p_mean: float = -1.2
    """Mean of ln(sigma) in training."""
    p_std: float = 1.2
    """Standard deviation of ln(sigma) in training."""

    solver: str = "dpmpp_2m"
    """`dpmpp_2m`: DPM-Solver++(2M), one network evaluation a step. `heun`: deterministic Heun, two. `stochastic_heun`:
    Heun with churn, two, as SynthER and PGR sample."""
    num_sampling_steps: int = 11
    """Noise levels of a sample."""
    sigma_min: float = 0.005
    """Smallest noise level of a sample, in normalised units; 0.002 as published."""
    sigma_max: float = 40.0
    """Largest noise level of a sample, in normalised units; 80 as published."""
    rho: float = -10.0
    """Bend of the noise levels: large ones, of either sign, lie evenly in ln(sigma); positive ones are closer near
    `sigma_max`, negative ones near `sigma_min`. With 11 steps of `dpmpp_2m` the published 7 widens columns by up to
    11 %, -10 changes none by more than 2 %."""
    churn: float = 80.0
    """S_churn: noise that `stochastic_heun` adds, over all steps."""
    churn_sigma_min: float = 0.05
    """S_tmin: no churn below this noise level."""
    churn_sigma_max: float = 50.0
    """S_tmax: no churn above this noise level."""
    churn_noise: float = 1.003
    """S_noise: standard deviation of the added noise."""
    guidance_scale: float = 1.5
    """w in D_uncond + w (D_cond - D_uncond); 1 samples the conditional model. The 2.0 of PGR's release is 1.5 here,
    because it guides only one of the two evaluations in each step (see `sampler.guide`)."""
    prompt_top_fraction: float = 0.25
    """Conditions to sample with are drawn from this most relevant share of the real transitions."""
    sample_chunk_size: int = 512
    """Rows that go through the network together when sampling (twice as many with guidance)."""
    matmul_precision: str = "medium"
    """Of matrix products: `highest` is fp32; `high` may use TF32 and `medium` bfloat16 units where the hardware has
    them, which makes fits and samples 1.2 to 2 times as fast on a CPU with such units (docs/performance.md)."""
    compile: bool = False
    """Compile the loss and its derivative: faster fits, after a first step that takes from seconds to a minute. Needs a
    C++ compiler such as g++."""

    def __post_init__(self) -> None:
        for field in ("width", "num_blocks", "num_fit_steps", "batch_size", "sample_chunk_size"):
            require(getattr(self, field) >= 1, field, f"must be at least 1, not {getattr(self, field)}")
        require(
            self.num_sampling_steps >= 2, "num_sampling_steps", f"must be at least 2, not {self.num_sampling_steps}"
        )
        for field in ("learning_rate", "sigma_data", "p_std", "sigma_min", "churn_noise"):
            require(0 < getattr(self, field) < math.inf, field, f"must be positive, not {getattr(self, field)}")
        require(self.rho != 0 and math.isfinite(self.rho), "rho", f"must be finite and not 0, not {self.rho}")
        for field in ("weight_decay", "churn", "churn_sigma_min", "guidance_scale"):
            require(getattr(self, field) >= 0, field, f"must not be negative, not {getattr(self, field)}")
        for field in ("ema_decay", "condition_dropout"):
            require(0 <= getattr(self, field) < 1, field, f"must lie in [0, 1), not {getattr(self, field)}")
        require(
            0 < self.prompt_top_fraction <= 1,
            "prompt_top_fraction",
            f"must lie in (0, 1], not {self.prompt_top_fraction}",
        )
        require(
            self.sigma_max > self.sigma_min,
            "sigma_max",
            f"must be above sigma_min ({self.sigma_min}), not {self.sigma_max}",
        )
        require(
            self.churn_sigma_max >= self.churn_sigma_min,
            "churn_sigma_max",
            f"must be at least churn_sigma_min ({self.churn_sigma_min}), not {self.churn_sigma_max}",
        )
        require(self.solver in SOLVERS, "solver", f"must be one of {', '.join(SOLVERS)}, not {self.solver!r}")
        require(
            self.matmul_precision in MATMUL_PRECISIONS,
            "matmul_precision",
            f"must be one of {', '.join(MATMUL_PRECISIONS)}, not {self.matmul_precision!r}",
        )
        require(
            self.normalization in NORMALIZATIONS,
            "normalization",
            f"must be one of {', '.join(NORMALIZATIONS)}, not {self.normalization!r}",
        )
