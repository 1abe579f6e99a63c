"""A trained policy from a checkpoint, to evaluate, export or film it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tensordict.nn import TensorDictModule

from genreplay.build import build_agent, build_world
from genreplay.common.errors import UserError
from genreplay.config.reader import load
from genreplay.config.schema import ExperimentConfig
from genreplay.envs.world import World
from genreplay.runs import checkpoint


class LoadedPolicy(NamedTuple):
    """A policy and what belongs to it."""

    config: ExperimentConfig
    world: World
    policy: TensorDictModule
    """Deterministic (see `EnsembleAgent.policy`), on the CPU."""
    run_id: str
    """MLflow's id of the run that wrote the checkpoint."""
    env_step: int
    """Environment steps that the policy was trained for."""


def load_policy(folder: Path, overrides: Sequence[str] = ()) -> LoadedPolicy:
    """The policy of a checkpoint, and the environment it was trained in.

    Args:
        folder: of the checkpoint, or the one above it.
        overrides: `key=value` options that win over the checkpoint's config.

    Raises:
        UserError: the checkpoint cannot be read, or its policy does not fit the environment that the overrides make.
    """
    loaded = checkpoint.load(folder)
    config = load(loaded.folder / checkpoint.CONFIG, overrides)
    world = build_world(config)
    agent = build_agent(config, world)
    try:
        agent.load_state_dict(loaded.modules["agent"])
    except RuntimeError as error:
        widths = world.layout.widths()
        raise UserError(
            f"checkpoint {loaded.folder}: its policy does not fit this environment, which has observations of width "
            f"{widths['observation']} and actions of width {widths['action']}; leave the options of env as they were "
            "in training"
        ) from error
    counters = loaded.counters
    return LoadedPolicy(
        config, world, agent.policy(deterministic=True), counters["run_id"], counters["counters"]["env_step"]
    )
