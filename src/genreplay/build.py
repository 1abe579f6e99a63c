"""The composition root: from a config to the parts the loop drives. Every part gets only what it needs."""

from __future__ import annotations

import torch

from genreplay.agents.base import EnsembleAgent
from genreplay.common.errors import UserError
from genreplay.common.precision import AGENT_SPEEDS, GENERATOR_SPEEDS
from genreplay.common.seeding import derive_seed
from genreplay.config.schema import ExperimentConfig
from genreplay.envs.world import World
from genreplay.generators.base import Generator
from genreplay.registry import entry
from genreplay.relevance.base import Relevance
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import TransitionLayout


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
    conditional, speed = config.has("relevance"), GENERATOR_SPEEDS[config.speed]
    return part(config.generator, codec, conditional, speed)


def build_agent(config: ExperimentConfig, world: World) -> EnsembleAgent:
    """Build the untrained agent named by `agent.name`."""
    torch.manual_seed(derive_seed(config.seed, "agent"))
    part, speed = entry("agent", config.agent.name).part, AGENT_SPEEDS[config.speed]
    return part.for_layout(config.agent, world.layout, world.discount_period, speed)


def build_relevance(config: ExperimentConfig, layout: TransitionLayout, agent: EnsembleAgent) -> Relevance | None:
    """Build the relevance function named by `relevance.name`; None where every transition counts alike."""
    part = entry("relevance", config.relevance.name).part
    return None if part is None else part.for_layout(config.relevance, layout, agent.td_error)
