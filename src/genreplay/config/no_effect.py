"""Options that do nothing in some set-ups; `load` warns of those that were set."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from genreplay.config.schema import ExperimentConfig


class NoEffect(NamedTuple):
    """Keys that do nothing in some set-ups; to set one there is worth a warning."""

    keys: tuple[str, ...]
    applies: Callable[[ExperimentConfig], bool]
    because: str


NO_EFFECT = (
    NoEffect(
        (
            "generator.guidance_scale",
            "generator.condition_dropout",
            "generator.prompt_top_fraction",
            "loop.relevance_updates_per_env_step",
        ),
        lambda config: not config.has("relevance"),
        "there is no relevance to condition on; name one, such as relevance.name=curiosity",
    ),
    NoEffect(
        (
            "codec.derive",
            "synthesis.source",
            "synthesis.swap_seats",
            "loop.first_refit_env_step",
            "loop.refit_every_env_steps",
            "loop.num_synthetic_rows",
            "loop.resample_every_env_steps",
        ),
        lambda config: not config.has("generator"),
        "there is no generator; name one, such as generator.name=edm",
    ),
    NoEffect(
        (
            "synthesis.require_agreement",
            "generator.ensemble_size",
            "generator.member_share",
            "generator.head_width",
            "generator.head_num_blocks",
        ),
        lambda config: getattr(config.generator, "heads", "networks") == "trees",
        "generator.heads is trees: there is no ensemble of networks; their doubt is in synthesis.min_confidence",
    ),
    NoEffect(
        ("generator.num_trees",),
        lambda config: getattr(config.generator, "heads", "networks") == "networks",
        "generator.heads is networks; write trees",
    ),
    NoEffect(
        ("synthesis.rollout_length",),
        lambda config: config.synthesis.source == "generated",
        "synthesis.source is generated: whole rows, each for itself; write counterfactual",
    ),
    NoEffect(
        ("generator.name",),
        # Fitted to a population of partners, it can be one of them in a later run.
        lambda config: (
            config.has("generator")
            and config.replay.synthetic_fraction == 0
            and not getattr(config.env, "partners", [])
        ),
        "replay.synthetic_fraction is 0, so the agent never sees a synthetic row",
    ),
    NoEffect(
        (
            "agent.temperature_learning_rate",
            "agent.target_entropy",
            "agent.target_entropy_start",
            "agent.target_entropy_end",
            "agent.target_entropy_env_steps",
        ),
        lambda config: not getattr(config.agent, "learn_temperature", True),
        "agent.learn_temperature is false, so the temperature stays at agent.initial_temperature",
    ),
    NoEffect(
        ("fabric.devices",),
        lambda config: not config.has("generator"),
        "only the generator uses more than one device; name one, such as generator.name=edm",
    ),
)
"""Options without effect; `config.load` warns of those that were set to other than their defaults."""
