"""The MLflow store: connecting to it, its experiments, its runs and where their files are.

Only this module and `tracker` import MLflow, and only once a run or a look-up needs it.

The default store is `sqlite:///mlruns/mlflow.db`, with artifacts in `mlruns/artifacts`. A run's checkpoint is kept
among its artifacts (`checkpoints/`, so that MLflow's UI shows it) where those lie on this machine; with artifacts on a
server it is kept in `mlruns/checkpoints/<run id>` and uploaded when the run ends.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from genreplay.common.errors import UserError, first_line
from genreplay.common.scratch import Scratch
from genreplay.common.secrets import MASK, masked
from genreplay.runs.moved import ARTIFACTS, follow, local_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# MLflow reads these when it is imported. By default it reports its use to its makers, retries seven times, which takes
# minutes where a server's address is wrong, waits two minutes for each answer, and draws from Python's random stream
# to wait a little longer, where a run resumed could no longer repeat.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")

log = logging.getLogger("genreplay")

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
SQLITE = "sqlite:///"
LOCAL_FOLDER = Path("mlruns")
CHECKPOINTS = "checkpoints"


def store_uri(uri: str | None) -> str:
    """`tracking.uri`, else MLFLOW_TRACKING_URI, else the default store.

    A stored config names its store without credentials. They come from MLFLOW_TRACKING_URI where that is the same
    store, else from where MLflow takes them itself, such as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if uri and MASK in uri:
        return named if named and masked(named) == uri else uri.replace(f"{MASK}@", "")
    return uri or named or DEFAULT_URI


def local_root(uri: str) -> Path | None:
    """Folder of a SQLite store, where its artifacts lie too; None for a server."""
    return _database(uri).parent if uri.startswith(SQLITE) else None


def is_new(uri: str) -> bool:
    """Whether the store is a SQLite file that does not exist yet."""
    return uri.startswith(SQLITE) and not _database(uri).is_file()


def is_writable(uri: str) -> bool:
    """Whether the store is there and results can be added to it: not where its disk or its folder is read-only."""
    return not is_new(uri) and not _is_read_only(uri)


def _is_read_only(uri: str) -> bool:
    places = (_database(uri), _database(uri).parent)
    return uri.startswith(SQLITE) and places[0].is_file() and not all(os.access(place, os.W_OK) for place in places)


def store_of(checkpoint: Path, uri: str | None) -> str | None:
    """The SQLite store that a checkpoint's folder lies in; where it lies in none, `tracking.uri` of its config.

    So a run that is named by its folder is continued in its own store wherever the two were moved or copied, and never
    in the one that they were copied from.
    """
    named = store_uri(uri)
    if named.startswith(SQLITE):
        database = _database(named).name
        for folder in checkpoint.resolve().parents:
            if folder.name == ARTIFACTS and (folder.parent / database).is_file():
                return f"{SQLITE}{folder.parent / database}"
    return uri


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE))


def connect(uri: str) -> MlflowClient:
    """A client of the store; a SQLite file is created where it does not exist, and one that was moved works on.

    MLflow writes to every database that it opens, so one that is read-only is read from a copy.
    """
    from mlflow import MlflowClient

    # It logs each table that it creates in a new store; alembic's own messages stay below the root's level. A server
    # that is away gets one line of genreplay's instead of one for each try.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    if masked(uri) != uri:
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # it prints the URI with its credentials
    root = local_root(uri)
    if root is None:
        return MlflowClient(uri)
    if _is_read_only(uri):
        return _client(_copy(_database(uri).resolve()), root)
    root.mkdir(parents=True, exist_ok=True)
    with _alone(uri):
        return _client(_database(uri), root)


@cache
def _copy(database: Path) -> Path:
    """A copy that lasts as long as this process."""
    return shutil.copyfile(database, _copies().folder / f"{sha256(str(database).encode()).hexdigest()}.db")


@cache
def _copies() -> Scratch:
    return Scratch("store")


def _client(database: Path, root: Path) -> MlflowClient:
    """Of a SQLite file of the store in the folder `root`."""
    from mlflow import MlflowClient

    if database.is_file():
        follow(database, root)
    # MLflow remembers a store by its URI, so a relative one would mean the folder of its first use.
    return MlflowClient(f"{SQLITE}{database.resolve()}")


def _alone(uri: str) -> AbstractContextManager[object]:
    """A lock: runs that start at the same time must not create the same tables or experiment twice."""
    root = local_root(uri)
    return nullcontext() if root is None else FileLock(root / ".mlflow.lock")


def keep(uri: str, run_id: str, folder: Path, name: str) -> bool:
    """Copy the files of `folder` to a run's artifacts, into the folder `name`.

    False where there is no such run, or the store is read-only.
    """
    if not is_writable(uri):
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
        ) from None  # MLflow's message may have the URI with its credentials
