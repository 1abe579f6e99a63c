"""A trained policy out of a checkpoint: for evaluating, exporting and drawing it."""

from __future__ import annotations

import logging
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
    """What `load_policy` read."""

    config: ExperimentConfig
    world: World
    policy: TensorDictModule
    """As it is judged (see `EnsembleAgent.policy`), on the CPU."""
    run_id: str
    """MLflow's id of the run that wrote the checkpoint."""
    env_step: int
    """Environment steps that the policy was trained for."""


def load_policy(folder: Path, overrides: Sequence[str] = ()) -> LoadedPolicy:
    """The policy in a checkpoint, and the world it was trained in.

    Args:
        folder: of the checkpoint, or the one above it.
        overrides: `key=value` options that win over the checkpoint's config.

    Raises:
        UserError: the checkpoint cannot be read, or its policy does not fit the world that the overrides make.
    """
    logging.getLogger("torchrl").setLevel(logging.WARNING)  # it announces every new buffer
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
            f"{widths['observation']} and actions of width {widths['action']}; evaluate it on the junction and with "
            "the action_mode it was trained on"
        ) from error
    counters = loaded.counters
    return LoadedPolicy(
        config, world, agent.policy(deterministic=True), counters["run_id"], counters["counters"]["env_step"]
    )
