"""Small instances of every registered part."""

from functools import cache

import torch
import yaml
from tensordict import TensorDict

from genreplay import registry
from genreplay.agents.base import EnsembleAgent
from genreplay.build import build_agent, build_generator, build_world
from genreplay.common.errors import UserError
from genreplay.config.reader import from_yaml
from genreplay.config.schema import ExperimentConfig
from genreplay.envs.world import World
from genreplay.transitions.codec import Codec
from tests.helpers.plugin import registered_examples

SMALL = {
    "sumo": {"scenario": "2way", "episode_seconds": 100},
    "gymnasium": {"max_episode_steps": 6},
    "overcooked": {"horizon": 6, "start": "random", "partners": ["random", "greedy:1"]},
    "redq_sac": {"hidden_width": 8, "ensemble_size": 3, "critic_updates_per_actor_update": 2},
    "discrete_redq_sac": {"hidden_width": 8, "ensemble_size": 3, "critic_updates_per_actor_update": 2},
    "hybrid_redq_sac": {"hidden_width": 8, "ensemble_size": 3, "critic_updates_per_actor_update": 2},
    "edm": {"network": {"hidden_width": 16}, "fit": {"num_steps": 5}, "sampler": {"chunk_size": 8}},
    "masked": {"network": {"hidden_width": 16}, "fit": {"num_steps": 5}, "sampler": {"chunk_size": 8}},
    "factorised": {
        "network": {"hidden_width": 16},
        "head": {"hidden_width": 16},
        "fit": {"num_steps": 5},
        "sampler": {"chunk_size": 8},
    },
    "line": {"num_steps": 6},
    "gaussian": {"fit": {"num_steps": 5}, "sampler": {"chunk_size": 8}},
    "gentle_sac": {"hidden_width": 8, "ensemble_size": 3, "critic_updates_per_actor_update": 2},
}

VARIANTS = {"sumo:actuated": {"action_mode": "actuated"}}
"""Environments with other options, where some agents are at home."""


def named(kind: str) -> list[str]:
    """The parts of a kind, without the one that stands for none; those of the plug-in come last."""
    with registered_examples():
        return [name for name in registry.names(kind) if registry.entry(kind, name).part_path is not None]


def experiment(**parts: str) -> ExperimentConfig:
    tree = {"loop": {"utd_ratio": 1}}  # too few updates to compile any
    for kind, name in parts.items():
        part = name.partition(":")[0]
        tree[kind] = {"name": part, **SMALL.get(part, {}), **VARIANTS.get(name, {})}
    return from_yaml(yaml.safe_dump(tree), "test")


@cache
def world_of(env: str) -> World:
    return build_world(experiment(env=env))


def home_of(kind: str, name: str) -> str:
    """The first environment that an agent or a generator can be built for."""
    for env in (*named("env"), *VARIANTS):
        config, world = experiment(env=env, **{kind: name}), world_of(env)
        try:
            build_agent(config, world) if kind == "agent" else build_generator(config, Codec(world.layout))
        except UserError:
            continue
        return env
    raise AssertionError(f"{kind} {name}: no environment can be learned with it")


def agent_for(env: str, seed: int = 0) -> EnsembleAgent:
    """An untrained agent that can act in this environment."""
    for name in named("agent"):
        try:
            config = experiment(env=env, agent=name)
            config.seed = seed
            return build_agent(config, world_of(env))
        except UserError:
            continue
    raise AssertionError(f"env {env}: no agent can act there")


def random_rows(env: str, *shape: int) -> TensorDict:
    """Valid transitions `[*shape]` of the environment, drawn by nobody."""
    codec = Codec(world_of(env).layout)
    rng = torch.Generator().manual_seed(0)
    rows = codec.decode(torch.randn(torch.Size(shape).numel(), codec.width, generator=rng))
    return rows.reshape(*shape)
