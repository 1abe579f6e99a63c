"""Find the checkpoint of a run that is named by a folder, an id, a name or `last`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from genreplay.common.errors import UserError
from genreplay.runs.store import (
    CHECKPOINTS,
    checkpoint_dir,
    connect,
    find_run,
    is_new,
    local_path,
    search,
    store_errors,
)

if TYPE_CHECKING:
    from genreplay.runs.store import MlflowClient, Run

MAX_LISTED_RUNS = 5

HasCheckpoint = Callable[[Path], bool]


def resolve_run(reference: str, uri: str, has_checkpoint: HasCheckpoint, option: str = "--resume") -> Path:
    """The checkpoint folder of a run.

    Args:
        reference: a folder; the run's id or name; or `last`, the run with a checkpoint that began last.
        uri: of the store, as `store.store_uri` gives it.
        has_checkpoint: whether a folder holds a checkpoint.
        option: the option that messages name.

    Raises:
        UserError: there is no such folder or run, it has no checkpoint, or several runs have that name.
    """
    folder = Path(reference)
    if folder.is_dir():
        found = [place for place in (folder, folder / CHECKPOINTS) if has_checkpoint(place)]
        if not found:
            raise UserError(f"{option} {reference}: this folder holds no checkpoint; name one that genreplay wrote")
        return found[0]
    if is_new(uri):
        raise UserError(
            f"{option} {reference}: there is no such folder, and no run in {uri} yet; begin one with: "
            "genreplay fit --config FILE"
        )
    with store_errors(uri):
        client = connect(uri)
        if reference == "last":
            return _last(client, has_checkpoint, option)
        return _named(reference, client, has_checkpoint, option)


def checkpoint_of(uri: str, run_id: str, has_checkpoint: HasCheckpoint) -> Path | None:
    """The checkpoint folder of the run with this id; None where it has none.

    Raises:
        UserError: the store cannot be used.
    """
    with store_errors(uri):
        client = connect(uri)
        return _fetch(client, client.get_run(run_id), has_checkpoint)


def _last(client: MlflowClient, has_checkpoint: HasCheckpoint, option: str) -> Path:
    for run in _runs(client):
        place = _fetch(client, run, has_checkpoint)
        if place is not None:
            return place
    raise UserError(
        f"{option} last: no run in this store has a checkpoint; begin one with: genreplay fit --config FILE"
    )


def _named(reference: str, client: MlflowClient, has_checkpoint: HasCheckpoint, option: str) -> Path:
    of_id = find_run(client, reference)
    runs = [of_id] if of_id is not None else [run for run in _runs(client) if run.info.run_name == reference]
    if not runs:
        raise UserError(f"{option} {reference}: there is no such run or folder; {_choices(client, has_checkpoint)}")
    if len(runs) > 1:
        ids = ", ".join(run.info.run_id for run in runs[:MAX_LISTED_RUNS])
        raise UserError(f"{option} {reference}: {len(runs)} runs have that name; give the id of one: {ids}")
    place = _fetch(client, runs[0], has_checkpoint)
    if place is None:
        raise UserError(f"{option} {reference}: this run has no checkpoint; {_choices(client, has_checkpoint)}")
    return place


def _choices(client: MlflowClient, has_checkpoint: HasCheckpoint) -> str:
    runs = [run for run in _runs(client) if has_checkpoint(checkpoint_dir(run))]
    if not runs:
        return "no run in this store has a checkpoint on this machine"
    names = ", ".join(f"{run.info.run_name} ({run.info.run_id})" for run in runs[:MAX_LISTED_RUNS])
    return f"the newest runs with a checkpoint are {names}"


def _runs(client: MlflowClient) -> Iterator[Run]:
    """Every run of the store, the newest first."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return search(client, experiments, order="attributes.start_time DESC")


def _fetch(client: MlflowClient, run: Run, has_checkpoint: HasCheckpoint) -> Path | None:
    """The run's checkpoint folder, downloaded where the artifacts are on a server; None where it has none."""
    place = checkpoint_dir(run)
    if not has_checkpoint(place) and local_path(run.info.artifact_uri) is None:
        if not client.list_artifacts(run.info.run_id, CHECKPOINTS):
            return None
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)  # a lock may be all that is left there
        Path(client.download_artifacts(run.info.run_id, CHECKPOINTS, str(place.parent))).rename(place)
    return place if has_checkpoint(place) else None
