"""From a config to the parts that the loop drives. Every part gets only what it needs."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from lightning import Fabric

from genreplay.agents.base import EnsembleAgent
from genreplay.build import build_agent, build_relevance
from genreplay.common.errors import UserError
from genreplay.common.seeding import derive_seed
from genreplay.config.schema import ExperimentConfig
from genreplay.envs.facets import Oracle
from genreplay.envs.world import World
from genreplay.evaluation.evaluator import Evaluator
from genreplay.generators.discrete.partner_model import PartnerModel
from genreplay.generators.distributed.team import Team
from genreplay.relevance.base import Relevance
from genreplay.replay.buffers import MixedReplay
from genreplay.replay.collection import Collection
from genreplay.replay.overlapped import OverlappedCollection
from genreplay.replay.rollouts import OracleRollouts, Rollouts
from genreplay.replay.synthesis import Generated, Synthesis
from genreplay.replay.warmup import warmup_policy
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import TransitionLayout


@dataclass
class Parts:
    """Everything the loop drives."""

    collection: Collection
    replay: MixedReplay
    agent: EnsembleAgent
    relevance: Relevance | None
    synthesis: Synthesis | None
    """Owns the generator; None for real replay only."""
    evaluator: Evaluator
    oracle: Oracle | None
    """Measures synthetic transitions; None where the environment has none."""

    def close(self) -> None:
        """Stop every simulator."""
        self.collection.shutdown()
        self.evaluator.close()


def build_synthesis(
    config: ExperimentConfig, codec: Codec, agent: EnsembleAgent, world: World, team: Team | None
) -> Synthesis | None:
    """How synthetic transitions come about; UserError where the generator or the world cannot do that."""
    source, generator = config.synthesis.source, None if team is None else team.generator
    if generator is not None and not generator.has_confidence and source == "generated" and config.synthesis.filters:
        raise UserError(
            f"synthesis.min_confidence, synthesis.require_agreement: {config.generator.name!r} does not say how sure "
            "it is of its rows; write 0 and false, or generator.name: factorised"
        )
    if source == "counterfactual" and generator is not None and generator.step_model is None:
        raise UserError(
            f"synthesis.source: counterfactual needs a generator that predicts the outcome of a given action, and "
            f"{config.generator.name!r} does not; write generator.fit.given_share: 0.25 (edm alone), "
            "generator.name: factorised, or synthesis.source: generated"
        )
    if source == "oracle" and world.oracle is None:
        raise UserError(
            f"synthesis.source: oracle asks the simulator, and env.name {config.env.name!r} cannot start it from an "
            "observation; write generated or counterfactual"
        )
    seats, goes_on = world.layout.seats, config.synthesis.rollout_length > 1
    if config.synthesis.swap_seats and seats is None:
        raise UserError(f"synthesis.swap_seats: env.name {config.env.name!r} has no two seats to swap; write false")
    if (
        goes_on
        and seats is not None
        and seats.learners != "both"
        and (generator is None or not isinstance(generator.step_model, PartnerModel))
    ):
        raise UserError(
            "synthesis.rollout_length: with a partner more than one step needs a generator that can be this partner, "
            f"and {config.generator.name!r} cannot; write generator.name: factorised, or synthesis.rollout_length: 1"
        )
    if team is None:
        return None
    if source == "generated":
        return Generated(config.synthesis, codec, team)
    if source == "counterfactual":
        return Rollouts(config.synthesis, codec, team, agent)
    assert world.oracle is not None
    return OracleRollouts(config.synthesis, codec, team, agent, world.oracle)


def build_replay(config: ExperimentConfig, layout: TransitionLayout, device: torch.device | str) -> MixedReplay:
    """The empty replay buffer of a run."""
    return MixedReplay(config.replay, device, derive_seed(config.seed, "replay"), layout.stored_keys)


def build_parts(config: ExperimentConfig, fabric: Fabric, world: World, codec: Codec, team: Team | None) -> Parts:
    """Everything rank 0 owns: simulators, buffers, agent, relevance."""
    device = fabric.device
    agent = build_agent(config, world).to(device)

    relevance = build_relevance(config, world.layout, agent)
    if relevance is not None:
        relevance = relevance.to(device)
    env = world.make_env(
        config.loop.num_workers, lambda worker, index: derive_seed(config.seed, "episode", worker, index)
    )
    env.faults.limit = config.loop.max_faults
    replay = build_replay(config, world.layout, device)
    policy = agent.policy(deterministic=False)
    collection = (OverlappedCollection if config.loop.overlap_collection else Collection)(
        env,
        policy,
        config.loop.warmup_env_steps,
        world.layout.stored_keys,
        warmup_policy(policy, world.layout, agent.begins_with_rule),
    )
    synthesis = build_synthesis(config, codec, agent, world, team)
    evaluator = Evaluator(world, config.evaluation.num_workers, config.evaluation.seeds)
    for simulators in (env, evaluator.env):
        simulators.checks.deadline = config.loop.decision_deadline
    # Everything random from here on continues these streams, which checkpoints keep.
    seed = derive_seed(config.seed, "loop")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return Parts(collection, replay, agent, relevance, synthesis, evaluator, world.oracle)
