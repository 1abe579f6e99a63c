"""The one place that names everything of a run that resumes; `checkpoint` writes and reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from genreplay.config.reader import to_yaml
from genreplay.config.schema import ExperimentConfig
from genreplay.runs import checkpoint
from genreplay.training.loop import Loop


def save(folder: Path, loop: Loop, config: ExperimentConfig, run_id: str) -> None:
    """Write a checkpoint of `loop` to `folder`, whole or not at all."""
    parts = loop.parts
    checkpoint.save(
        folder,
        modules={name: module.state_dict() for name, module in _modules(loop).items()},
        optimizers={name: module.optimizer_state_dict() for name, module in _learners(loop).items()},
        buffers=parts.replay.state(),
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
    """Put a freshly built `loop` where the checkpoint left off, random streams last."""
    parts = loop.parts
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
