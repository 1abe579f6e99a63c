"""Folder of files that can be computed again, such as clones. No heavy imports."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/genreplay`, or `~/.cache/genreplay`; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification ignores relative paths.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "genreplay"


def clone_file(layout: str, split: str) -> Path:
    """Where the clone of the people who played `layout` is kept; `split` is `train` or `test`."""
    return cache_folder() / "clones" / f"{layout}_{split}.safetensors"


def human_folder() -> Path:
    """Where the converted human play is kept."""
    return cache_folder() / "human"
