"""Warnings about options that have no effect.

The `NO_EFFECT` of a config dataclass holds the rules that depend on its own values; those here depend on several
sections.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from genreplay.common.errors import NoEffect
from genreplay.config.schema import ExperimentConfig

NO_EFFECT = (
    NoEffect(
        (
            "generator.sampler.guidance_scale",
            "generator.fit.condition_dropout",
            "generator.sampler.prompt_top_fraction",
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
        ("fabric.devices", "fabric.num_nodes"),
        lambda config: not config.has("generator"),
        "only the generator uses more than one device; name one, such as generator.name=edm",
    ),
)
"""Rules about an experiment as a whole."""


def without_effect(config: ExperimentConfig) -> Iterator[tuple[str, str]]:
    """Keys that do nothing in this experiment, set or not, each with the reason."""
    rules = [(rule, config) for rule in NO_EFFECT]
    for field in dataclasses.fields(config):
        section = getattr(config, field.name)
        rules += [(rule, section) for rule in getattr(section, "NO_EFFECT", ())]
    for rule, owner in rules:
        if rule.applies(owner):
            yield from ((key, rule.because) for key in rule.keys)
