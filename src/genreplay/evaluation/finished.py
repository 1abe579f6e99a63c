"""Finished episodes of an evaluation on disk, so that one that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import math
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock

from genreplay.common.files import writing
from genreplay.evaluation.episode_pool import EpisodeSpec, PlayedEpisode


class FinishedEpisodes:
    """Episodes by what fixes them: the `identity` of policy and environment, controller, demand, seed and settings.

    They are lines of `finished-IDENTITY.jsonl`, each written as its episode ends, until the evaluation is complete.

    Args:
        folder: where the file is; None keeps nothing.
        identity: plain JSON of all that the figures of an episode depend on, but for its `EpisodeSpec`.
    """

    def __init__(self, folder: Path | None = None, identity: object = None):
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        self.path = None if folder is None else folder / f"finished-{digest}.jsonl"
        self._lock = Lock()
        self._known = {} if self.path is None else _read(self.path)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, spec: EpisodeSpec) -> PlayedEpisode | None:
        """What a finished episode gave; None where it is still to be played."""
        return self._known.get(_key(spec))

    def add(self, spec: EpisodeSpec, episode: PlayedEpisode) -> None:
        """Keep a finished episode; several threads may.

        Raises:
            UserError: the file cannot be written to.
        """
        if self.path is None:
            return
        line = json.dumps({"key": _key(spec), **episode._asdict()})
        with self._lock, writing(self.path, "another folder"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}")  # a line that was cut off stays the only broken one

    def forget(self) -> None:
        """Remove the file: the evaluation is complete, and another one plays anew."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            with suppress(OSError):  # other files are there
                os.removedirs(self.path.parent)


def _key(spec: EpisodeSpec) -> str:
    limit = None if math.isinf(spec.limit) else spec.limit
    return json.dumps([spec.controller, spec.demand, spec.seed, dict(spec.settings), limit, spec.brief], sort_keys=True)


def _read(path: Path) -> dict[str, PlayedEpisode]:
    """Episodes by key. A line that was cut off in the middle, as by a full disk, counts as not played."""
    known: dict[str, PlayedEpisode] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
            known[entry["key"]] = PlayedEpisode(*(entry[name] for name in PlayedEpisode._fields))
        except (ValueError, KeyError, TypeError):
            continue
    return known
