"""Options of the generators. No torch here: config errors must answer at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from genreplay.common.errors import NoEffect, require

SOLVERS = ("dpmpp_2m", "heun", "stochastic_heun")
NORMALIZATIONS = ("standard", "min_max")
HEADS = ("networks", "trees")
CATEGORIES = ("numbers", "given")


def _at_least(section: Any, low: int, *names: str) -> None:
    for name in names:
        require(getattr(section, name) >= low, name, f"must be at least {low}, not {getattr(section, name)}")


def _positive(section: Any, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        require(0 < value < math.inf, name, f"must be positive, not {value}")


def _not_negative(section: Any, *names: str) -> None:
    for name in names:
        require(getattr(section, name) >= 0, name, f"must not be negative, not {getattr(section, name)}")


def _one_of(section: Any, choices: tuple[str, ...], name: str) -> None:
    value = getattr(section, name)
    require(value in choices, name, f"must be one of {', '.join(choices)}, not {value!r}")


@dataclass
class NetworkConfig:
    """Size of a residual network."""

    hidden_width: int = 256
    """Width of the residual stream, in units."""
    num_blocks: int = 2
    """Residual blocks, of two linear layers each."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "hidden_width", "num_blocks")


@dataclass
class FitConfig:
    """How a generator is fitted."""

    num_steps: int = 2000
    """Gradient steps of one fit."""
    batch_size: int = 256
    """Rows of a gradient step, on each rank."""
    learning_rate: float = 2e-3
    """AdamW's step size at the start of a fit; it falls to zero along a half cosine."""
    weight_decay: float = 0.01
    """AdamW's decoupled weight decay."""
    ema_decay: float = 0.999
    """Share of the old weights that their moving average (which is what samples) keeps at each step. It rises to
    this value as (1 + step) / (10 + step), so that short fits forget their first steps."""
    warm_start: bool = True
    """Start each fit from the last one's weights; false starts afresh, as SynthER and PGR do."""
    condition_dropout: float = 0.25
    """Share of the training rows whose condition is replaced by the null token (only with a relevance)."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "num_steps", "batch_size")
        _positive(self, "learning_rate")
        _not_negative(self, "weight_decay")
        for name in ("ema_decay", "condition_dropout"):
            require(0 <= getattr(self, name) < 1, name, f"must lie in [0, 1), not {getattr(self, name)}")


@dataclass
class SamplerConfig:
    """How rows are drawn from a fitted generator."""

    num_steps: int = 32
    """Steps in which a row's columns are unmasked. Those of one step are drawn independently of each other, so with
    fewer steps than columns rare combinations are drawn too seldom; more steps than columns change nothing."""
    guidance_scale: float = 1.5
    """w in l_uncond + w (l_cond - l_uncond), on logits, where l_cond knows the relevance; 1 samples the conditional
    model."""
    prompt_top_fraction: float = 0.25
    """Conditions to sample with are drawn from this most relevant share of the real transitions."""
    chunk_size: int = 512
    """Rows that go through the network together (twice as many with guidance)."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "num_steps", "chunk_size")
        _not_negative(self, "guidance_scale")
        share = self.prompt_top_fraction
        require(0 < share <= 1, "prompt_top_fraction", f"must lie in (0, 1], not {share}")


@dataclass
class GeneratorConfig:
    """The options that every generator has."""

    name: str = "none"
    """Which generator."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)


@dataclass
class MaskedConfig(GeneratorConfig):
    """Masked discrete diffusion over whole transitions of categorical columns (D3PM, MDLM)."""

    name: str = "masked"
    """Which generator: `masked`."""


@dataclass
class FactorisedConfig(MaskedConfig):
    """Masked diffusion over states and actions, then a model of the categorical columns that follow."""

    NO_EFFECT = (
        NoEffect(
            (
                "synthesis.require_agreement",
                "generator.ensemble_size",
                "generator.member_share",
                "generator.head.hidden_width",
                "generator.head.num_blocks",
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
    """The model of what follows: `networks`, fitted by gradient, or `trees`, which learn a rule from fewer examples.
    Trees also predict a partner's action, which the diffusion does otherwise."""
    num_trees: int = 16
    """Trees for each next column, where heads are trees; the share of them that agree is the confidence."""
    ensemble_size: int = 3
    """M, one-step heads; their mean is the confidence, and they may disagree."""
    member_share: float = 0.8
    """Share of the distinct states and actions that each head learns from; below 1 heads differ where little is
    known."""
    head: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        _one_of(self, HEADS, "heads")
        _at_least(self, 1, "num_trees", "ensemble_size")
        require(0 < self.member_share <= 1, "member_share", f"must lie in (0, 1], not {self.member_share}")


@dataclass
class EdmFitConfig(FitConfig):
    """How the diffusion model is fitted (Karras et al., 2022, table 1)."""

    learning_rate: float = 4e-3
    """AdamW's step size at the start of a fit; it falls to zero along a half cosine."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay."""
    warm_start: bool = False
    """Start each fit from the last one's weights; false starts afresh, as SynthER and PGR do."""
    normalization: str = "standard"
    """`standard`: zero mean, unit deviation a column. `min_max`: [-1, 1] a column, samples held in that range."""
    sigma_data: float = 1.0
    """Standard deviation of the normalised data."""
    p_mean: float = -1.2
    """Mean of ln(sigma) in training."""
    p_std: float = 1.2
    """Standard deviation of ln(sigma) in training."""
    given_share: float = 0.0
    """Share of the training rows whose state and action are given, so that the same network also predicts the outcome
    of a given action, as `synthesis.source: counterfactual` needs; try 0.25."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(self, "sigma_data", "p_std")
        require(0 <= self.given_share < 1, "given_share", f"must lie in [0, 1), not {self.given_share}")
        _one_of(self, NORMALIZATIONS, "normalization")


@dataclass
class EdmSamplerConfig(SamplerConfig):
    """How rows are drawn from noise (Karras et al., 2022, equation 5 and algorithm 2)."""

    num_steps: int = 11
    """Noise levels of a sample."""
    guidance_scale: float = 1.5
    """w in D_uncond + w (D_cond - D_uncond); 1 samples the conditional model. The 2.0 of PGR's release is 1.5 here,
    because it guides only one of the two evaluations in each step (see `networks.condition.guide`)."""
    solver: str = "dpmpp_2m"
    """`dpmpp_2m`: DPM-Solver++(2M), one network evaluation a step. `heun`: deterministic Heun, two. `stochastic_heun`:
    Heun with churn, two, as SynthER and PGR sample."""
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

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least(self, 2, "num_steps")
        _one_of(self, SOLVERS, "solver")
        _positive(self, "sigma_min", "churn_noise")
        _not_negative(self, "churn", "churn_sigma_min")
        require(self.rho != 0 and math.isfinite(self.rho), "rho", f"must be finite and not 0, not {self.rho}")
        low, high = self.sigma_min, self.sigma_max
        require(high > low, "sigma_max", f"must be above sigma_min ({low}), not {high}")
        low, high = self.churn_sigma_min, self.churn_sigma_max
        require(high >= low, "churn_sigma_max", f"must be at least churn_sigma_min ({low}), not {high}")


@dataclass
class EdmConfig(GeneratorConfig):
    """Diffusion over whole transitions: Karras et al. (2022) with a residual MLP, as in SynthER and PGR."""

    name: str = "edm"
    """Which generator: `edm`."""
    categories: str = "numbers"
    """`numbers`: the entries of one-hots are generated as numbers, as SynthER and PGR do. `given`: each row takes the
    combination of its one-hots from a real row, and the other columns are generated to fit it."""
    fit: EdmFitConfig = field(default_factory=EdmFitConfig)
    sampler: EdmSamplerConfig = field(default_factory=EdmSamplerConfig)

    def __post_init__(self) -> None:
        _one_of(self, CATEGORIES, "categories")
