"""Checkpoints: folders that are written as a whole or not at all, and whose files execute nothing when they are read.

    <folder>/000007/manifest.json             format, size and SHA-256 of every other file
                    config.yaml               the resolved config
                    counters.json             counters, schedules, environment state
                    modules/<name>.safetensors
                    optimizers/<name>.json    the state's tree; its tensors are in <name>.safetensors
                    rng.json  rng.safetensors
                    buffers/                  a TensorDict's memory maps

Each save writes a new numbered folder under a temporary name, flushes it to the disk, renames it and then removes the
older ones. A process killed before the rename leaves the older checkpoint, a process killed after it the newer one. The
newest checkpoint has the highest number.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from tensordict import TensorDict, TensorDictBase

from genreplay.common.errors import UserError
from genreplay.runs import manifest
from genreplay.runs.buffer_files import read_buffers, refuse_non_tensors, write_buffers
from genreplay.runs.manifest import MANIFEST
from genreplay.runs.state_tree import (
    read_tensors,
    read_tree,
    read_values,
    write_tensors,
    write_tree,
    write_values,
)

CONFIG = "config.yaml"
COUNTERS = "counters.json"
LOCK = ".lock"
REQUIRED = (CONFIG, COUNTERS, "rng.json", "rng.safetensors", "buffers/meta.json")


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint."""

    folder: Path
    modules: dict[str, dict[str, torch.Tensor]]
    """State dicts of modules, on the CPU."""
    optimizers: dict[str, Any]
    """State dicts of optimisers, on the CPU."""
    buffers: TensorDict
    """Views of the checkpoint's files: copy them, never write to them."""
    counters: dict[str, Any]
    """Counters, schedules and environment state."""
    config_yaml: str
    """The resolved config."""
    rng: dict[str, Any]

    def restore_rng(self) -> None:
        """Restore the global random generators of Python, NumPy and torch."""
        set_rng_state(self.rng)


def save(
    folder: Path,
    *,
    modules: Mapping[str, Mapping[str, torch.Tensor]],
    optimizers: Mapping[str, Any],
    buffers: TensorDictBase,
    counters: Mapping[str, Any],
    config_yaml: str,
) -> Path:
    """Write a checkpoint of these states and of the global random generators as the newest in `folder`.

    Args:
        folder: of the run; afterwards it holds only this checkpoint.
        modules: state dicts by name.
        optimizers: state dicts by name: dicts, lists, tuples, numbers, text, null and tensors.
        buffers: tensors only.
        counters: as `optimizers`, but without tensors.
        config_yaml: the resolved config.

    Returns:
        The numbered folder of this checkpoint.

    Raises:
        UserError: the folder cannot be written to.
        TypeError: something is of a type that a checkpoint does not keep.
    """
    refuse_non_tensors(buffers)
    older = _numbered(folder, whole=False)
    final = folder / f"{(int(older[-1].name) if older else 0) + 1:06d}"
    partial = folder / f".{final.name}.partial"
    try:
        for leftover in folder.glob(".*.partial"):
            shutil.rmtree(leftover)
        partial.mkdir(parents=True)
        write_values(partial / COUNTERS, counters)
        (partial / CONFIG).write_text(config_yaml, encoding="utf-8")
        _write_states(partial, modules, optimizers)
        write_buffers(partial / "buffers", buffers.detach().to("cpu"))
        manifest.write(partial)
        _flush(partial)
        os.rename(partial, final)
        _flush_folder(folder)
        for outdated in older:
            shutil.rmtree(outdated)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"checkpoint {final}: cannot be written ({reason}); make room there or name another place by tracking.uri"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def _write_states(
    folder: Path, modules: Mapping[str, Mapping[str, torch.Tensor]], optimizers: Mapping[str, Any]
) -> None:
    for place in (folder / "modules", folder / "optimizers"):
        place.mkdir()
    for name, tensors in modules.items():
        write_tensors(folder / "modules" / f"{name}.safetensors", tensors)
    for name, state in optimizers.items():
        write_tree(folder / "optimizers" / name, state)
    write_tree(folder / "rng", rng_state())


def load(folder: Path) -> Checkpoint:
    """Read the newest checkpoint in `folder`, or `folder` itself where it is one.

    Every file is checked against the manifest first. Only safetensors, JSON, YAML text and memory maps are read, so no
    content of a file is executed.

    Raises:
        UserError: there is no checkpoint, it is of another format, or a file in it is missing or damaged.
    """
    folder = newest(folder)
    manifest.check(folder, REQUIRED)
    modules, optimizers = (folder / "modules").glob("*.safetensors"), (folder / "optimizers").glob("*.json")
    return Checkpoint(
        folder=folder,
        modules={path.stem: read_tensors(path) for path in sorted(modules)},
        optimizers={path.stem: read_tree(path.with_suffix("")) for path in sorted(optimizers)},
        buffers=read_buffers(folder / "buffers"),
        counters=read_values(folder / COUNTERS),
        config_yaml=manifest.text_of(folder, CONFIG),
        rng=read_tree(folder / "rng"),
    )


def hold(folder: Path, run_id: str) -> FileLock:
    """Keep every other process from training the run whose checkpoints are in `folder`, until `release` or its end.

    Raises:
        UserError: another process trains it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"--resume {run_id}: this run is being trained by another process; stop that one, or wait until it ends"
        ) from None
    return lock


def exists(folder: Path) -> bool:
    """Whether `folder` is or holds a checkpoint."""
    return (folder / MANIFEST).is_file() or bool(_numbered(folder))


def newest(folder: Path) -> Path:
    """The folder of the newest checkpoint in `folder`, or `folder` itself where it is one; UserError without one."""
    if (folder / MANIFEST).is_file():
        return folder
    numbered = _numbered(folder)
    if not numbered:
        raise UserError(f"{folder}: holds no checkpoint; name a folder with a {MANIFEST}, or the one above it")
    return numbered[-1]


def _numbered(folder: Path, whole: bool = True) -> list[Path]:
    """Numbered folders, lowest first. Without `whole` also those whose removal was interrupted."""
    found = folder.iterdir() if folder.is_dir() else ()
    numbered = (p for p in found if p.name.isdecimal() and (not whole or (p / MANIFEST).is_file()))
    return sorted(numbered, key=lambda p: int(p.name))


# Files ---------------------------------------------------------------------------------------------------------------


def _flush(folder: Path) -> None:
    """Write everything under `folder` to the disk: the rename must not reach it first."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# Random generators ---------------------------------------------------------------------------------------------------


def rng_state() -> dict[str, Any]:
    """States of the global random generators of Python, NumPy and torch."""
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Set the global random generators to what `rng_state` gave. CUDA's only where the devices are as many."""
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
