"""Configuration of the relevance functions."""

from __future__ import annotations

from dataclasses import dataclass

from genreplay.common.errors import require


@dataclass
class NoneConfig:
    """No relevance: the generator is unconditional, as in SynthER."""

    name: str = "none"


@dataclass
class CuriosityConfig:
    """Intrinsic curiosity (ICM); the defaults are those of PGR's release where it has them."""

    name: str = "curiosity"
    hidden_size: int = 256
    """Units of every hidden layer, and of the feature space."""
    num_residual_blocks: int = 4
    """Residual blocks of the forward model, each with weights of its own."""
    learning_rate: float = 3e-4
    """Of Adam."""
    forward_weight: float = 0.5
    """Share of the forward model's loss; the rest is the inverse model's (beta: 0.5 in PGR, 0.2 in ICM)."""

    def __post_init__(self) -> None:
        _require_network(self.hidden_size, self.learning_rate)
        num_blocks, weight = self.num_residual_blocks, self.forward_weight
        require(num_blocks >= 1, "num_residual_blocks", f"must be at least 1, not {num_blocks}")
        require(0 < weight < 1, "forward_weight", f"must lie in (0, 1): both models learn; not {weight}")


@dataclass
class TdErrorConfig:
    """Absolute temporal-difference error of the agent's critics."""

    name: str = "td_error"


@dataclass
class RewardConfig:
    """The reward itself, with its sign."""

    name: str = "reward"


@dataclass
class NoveltyConfig:
    """Random network distillation (RND) on the next observation."""

    name: str = "novelty"
    hidden_size: int = 256
    """Units of every hidden layer."""
    feature_size: int = 128
    """Outputs of the random target network."""
    learning_rate: float = 1e-4
    """Of Adam, for the predictor."""
    observation_clip: float = 5.0
    """Normalised observations are clipped to this many standard deviations."""

    def __post_init__(self) -> None:
        _require_network(self.hidden_size, self.learning_rate)
        size, clip = self.feature_size, self.observation_clip
        require(size >= 1, "feature_size", f"must be at least 1, not {size}")
        require(clip > 0, "observation_clip", f"must be above 0, not {clip}")


def _require_network(hidden_size: int, learning_rate: float) -> None:
    require(hidden_size >= 1, "hidden_size", f"must be at least 1, not {hidden_size}")
    require(learning_rate > 0, "learning_rate", f"must be above 0, not {learning_rate}")
