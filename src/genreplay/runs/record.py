"""A run read back from the experiment store: its tags, metrics and artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from genreplay.common.errors import UserError
from genreplay.common.secrets import masked
from genreplay.runs import published
from genreplay.runs.store import connect, find_run, is_new, local_path, store_errors

if TYPE_CHECKING:
    from genreplay.runs.store import MlflowClient, Run


TAGS = {
    "command": "command",
    "resumed": "command.resumed",
    "commit": "mlflow.source.git.commit",
    "has_changes": "git.dirty",
}
"""Entries of a published policy's `training`, and the tags of the run that they come from."""


class Series(NamedTuple):
    """A metric over the environment steps of a run."""

    env_steps: list[int]
    values: list[float]


@dataclass(frozen=True)
class Record:
    """One run."""

    run_id: str
    name: str
    status: str
    """FINISHED, RUNNING, FAILED or KILLED."""
    start: datetime
    end: datetime | None
    tags: Mapping[str, str]
    metrics: Mapping[str, Series]
    """By name. A step that was logged twice, as where a run was killed and resumed, has its later value."""
    artifacts: Path
    """Folder of its artifacts."""


def read(uri: str, run_id: str, folders: tuple[str, ...], scratch: Path) -> Record:
    """Read the run with this id from the store.

    Args:
        uri: of the store, as `store.store_uri` gives it.
        run_id: MLflow's id.
        folders: artifact folders to read; those on a server are downloaded.
        scratch: folder to download to.

    Raises:
        UserError: the store does not know the run, or cannot be used.
    """
    with store_errors(uri):
        client = None if is_new(uri) else connect(uri)
        run = None if client is None else find_run(client, run_id)
        if client is None or run is None:
            raise UserError(
                f"--run: the store {uri} has no run {run_id}; name the one it was trained in with tracking.uri=..."
            )
        info = run.info
        return Record(
            run_id,
            info.run_name or run_id,
            info.status,
            datetime.fromtimestamp(info.start_time / 1000, UTC),
            datetime.fromtimestamp(info.end_time / 1000, UTC) if info.end_time else None,
            {name: masked(value) for name, value in run.data.tags.items()},
            {name: _series(client, run_id, name) for name in sorted(run.data.metrics)},
            _artifacts(client, run, folders, scratch),
        )


def of_published(folder: Path) -> Record:
    """What the card of a published policy keeps of its run: the tags of `TAGS`, and no metrics; UserError as of
    `published.read_card`.
    """
    card = published.read_card(folder)
    training = card["training"]
    tags = {tag: training[name] for name, tag in TAGS.items() if isinstance(training.get(name), str)}
    versions = training.get("versions") or {}
    try:
        start = datetime.fromisoformat(training["began"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"policy {folder}: {published.CARD} is damaged (no training.began); {published.REMEDY}"
        ) from error
    return Record(
        str(training.get("run")),
        card["name"],
        "PUBLISHED",
        start,
        None,
        tags | {f"version.{name}": str(text) for name, text in versions.items()},
        {},
        folder,
    )


def _series(client: MlflowClient, run_id: str, name: str) -> Series:
    points = sorted(client.get_metric_history(run_id, name), key=lambda point: (point.step, point.timestamp))
    by_step = {point.step: point.value for point in points}
    return Series(list(by_step), list(by_step.values()))


def _artifacts(client: MlflowClient, run: Run, folders: tuple[str, ...], scratch: Path) -> Path:
    here = local_path(run.info.artifact_uri)
    if here is not None:
        return here
    for folder in folders:
        if client.list_artifacts(run.info.run_id, folder):
            client.download_artifacts(run.info.run_id, folder, str(scratch))
    return scratch
