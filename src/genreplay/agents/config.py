"""Options of the agents. No torch here: config errors must answer at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from genreplay.common.errors import NoEffect, require

TARGET_MODES = ("min", "mean")


@dataclass
class EnsembleConfig:
    """Options of all agents with an ensemble of critics."""

    NO_EFFECT = (
        NoEffect(
            (
                "agent.temperature_learning_rate",
                "agent.target_entropy",
                "agent.target_number_entropy",
                "agent.target_entropy_start",
                "agent.target_entropy_end",
                "agent.target_entropy_env_steps",
            ),
            lambda agent: not agent.learn_temperature,
            "agent.learn_temperature is false, so the temperature stays at agent.initial_temperature",
        ),
    )

    name: str = ""
    """Which agent."""

    hidden_width: int = 256
    """Units of each of the two hidden layers of actor and critics."""
    critic_layer_norm: bool = False
    """LayerNorm after each hidden layer of the critics, before its ReLU; steadier at high update ratios."""

    ensemble_size: int = 10
    """N, number of critics: 10 in REDQ, 2 in SAC, SynthER and PGR."""
    target_subset_size: int = 2
    """M, critics drawn at random for the target of each critic update; at most `ensemble_size`."""
    target_mode: str = "min"
    """How the target joins the M critics: `min`, or `mean` for less pessimism."""
    critic_updates_per_actor_update: int = 20
    """K, critic updates in a block, which ends with one actor and one temperature update."""

    gamma: float = 0.99
    """Discount factor over one `discount_period` of the environment, in (0, 1]."""
    critic_learning_rate: float = 3e-4
    """Adam's step size for the critics."""
    actor_learning_rate: float = 3e-4
    """Adam's step size for the actor."""
    target_update_rate: float = 0.005
    """Share of the new weights that the target critics take over after each critic update, in (0, 1]."""
    actor_average_rate: float = 1.0
    """Share of the new weights that the average of the actor's weights takes over after each actor update, in (0, 1].
    The average is the policy that is evaluated, exported and filmed; it never collects. 1 is no average. The first
    updates count more, by 9 / (9 + update)."""

    initial_temperature: float = 1.0
    """Weight of the entropy bonus, in units of reward per nat, at the start (or throughout, see below)."""
    learn_temperature: bool = True
    """Adapt the temperature to hold the policy's entropy at `target_entropy`; false keeps it fixed."""
    temperature_learning_rate: float = 3e-4
    """Adam's step size for the logarithm of the temperature."""

    def __post_init__(self) -> None:
        for field in (
            "hidden_width",
            "ensemble_size",
            "target_subset_size",
            "critic_updates_per_actor_update",
        ):
            require(getattr(self, field) >= 1, field, f"must be at least 1, not {getattr(self, field)}")
        for field in (
            "critic_learning_rate",
            "actor_learning_rate",
            "temperature_learning_rate",
            "initial_temperature",
        ):
            value = getattr(self, field)
            require(0 < value < math.inf, field, f"must be positive{' and finite' * (value > 0)}, not {value}")
        for field in ("gamma", "target_update_rate", "actor_average_rate"):
            require(0 < getattr(self, field) <= 1, field, f"must lie in (0, 1], not {getattr(self, field)}")
        require(
            self.target_subset_size <= self.ensemble_size,
            "target_subset_size",
            f"must be at most ensemble_size ({self.ensemble_size}), not {self.target_subset_size}; "
            "lower it or raise ensemble_size",
        )
        require(
            self.target_mode in TARGET_MODES,
            "target_mode",
            f"must be one of {', '.join(TARGET_MODES)}, not {self.target_mode!r}",
        )


@dataclass
class RedqSacConfig(EnsembleConfig):
    """Soft Actor-Critic with an ensemble of critics: SAC and REDQ (Chen et al., 2021) are two settings of it."""

    name: str = "redq_sac"
    """Which agent: `redq_sac`."""
    target_entropy: float | None = None
    """Entropy the policy is held at, in nats; where it is null, minus the number of action entries."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.target_entropy is None or math.isfinite(self.target_entropy),
            "target_entropy",
            f"must be a finite number of nats, or null for minus the action width, not {self.target_entropy}",
        )


@dataclass
class HybridRedqSacConfig(EnsembleConfig):
    """The same for actions of numbers and one choice, such as how long a green lasts and which stage it is."""

    name: str = "hybrid_redq_sac"
    """Which agent: `hybrid_redq_sac`."""
    begin_with_rule: bool = True
    """Begin as the environment's rule, if it has one, and pay temperature times KL divergence for leaving it, in place
    of the entropy bonus; false for Soft Actor-Critic from random weights. With a rule the temperatures are fixed."""
    first_actor_env_step: int = 0
    """The actor rests until this environment step, while the critics learn to value its actions."""
    learn_temperature: bool = False
    """Adapt both temperatures to hold the entropies at their targets; only without a rule."""
    initial_number_temperature: float = 0.1
    """Temperature of the numbers, at the start or throughout; `initial_temperature` is that of the choice."""
    target_entropy: float = 0.3
    """Entropy the choice is held at where the temperature is learned, as a share of its largest, in [0, 1]."""
    target_number_entropy: float = -1.0
    """Entropy the numbers are held at likewise, nats a number."""

    def __post_init__(self) -> None:
        super().__post_init__()
        value = self.initial_number_temperature
        require(0 < value < math.inf, "initial_number_temperature", f"must be positive and finite, not {value}")
        require(
            self.first_actor_env_step >= 0,
            "first_actor_env_step",
            f"must be at least 0, not {self.first_actor_env_step}",
        )
        require(0 <= self.target_entropy <= 1, "target_entropy", f"must lie in [0, 1], not {self.target_entropy}")
        require(
            math.isfinite(self.target_number_entropy),
            "target_number_entropy",
            f"must be a finite number of nats, not {self.target_number_entropy}",
        )


@dataclass
class DiscreteRedqSacConfig(EnsembleConfig):
    """The same for categorical actions, exactly in expectation over them (Christodoulou, 2019), for two seats that
    share all parameters.
    """

    name: str = "discrete_redq_sac"
    """Which agent: `discrete_redq_sac`."""

    target_entropy_start: float = 0.6
    """Entropy the policy is held at from the start, as a share of its largest, the logarithm of the number of
    actions, in [0, 1]."""
    target_entropy_end: float = 0.15
    """The same share at the end of its schedule, and from then on. To lower it too early leaves self-play at 0."""
    target_entropy_env_steps: int = 20_000
    """Environment steps over which the share goes from start to end, in a straight line."""

    shaping_env_steps: int = 20_000
    """Environment steps over which the coefficient of a seat's own shaped reward falls from 1 to 0, in a straight
    line; 0 for the team's sparse reward alone. The environment's shaped reward is not changed by it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("target_entropy_start", "target_entropy_end"):
            require(0 <= getattr(self, field) <= 1, field, f"must lie in [0, 1], not {getattr(self, field)}")
        require(
            self.target_entropy_env_steps >= 1,
            "target_entropy_env_steps",
            f"must be at least 1, not {self.target_entropy_env_steps}",
        )
        require(self.shaping_env_steps >= 0, "shaping_env_steps", f"must be at least 0, not {self.shaping_env_steps}")
