"""A trained policy from a checkpoint, to evaluate, export or film it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tensordict import TensorDict
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

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Actions `[N, A]` for observations `[N, O]`.

        In Overcooked, for each of the two seats, the probabilities of its actions `[N, 2, A]` for what it sees
        `[N, 2, O]`.
        """
        seen = TensorDict({}, [len(observations)]).set(
            self.policy.in_keys[0], torch.as_tensor(observations, dtype=torch.float32)
        )
        with torch.no_grad():
            return self.policy(seen).get(self.policy.out_keys[0]).numpy()


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
