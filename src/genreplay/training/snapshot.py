"""The one place that names everything of a run that resumes; `checkpoint` writes and reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDictBase
from torch import nn

from genreplay.common.errors import UserError
from genreplay.config.reader import to_yaml
from genreplay.config.schema import ExperimentConfig
from genreplay.runs import checkpoint
from genreplay.training.loop import Loop


def save(folder: Path, loop: Loop, config: ExperimentConfig, run_id: str) -> None:
    """Write a checkpoint of `loop` to `folder`, whole or not at all.

    Raises:
        UserError: a loss, a weight, a state of an optimiser or a stored transition is no number; nothing is written.
    """
    parts = loop.parts
    loop.require_finite()
    modules = {name: module.state_dict() for name, module in _modules(loop).items()}
    optimizers = {name: module.optimizer_state_dict() for name, module in _learners(loop).items()}
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


def restore(loaded: checkpoint.Checkpoint, loop: Loop) -> None:
    """Put a freshly built `loop` where the checkpoint left off, random streams last.

    Raises:
        UserError: a weight or a stored transition is no number.
    """
    parts = loop.parts
    if bad := not_finite({"weights": loaded.modules, "buffers": loaded.buffers}):
        raise UserError(
            f"checkpoint {loaded.folder}: {bad} holds what is no finite number; train anew, or resume another run"
        )
    for name, module in _modules(loop).items():
        module.load_state_dict(loaded.modules[name])
    for name, learner in _learners(loop).items():
        learner.load_optimizer_state_dict(loaded.optimizers[name])
    parts.replay.load_state(loaded.buffers)
    loop.counters.load_state_dict(loaded.counters["counters"])
    loop.schedules.load_state_dict(loaded.counters["schedules"])
    loop.due.load_state_dict(loaded.counters.get("due", {}))
    parts.collection.load_state_dict(loaded.counters["collection"])
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


def _modules(loop: Loop) -> dict[str, nn.Module]:
    modules: dict[str, nn.Module | None] = {
        "agent": loop.parts.agent,
        "relevance": loop.parts.relevance,
        "generator": None if loop.parts.synthesis is None else loop.parts.synthesis.generator,
    }
    return {name: module for name, module in modules.items() if module is not None}


def _learners(loop: Loop) -> dict[str, Any]:
    """Parts whose optimiser lives on between steps; a generator's lives for one fit only."""
    return {name: module for name, module in _modules(loop).items() if name != "generator"}
