"""The one place that names everything of a run that resumes; `checkpoint` writes and reads it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
import yaml
from tensordict import TensorDictBase
from torch import nn

from genreplay.common.errors import UserError
from genreplay.config.reader import to_yaml
from genreplay.config.schema import ExperimentConfig
from genreplay.runs import checkpoint
from genreplay.runs.state_tree import MISFITS, REMEDY, fitting
from genreplay.runs.tracker import flatten
from genreplay.training.assemble import Parts
from genreplay.training.loop import Loop

SHAPING = ("agent.", "env.", "generator.", "relevance.", "codec.", "replay.", "synthesis.", "loop.num_workers")
"""Options that the content of a checkpoint may depend on."""
MAX_CHANGES = 3
"""Options in a message."""


def save(folder: Path, loop: Loop, config: ExperimentConfig, run_id: str) -> None:
    """Write a checkpoint of `loop` to `folder`, whole or not at all.

    Raises:
        UserError: a loss, a weight, a state of an optimiser or a stored transition is no number; nothing is written.
    """
    parts = loop.parts
    loop.require_finite()
    modules = {name: module.state_dict() for name, module in _modules(parts).items()}
    optimizers = {name: module.optimizer_state_dict() for name, module in _learners(parts).items()}
    buffers = parts.replay.state()
    if bad := not_finite({"weights": modules, "optimizers": optimizers, "buffers": buffers}):
        raise UserError(
            f"checkpoint {folder}: {bad} holds what is no finite number at env step {loop.counters.env_step}, so "
            "nothing is saved; go on from the checkpoint before it, with lower learning rates"
        )
    checkpoint.save(
        folder,
        modules=modules,
        optimizers=optimizers,
        buffers=buffers,
        counters={
            "run_id": run_id,
            "counters": loop.counters.state_dict(),
            "schedules": loop.schedules.state_dict(),
            "due": loop.due.state_dict(),
            "collection": parts.collection.state_dict(),
            "report": loop.report.state_dict(),
        },
        config_yaml=to_yaml(config),
    )


def run_id(loaded: checkpoint.Checkpoint) -> str:
    """MLflow's id of the run that wrote the checkpoint."""
    with fitting(loaded.folder, f"{checkpoint.COUNTERS} is damaged"):
        return str(loaded.counters["run_id"])


def restore_parts(loaded: checkpoint.Checkpoint, parts: Parts, config: ExperimentConfig) -> None:
    """Put freshly built parts where the checkpoint left off.

    Raises:
        UserError: they are other parts than the checkpoint's, and the message names the options that differ; or a
            weight or a stored transition is no number.
    """
    if bad := not_finite({"weights": loaded.modules, "buffers": loaded.buffers}):
        raise UserError(
            f"checkpoint {loaded.folder}: {bad} holds what is no finite number; train anew, or resume another run"
        )
    with _fitting(loaded, config):
        for name, module in _modules(parts).items():
            module.load_state_dict(loaded.modules[name])
        for name, learner in _learners(parts).items():
            learner.load_optimizer_state_dict(loaded.optimizers[name])
        parts.replay.load_state(loaded.buffers)
        parts.collection.load_state_dict(loaded.counters["collection"])


def restore(loaded: checkpoint.Checkpoint, loop: Loop, config: ExperimentConfig) -> None:
    """Put a freshly built `loop`, whose parts are restored, where the checkpoint left off, random streams last.

    Raises:
        UserError: its counters are not those of such a run.
    """
    with _fitting(loaded, config):
        _restore(loaded, loop)


def _restore(loaded: checkpoint.Checkpoint, loop: Loop) -> None:
    loop.counters.load_state_dict(loaded.counters["counters"])
    loop.schedules.load_state_dict(loaded.counters["schedules"])
    loop.due.load_state_dict(loaded.counters.get("due", {}))
    loop.report.load_state_dict(loaded.counters["report"])
    loaded.restore_rng()


def not_finite(tree: Any, name: str = "") -> str:
    """Where in `tree` a number is not finite, such as `buffers.real.next.reward`; empty where all are."""
    if isinstance(tree, torch.Tensor):
        # float64 holds the sum of any float32 numbers.
        is_fine = not tree.is_floating_point() or bool(tree.sum(dtype=torch.float64).isfinite())
        return "" if is_fine else name
    if isinstance(tree, Mapping | TensorDictBase):
        return next(filter(None, (not_finite(value, f"{name}.{key}".lstrip(".")) for key, value in tree.items())), "")
    return ""


def _fitting(loaded: checkpoint.Checkpoint, config: ExperimentConfig) -> AbstractContextManager[None]:
    """Turns a misfit into a UserError that names the options that differ from the checkpoint's."""
    try:
        before = flatten(yaml.safe_load(loaded.config_yaml))
    except (yaml.YAMLError, *MISFITS):
        before = {}
    changed = [
        f"{key} is {value} and was {before.get(key)}"
        for key, value in flatten(yaml.safe_load(to_yaml(config))).items()
        if key.startswith(SHAPING) and value != before.get(key)
    ]
    remedy = f"{'; '.join(changed[:MAX_CHANGES])}: leave such options as they were, or start the run anew"
    return fitting(loaded.folder, "does not fit this run", remedy if changed else REMEDY)


def _modules(parts: Parts) -> dict[str, nn.Module]:
    modules: dict[str, nn.Module | None] = {
        "agent": parts.agent,
        "relevance": parts.relevance,
        "generator": None if parts.synthesis is None else parts.synthesis.generator,
    }
    return {name: module for name, module in modules.items() if module is not None}


def _learners(parts: Parts) -> dict[str, Any]:
    """Parts whose optimiser lives on between steps; a generator's lives for one fit only."""
    return {name: module for name, module in _modules(parts).items() if name != "generator"}
