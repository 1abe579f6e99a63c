"""The MLflow store: connecting to it, its experiments, its runs and where their files are.

Only this module and `tracker` import MLflow, and only once a run or a look-up needs it.

The default store is `sqlite:///mlruns/mlflow.db`, with artifacts in `mlruns/artifacts`. A run's checkpoint is kept
among its artifacts (`checkpoints/`, so that MLflow's UI shows it) where those lie on this machine; with artifacts on a
server it is kept in `mlruns/checkpoints/<run id>` and uploaded when the run ends.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from genreplay.common.errors import UserError, first_line
from genreplay.runs.moved import ARTIFACTS, follow, local_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# MLflow reads these when it is imported. By default it reports its use to its makers, and retries seven times, which
# takes minutes where a server's address is wrong.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")

log = logging.getLogger("genreplay")

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
SQLITE = "sqlite:///"
LOCAL_FOLDER = Path("mlruns")
CHECKPOINTS = "checkpoints"


def store_uri(uri: str | None) -> str:
    """`tracking.uri`, else MLFLOW_TRACKING_URI, else the default store."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def local_root(uri: str) -> Path | None:
    """Folder of a SQLite store, where its artifacts lie too; None for a server."""
    return _database(uri).parent if uri.startswith(SQLITE) else None


def is_new(uri: str) -> bool:
    """Whether the store is a SQLite file that does not exist yet."""
    return uri.startswith(SQLITE) and not _database(uri).is_file()


def store_of(checkpoint: Path, uri: str | None) -> str | None:
    """`tracking.uri` of a checkpoint's config, where a store is there; else that of the store that the folder lies in.

    So a run that is named by its folder is continued in its own store wherever the two were moved. `uri` itself where
    there is neither.
    """
    named = store_uri(uri)
    if is_new(named):
        database = _database(named).name
        for folder in checkpoint.resolve().parents:
            if folder.name == ARTIFACTS and (folder.parent / database).is_file():
                return f"{SQLITE}{folder.parent / database}"
    return uri


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE))


def connect(uri: str) -> MlflowClient:
    """A client of the store; a SQLite file is created where it does not exist, and one that was moved works on."""
    root = local_root(uri)
    if root is not None:
        root.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    # It logs each table that it creates in a new store; alembic's own messages stay below the root's level.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    with _alone(uri):
        if root is not None and not is_new(uri):
            follow(_database(uri))
        # MLflow remembers a store by its URI, so a relative one would mean the folder of its first use.
        return MlflowClient(uri if root is None else f"{SQLITE}{_database(uri).resolve()}")


def _alone(uri: str) -> AbstractContextManager[object]:
    """A lock: runs that start at the same time must not create the same tables or experiment twice."""
    root = local_root(uri)
    return nullcontext() if root is None else FileLock(root / ".mlflow.lock")


def keep(uri: str, run_id: str, folder: Path, name: str) -> bool:
    """Copy the files of `folder` to a run's artifacts, into the folder `name`; False where there is no such run."""
    if is_new(uri):
        return False
    with store_errors(uri):
        client = connect(uri)
        run = find_run(client, run_id)
        if run is not None:
            client.log_artifacts(run.info.run_id, str(folder), name)
    return run is not None


def artifacts_on_disk(uri: str, run_id: str) -> Path | None:
    """Folder of a run's artifacts on this machine; None where there is no such run, or a server keeps them."""
    if is_new(uri):
        return None
    with store_errors(uri):
        run = find_run(connect(uri), run_id)
    return None if run is None else local_path(run.info.artifact_uri)


def find_run(client: MlflowClient, run_id: str) -> Run | None:
    """The run with this id; None where there is none or it was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def search(
    client: MlflowClient, experiment_ids: list[str], which: str = "", order: str = "attributes.start_time ASC"
) -> Iterator[Run]:
    """Every run of some experiments that MLflow's filter `which` lets through, the oldest first."""
    token: str | None = None
    while experiment_ids and token != "":
        page = client.search_runs(experiment_ids, which, order_by=[order], max_results=100, page_token=token)
        yield from page
        token = page.token or ""


def checkpoint_dir(run: Run) -> Path:
    """Folder of the run's checkpoint on this machine."""
    artifacts = local_path(run.info.artifact_uri)
    return LOCAL_FOLDER / CHECKPOINTS / run.info.run_id if artifacts is None else artifacts / CHECKPOINTS


def experiment_id_of(client: MlflowClient, uri: str, name: str) -> str:
    """Id of the experiment `name`, which is created where it does not exist; UserError where it was deleted."""
    with _alone(uri):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            root = local_root(uri)
            location = None if root is None else (root / ARTIFACTS).resolve().as_uri()
            return client.create_experiment(name, artifact_location=location)
    if experiment.lifecycle_stage != "active":
        raise UserError(f"tracking.experiment: {name!r} was deleted in MLflow; restore it there, or name another")
    return experiment.experiment_id


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turns MLflow's errors into a UserError of one line that names the store."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise UserError(
            f"tracking.uri: the store {uri} cannot be used ({first_line(error)}); set tracking.uri or "
            "MLFLOW_TRACKING_URI to one that answers"
        ) from error
