"""Temporary folders, and the removal of those that killed processes left behind."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from filelock import FileLock, Timeout

PREFIX = "genreplay-"
LOCK, FILES = ".lock", "files"
YOUNG_SECONDS = 10.0
"""A folder younger than this may belong to a process that has not locked it yet."""


class Scratch(tempfile.TemporaryDirectory[str]):
    """A temporary folder, in `with` or until `cleanup`. What killed processes left next to it is removed first.

    Its owner holds a lock for as long as it lives, however it ends.

    Args:
        name: of the folder, which says whose it is.
        place: where it is; None for the system's temporary folder.
    """

    def __init__(self, name: str, place: Path | None = None):
        for leftover in Path(place or tempfile.gettempdir()).glob(f"{PREFIX}*"):
            _remove_unowned(leftover)
        super().__init__(prefix=f"{PREFIX}{name}-", dir=place, ignore_cleanup_errors=True)
        self._lock = FileLock(Path(self.name, LOCK))
        self._lock.acquire()
        self.folder = Path(self.name, FILES)
        """The folder to use; empty at first."""
        self.folder.mkdir()

    def __enter__(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def cleanup(self) -> None:
        """Remove it with all that is in it."""
        self._lock.release()
        super().cleanup()


def _remove_unowned(folder: Path) -> None:
    lock = folder / LOCK
    with suppress(OSError, Timeout):
        if lock.is_file() and time.time() - lock.stat().st_ctime > YOUNG_SECONDS:
            with FileLock(lock, blocking=False):
                rmtree(folder / FILES)  # first, so that what cannot be removed yet is found again by its lock
                rmtree(folder)
