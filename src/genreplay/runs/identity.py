"""What fixes the figures of an evaluation's episodes: configuration, the files that it names, and the policy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from genreplay import __version__
from genreplay.config.reader import to_yaml
from genreplay.config.schema import ExperimentConfig, TrackingConfig
from genreplay.runs import checkpoint


def identity(config: ExperimentConfig, policy: nn.Module | None) -> dict[str, Any]:
    """Plain JSON that differs wherever the episodes of two evaluations may differ.

    Args:
        config: of the experiment; where it is tracked does not count.
        policy: the policy; None for baselines alone.
    """
    return {
        "genreplay": __version__,
        "config": to_yaml(replace(config, tracking=TrackingConfig())),
        "files": {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(asdict(config.env))},
        "policy": None if policy is None else _digest(policy),
    }


def _digest(module: nn.Module) -> str:
    """SHA-256 of names and weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _files(value: Any) -> Iterator[Path]:
    """The files that options name, alone or as `kind:PATH`; of a folder with checkpoints the newest one's manifest."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _files(item)
    elif isinstance(value, str) and value.strip():
        for path in (Path(value), Path(value.partition(":")[2] or value)):
            if path.is_file():
                yield path
            elif path.is_dir() and checkpoint.exists(path):
                yield checkpoint.newest(path) / checkpoint.MANIFEST
