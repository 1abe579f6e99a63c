"""What a run has logged and its store does not have yet. A thread of its own sends it, so that training never waits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from shutil import rmtree
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any

from genreplay.common.errors import first_line
from genreplay.common.files import whole

if TYPE_CHECKING:
    from genreplay.runs.store import MlflowClient

log = logging.getLogger("genreplay")

FLUSH_SECONDS = 5.0
"""Longest that a metric waits; one call to MLflow costs about 5 ms whatever it carries."""
RETRY_SECONDS = 15.0
"""From one try to the next while the store does not answer."""
MAX_METRICS_PER_CALL = 1000


class Outbox:
    """Metrics and files on their way to one MLflow run.

    What the store does not take is kept, in order, and sent once it answers again. MLflow's databases ignore a metric
    that they have with the same time stamp, so a batch whose answer was lost can be sent again.

    Args:
        client: of the store.
        run_id: MLflow's id of the run.
        folder: for files on their way. Those that an earlier process left there are sent too.
    """

    def __init__(self, client: MlflowClient, run_id: str, folder: Path):
        self._client, self._run_id, self._folder = client, run_id, folder
        self._new, self._taken = folder / "new", folder / "taken"
        self._metrics: list[Any] = []
        self._changed = Condition()
        self._closing, self._answers = False, True
        self._thread = Thread(target=self._work, name="outbox", daemon=True)
        self._thread.start()

    def put(self, metrics: list[Any]) -> None:
        """Send these (MLflow's `Metric`) within seconds."""
        with self._changed:
            self._metrics += metrics
            self._changed.notify()

    def file(self, name: str) -> AbstractContextManager[Path]:
        """Yields a path; the file written there is sent as the artifact `name`, in place of an older one."""
        return whole(self._new / name)

    def unsent(self) -> list[Any]:
        """The metrics that the store is not known to have."""
        with self._changed:
            return list(self._metrics)

    def close(self) -> bool:
        """Try once more to send everything; whether the store has it all."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        if self._metrics or _files(self._folder):
            return False
        rmtree(self._folder, ignore_errors=True)
        return True

    def _work(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(self._is_due, FLUSH_SECONDS if self._answers else RETRY_SECONDS)
                closing = self._closing
            self._answers = self._send_all()

    def _is_due(self) -> bool:
        return self._closing or (self._answers and len(self._metrics) >= MAX_METRICS_PER_CALL)

    def _send_all(self) -> bool:
        while batch := self._metrics[:MAX_METRICS_PER_CALL]:
            if not self._send(partial(self._client.log_batch, self._run_id, metrics=batch)):
                return False
            with self._changed:
                del self._metrics[: len(batch)]
        return self._send_files()

    def _send_files(self) -> bool:
        """Files are taken out of `_new` first: there, a newer one may replace them meanwhile."""
        for path in _files(self._new):
            taken = self._taken / path.relative_to(self._new)
            taken.parent.mkdir(parents=True, exist_ok=True)
            path.replace(taken)
        return all(self._send_file(path) for path in _files(self._taken))

    def _send_file(self, path: Path) -> bool:
        place = path.parent.relative_to(self._taken).as_posix()
        sent = self._send(lambda: self._client.log_artifact(self._run_id, str(path), None if place == "." else place))
        if sent:
            path.unlink()
        return sent

    def _send(self, write: Callable[[], object]) -> bool:
        """Whether the store took it. Whatever is wrong there must not end the thread."""
        try:
            write()
        except Exception as error:
            if self._answers:
                log.warning(
                    "%s takes nothing at the moment (%s); what is logged is kept and sent later",
                    self._client.tracking_uri,
                    first_line(error),
                )
            self._answers = False
            return False
        if not self._answers:
            log.warning("%s answers again", self._client.tracking_uri)
        self._answers = True
        return True


def _files(folder: Path) -> list[Path]:
    """All files in a folder but those that are being written."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
