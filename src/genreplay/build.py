"""The composition root: from a config to the parts the loop drives. Every part gets only what it needs."""

from __future__ import annotations

from dataclasses import replace

import torch

from genreplay.agents.base import EnsembleAgent
from genreplay.common.errors import UserError
from genreplay.common.precision import AGENT_SPEEDS, GENERATOR_SPEEDS, Speed
from genreplay.common.seeding import derive_seed
from genreplay.config.schema import ExperimentConfig
from genreplay.envs.world import World
from genreplay.generators.base import Generator
from genreplay.registry import entry
from genreplay.relevance.base import Relevance
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import TransitionLayout

MIN_CRITIC_UPDATES = 10_000
"""Planned in a run from which the agent's updates are compiled by default (docs/performance.md, Compilation)."""
MIN_GENERATOR_STEPS = 5_000
"""Likewise of the generator, over all fits."""


def build_world(config: ExperimentConfig) -> World:
    """Build the environment named by `env.name`; UserError where it cannot run as `loop` says."""
    world = entry("env", config.env.name).part(config.env)
    if config.loop.overlap_collection and not world.can_overlap:
        raise UserError(
            f"loop.overlap_collection: env.name {config.env.name!r} steps in the training process, which cannot learn "
            "meanwhile; write false"
        )
    return world


def build_generator(config: ExperimentConfig, codec: Codec) -> Generator | None:
    """Build the generator named by `generator.name`, the same on every rank; None for real replay only."""
    part = entry("generator", config.generator.name).part
    if part is None:
        return None
    torch.manual_seed(derive_seed(config.seed, "generator"))
    num_steps = config.loop.num_fits * config.generator.fit.num_steps
    speed = _repaid(GENERATOR_SPEEDS[config.speed], num_steps >= MIN_GENERATOR_STEPS)
    return part(config.generator, codec, config.has("relevance"), speed)


def build_agent(config: ExperimentConfig, world: World) -> EnsembleAgent:
    """Build the untrained agent named by `agent.name`."""
    torch.manual_seed(derive_seed(config.seed, "agent"))
    part = entry("agent", config.agent.name).part
    speed = _repaid(AGENT_SPEEDS[config.speed], config.loop.num_critic_updates >= MIN_CRITIC_UPDATES)
    return part.for_layout(config.agent, world.layout, world.discount_period, speed)


def _repaid(speed: Speed, is_long: bool) -> Speed:
    """`speed`, not compiled where that is optional and the run is too short for it.

    It depends on the whole run as configured, so a resumed run takes the same path as before.
    """
    return replace(speed, compile=False) if speed.eager_fallback and not is_long else speed


def build_relevance(config: ExperimentConfig, layout: TransitionLayout, agent: EnsembleAgent) -> Relevance | None:
    """Build the relevance function named by `relevance.name`; None where every transition counts alike."""
    part = entry("relevance", config.relevance.name).part
    return None if part is None else part.for_layout(config.relevance, layout, agent.td_error)
