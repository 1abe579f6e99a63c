"""Options of the relevance functions. No torch here: config errors must answer at once."""

from __future__ import annotations

from dataclasses import dataclass

from genreplay.common.errors import require


@dataclass
class CuriosityConfig:
    """Intrinsic curiosity (ICM); the defaults are those of PGR's release where it has them."""

    name: str = "curiosity"
    hidden_width: int = 256
    """Units of every hidden layer, and of the feature space."""
    num_blocks: int = 4
    """Residual blocks of the forward model, each with weights of its own."""
    learning_rate: float = 3e-4
    """Of Adam."""
    forward_weight: float = 0.5
    """Share of the forward model's loss; the rest is the inverse model's (beta: 0.5 in PGR, 0.2 in ICM)."""

    def __post_init__(self) -> None:
        _require_network(self.hidden_width, self.learning_rate)
        weight = self.forward_weight
        require(self.num_blocks >= 1, "num_blocks", f"must be at least 1, not {self.num_blocks}")
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
    hidden_width: int = 256
    """Units of every hidden layer."""
    feature_width: int = 128
    """Outputs of the random target network."""
    learning_rate: float = 1e-4
    """Of Adam, for the predictor."""
    observation_clip: float = 5.0
    """Normalised observations are clipped to this many standard deviations."""

    def __post_init__(self) -> None:
        _require_network(self.hidden_width, self.learning_rate)
        size, clip = self.feature_width, self.observation_clip
        require(size >= 1, "feature_width", f"must be at least 1, not {size}")
        require(clip > 0, "observation_clip", f"must be above 0, not {clip}")


def _require_network(hidden_width: int, learning_rate: float) -> None:
    require(hidden_width >= 1, "hidden_width", f"must be at least 1, not {hidden_width}")
    require(learning_rate > 0, "learning_rate", f"must be above 0, not {learning_rate}")
