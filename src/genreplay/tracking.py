"""Experiment tracking in MLflow: the only module that imports it, and only once a run or a look-up needs it.

The default store is `sqlite:///mlruns/mlflow.db`, with artifacts in `mlruns/artifacts`. A run's checkpoint is kept
among its artifacts (`checkpoints/`, so that MLflow's UI shows it) where those lie on this machine; with artifacts on a
server it is kept in `mlruns/checkpoints/<run id>` and uploaded when the run ends.
"""

from __future__ import annotations

import logging
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import yaml
from filelock import FileLock

from genreplay.common.errors import UserError
from genreplay.config.schema import TrackingConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

# MLflow reads these when it is imported. It reports its use to its makers unless told otherwise, and an experiment is
# nobody's business; its seven retries take minutes to say that a server's address is wrong.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")

log = logging.getLogger("genreplay")

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
SQLITE = "sqlite:///"
LOCAL_FOLDER = Path("mlruns")
CHECKPOINTS = "checkpoints"
FLUSH_SECONDS = 5.0
"""Longest that a metric waits; one call to MLflow costs about 5 ms whatever it carries."""
MAX_METRICS_PER_CALL = 1000
MAX_PARAMS_PER_CALL = 100
PACKAGES = ("genreplay", "torch", "torchrl", "lightning", "mlflow", "eclipse-sumo", "sumo-rl", "gymnasium")


def store_uri(uri: str | None) -> str:
    """`tracking.uri`, else MLFLOW_TRACKING_URI, else the default store."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def local_root(uri: str) -> Path | None:
    """Folder of a SQLite store, where its artifacts lie too; None for a server."""
    return Path(uri.removeprefix(SQLITE)).parent if uri.startswith(SQLITE) else None


class Tracker:
    """One MLflow run, from its start to its end; leaving the `with` block ends it.

    Metrics are gathered and written a batch at a time. Where the store stops answering they are kept and tried again,
    with a warning, and training goes on.
    """

    def __init__(self, client: MlflowClient, run: Run):
        self._client = client
        self.run_id: str = run.info.run_id
        """MLflow's id of the run."""
        artifacts = local_path(run.info.artifact_uri)
        self._uploads_checkpoint = artifacts is None
        self.checkpoint_dir: Path = checkpoint_dir(run)
        """Folder for the run's checkpoint."""
        self._metrics: list[Metric] = []
        self._last_flush = time.monotonic()
        self._status = "FINISHED"

    @classmethod
    def start(cls, config: TrackingConfig, config_yaml: str, resume_run_id: str | None = None) -> Tracker:
        """Begin a run, or go on with the one that `resume_run_id` names.

        Logs the resolved config (flattened as params, whole as `config.yaml`), the versions of what matters, the git
        commit of the working folder and the command line. A run that this store does not know is begun anew, tagged
        `resumed_from`.

        Raises:
            UserError: the store cannot be used.
        """
        uri = store_uri(config.uri)
        with store_errors(uri):
            client = connect(uri)
            tags = _environment_tags()
            run = None if resume_run_id is None else find_run(client, resume_run_id)
            if run is None:
                experiment_id = _experiment_id(client, uri, config.experiment)
                run = client.create_run(experiment_id, run_name=config.run_name)
                if resume_run_id is not None:
                    tags["resumed_from"] = resume_run_id
            else:
                client.update_run(run.info.run_id, status="RUNNING")
            tracker = cls(client, run)
            tracker._describe(config_yaml, tags, run.data.params)
        return tracker

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._status = "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
        self.flush()
        with self._reporting("the end of the run"):
            if self._uploads_checkpoint and self.checkpoint_dir.is_dir():
                self._client.log_artifacts(self.run_id, str(self.checkpoint_dir), CHECKPOINTS)
            self._client.set_terminated(self.run_id, self._status)

    def interrupted(self) -> None:
        """The run was stopped before its end: its status will be KILLED."""
        self._status = "KILLED"

    def metrics(self, values: Mapping[str, float], env_step: int) -> None:
        """Take down metrics at `env_step`; they are written within seconds."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._metrics += [Metric(name, float(value), now, env_step) for name, value in values.items()]
        if len(self._metrics) >= MAX_METRICS_PER_CALL or time.monotonic() - self._last_flush > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the gathered metrics now."""
        self._last_flush = time.monotonic()
        while self._metrics:
            batch = self._metrics[:MAX_METRICS_PER_CALL]
            with self._reporting(f"{len(self._metrics)} metric values"):
                self._client.log_batch(self.run_id, metrics=batch)
                del self._metrics[: len(batch)]
                continue
            return

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a file with the run, in `folder` among its artifacts."""
        with self._reporting(path.name):
            self._client.log_artifact(self.run_id, str(path), folder)

    def figure(self, figure: Figure, name: str) -> None:
        """Keep a figure with the run; one of the same name is replaced."""
        with self._reporting(name):
            self._client.log_figure(self.run_id, figure, name)

    def text(self, text: str, name: str) -> None:
        """Keep a text file with the run; one of the same name is replaced."""
        with self._reporting(name):
            self._client.log_text(self.run_id, text, name)

    @contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        """A store that fails in the middle of a run costs what could not be written, told in a warning, not the run."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            log.warning("%s: could not be written to %s (%s)", what, self._client.tracking_uri, _first_line(error))

    def _describe(self, config_yaml: str, tags: Mapping[str, str], known: Mapping[str, str]) -> None:
        """Params, tags and the config. MLflow's params never change, so what a resume changes becomes a tag."""
        from mlflow.entities import Param, RunTag

        params = flatten(yaml.safe_load(config_yaml))
        new = [Param(key, value) for key, value in params.items() if key not in known]
        changed = {f"resumed_with.{k}": v for k, v in params.items() if k in known and known[k] != v}
        for first in range(0, len(new), MAX_PARAMS_PER_CALL):
            self._client.log_batch(self.run_id, params=new[first : first + MAX_PARAMS_PER_CALL])
        self._client.log_batch(self.run_id, tags=[RunTag(k, v) for k, v in {**tags, **changed}.items()])
        self._client.log_text(self.run_id, config_yaml, "config.yaml")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted keys with their values as text, for MLflow's params."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = "null" if value is None else str(value)
    return flat


# The store -----------------------------------------------------------------------------------------------------------


def connect(uri: str) -> MlflowClient:
    """A client of the store, which is made where it is a SQLite file that is not there yet."""
    root = local_root(uri)
    if root is not None:
        root.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    # It tells of the tables it makes in a new store; alembic's own messages stay below the root's level.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    with _alone(uri):
        return MlflowClient(uri)


def _alone(uri: str) -> AbstractContextManager[object]:
    """Runs that start side by side must not make the same tables or the same experiment twice."""
    root = local_root(uri)
    return nullcontext() if root is None else FileLock(root / ".mlflow.lock")


def keep(uri: str, run_id: str, folder: Path, name: str) -> bool:
    """Add the files of `folder` to a run's artifacts, in the folder `name`; False where the store knows no such run."""
    root = local_root(uri)
    if root is not None and not Path(uri.removeprefix(SQLITE)).is_file():
        return False
    with store_errors(uri):
        client = connect(uri)
        run = find_run(client, run_id)
        if run is not None:
            client.log_artifacts(run.info.run_id, str(folder), name)
    return run is not None


def find_run(client: MlflowClient, run_id: str) -> Run | None:
    """The run of that id; None where the store has none, or it was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def checkpoint_dir(run: Run) -> Path:
    """Where the run's checkpoint is kept on this machine."""
    artifacts = local_path(run.info.artifact_uri)
    return LOCAL_FOLDER / CHECKPOINTS / run.info.run_id if artifacts is None else artifacts / CHECKPOINTS


def local_path(uri: str) -> Path | None:
    """The folder that a file URI or a plain path means; None for anything on a server."""
    parts = urlparse(uri)
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None


def _experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    with _alone(uri):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            root = local_root(uri)
            location = None if root is None else (root / "artifacts").resolve().as_uri()
            return client.create_experiment(name, artifact_location=location)
    if experiment.lifecycle_stage != "active":
        raise UserError(f"tracking.experiment: {name!r} was deleted in MLflow; restore it there, or name another")
    return experiment.experiment_id


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turns MLflow's own errors into one line that names the store."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise UserError(
            f"tracking.uri: the store {uri} cannot be used ({_first_line(error)}); set tracking.uri or "
            "MLFLOW_TRACKING_URI to one that answers"
        ) from error


def _first_line(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return first if len(first) <= 200 else f"{first[:200]}..."


# What a result depends on --------------------------------------------------------------------------------------------


def _environment_tags() -> dict[str, str]:
    tags = {f"version.{name}": _version(name) for name in PACKAGES}
    tags["version.python"] = platform.python_version()
    tags["mlflow.source.name"] = tags["command"] = shlex.join(sys.argv)
    commit = _git("rev-parse", "HEAD")
    if commit is not None:
        tags["mlflow.source.git.commit"] = commit
        tags["git.dirty"] = str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()
    return tags


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str | None:
    """What git says of the working folder; None where it is no repository, or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
