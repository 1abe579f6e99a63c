"""A trained policy from a checkpoint or a published folder, to evaluate, export or film it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tensordict import TensorDict
from tensordict.nn import TensorDictModule

from genreplay.build import build_agent, build_world
from genreplay.common.errors import UserError
from genreplay.config.reader import check_module, from_tree, from_yaml
from genreplay.config.schema import ExperimentConfig
from genreplay.config.strict import parse
from genreplay.envs.world import World
from genreplay.runs import checkpoint, published
from genreplay.runs.state_tree import fitting


class LoadedPolicy(NamedTuple):
    """A policy and what belongs to it."""

    config: ExperimentConfig
    world: World
    policy: TensorDictModule
    """Deterministic (see `EnsembleAgent.policy`), on the CPU."""
    run_id: str | None
    """MLflow's id of the run that wrote the checkpoint; None of a published policy, which belongs to no store."""
    env_step: int
    """Environment steps that the policy was trained for."""
    folder: Path
    """Of the checkpoint, or of the published policy."""
    curve: Sequence[Mapping[str, Any]]
    """The evaluations during training: `env_step`, `mean`, `low` and `high` of the primary metric."""

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
    """The policy of a checkpoint or of a published folder, and the environment it was trained in.

    Args:
        folder: of the checkpoint, or the one above it; or of a published policy.
        overrides: `key=value` options that win over its config.

    Raises:
        UserError: the folder cannot be read, or its policy does not fit the environment that the overrides make.
    """
    if published.is_published(folder):
        return _load_published(folder, overrides)
    loaded = checkpoint.load(folder)
    config = from_yaml(loaded.config_yaml, f"checkpoint {loaded.folder}", overrides)
    world = build_world(config)
    agent = build_agent(config, world)
    misfit = f"its policy does not fit this environment, which has {_widths(world)}"
    with fitting(loaded.folder, misfit, "leave the options of env as they were in training"):
        agent.load_state_dict(loaded.modules["agent"])
    with fitting(loaded.folder, f"{checkpoint.COUNTERS} is damaged"):
        counters = loaded.counters
        run_id, env_step, curve = counters["run_id"], counters["counters"]["env_step"], counters["report"]["curve"]
        if not (isinstance(run_id, str) and isinstance(env_step, int) and all(map(published.is_point, curve))):
            raise ValueError("run_id, env_step or curve is of another type")
    return LoadedPolicy(config, world, agent.policy(deterministic=True), run_id, env_step, loaded.folder, curve)


def _load_published(folder: Path, overrides: Sequence[str]) -> LoadedPolicy:
    card = published.read_card(folder)
    config = _published_config(folder, card, overrides)
    world = build_world(config)
    policy = build_agent(config, world).policy(deterministic=True)
    overridden = any(text.startswith(("env.", "agent.")) for text in overrides)
    try:
        policy.load_state_dict(_read_weights(folder))
        fits = overridden or published.interface_of(world.card()) == card["interface"]
    except RuntimeError as error:
        if overridden:
            raise UserError(
                f"policy {folder}: does not fit this environment, which has {_widths(world)}; leave the options of env "
                "as they were in training"
            ) from error
        fits = False
    if not fits:
        raise UserError(
            f"policy {folder}: was published by genreplay {card['genreplay']} for other inputs, outputs or networks "
            "than this version has; use that version, or train it anew and publish it with: genreplay publish"
        )
    training = card["training"]
    return LoadedPolicy(config, world, policy, None, training["env_steps"], folder, training["curve"])


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    try:
        weights = load_file(folder / published.WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UserError(f"policy {folder}: {published.WEIGHTS} is no safetensors file; {published.REMEDY}") from error
    if not all(tensor.isfinite().all() for tensor in weights.values()):
        raise UserError(f"policy {folder}: {published.WEIGHTS} has weights that are not finite; {published.REMEDY}")
    return weights


def _published_config(folder: Path, card: Mapping[str, Any], overrides: Sequence[str]) -> ExperimentConfig:
    """Its config with overrides. It names no files to extend, and no store."""
    source = f"policy {folder}: {published.CONFIG}"
    try:
        tree = parse((folder / published.CONFIG).read_text(encoding="utf-8"), source)
    except UnicodeDecodeError:
        raise UserError(f"{source} is damaged; {published.REMEDY}") from None
    tree.pop("tracking", None)
    try:
        config = from_tree(tree, source)
    except UserError as error:
        raise UserError(
            f"{error}; the policy was published by genreplay {card['genreplay']}: use that version, or train it anew"
        ) from error
    config = from_tree(tree, source, overrides) if overrides else config
    check_module(config, source, overrides)
    return config


def _widths(world: World) -> str:
    widths = world.layout.widths()
    return f"observations of width {widths['observation']} and actions of width {widths['action']}"
