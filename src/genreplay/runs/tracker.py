"""Write a training run to MLflow: its config, metrics, figures and status."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from math import isnan
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import yaml

from genreplay.common.errors import first_line
from genreplay.common.secrets import masked
from genreplay.config.schema import TrackingConfig
from genreplay.runs import checkpoint
from genreplay.runs.outbox import Outbox
from genreplay.runs.store import (
    CHECKPOINTS,
    checkpoint_dir,
    connect,
    experiment_id_of,
    find_run,
    local_path,
    log,
    store_errors,
    store_uri,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import Run


UNSENT = ".unsent"
"""Folder next to the checkpoint for artifacts that the store does not have yet."""
CLOCKS = ("speed/", "generator/seconds")
"""Names of metrics that time something begin with these: they differ where everything else repeats."""
MAX_PARAMS_PER_CALL = 100
PACKAGES = ("genreplay", "torch", "torchrl", "lightning", "mlflow", "eclipse-sumo", "sumo-rl", "gymnasium")


class Tracker:
    """One MLflow run; leaving the `with` block ends it.

    Everything is sent by a thread (see `Outbox`), so a store that goes away does not hold up training. What it did not
    take is part of the checkpoint (`state_dict`) or lies next to it, and is sent by a resume of the run at the latest.

    A resumed run logs again what it logged between its last checkpoint and its end. A value that the store has already
    is not written a second time; one that differs, as after a change of options, is.
    """

    def __init__(self, client: MlflowClient, run: Run):
        self._client = client
        self.run_id: str = run.info.run_id
        """MLflow's id of the run."""
        artifacts = local_path(run.info.artifact_uri)
        self._uploads_checkpoint = artifacts is None
        self.checkpoint_dir: Path = checkpoint_dir(run)
        """Folder for the run's checkpoint."""
        self._lock = checkpoint.hold(self.checkpoint_dir, self.run_id)
        self._stored = _stored(client, run)
        """Values that need not be written again, by metric and env step."""
        self._outbox = Outbox(client, self.run_id, self.checkpoint_dir / UNSENT)
        self._status = "FINISHED"

    @classmethod
    def start(cls, config: TrackingConfig, config_yaml: str, resume_run_id: str | None = None) -> Tracker:
        """Begin a run, or continue the one with the id `resume_run_id`.

        Logs the resolved config (flattened as params, whole as `config.yaml`), package versions, the git commit of the
        working folder and the command line, of a resume as `command.resumed`. Where the store has no run
        `resume_run_id`, a new one begins, tagged `resumed_from`.

        Raises:
            UserError: the store cannot be used, or another process trains this run.
        """
        uri = store_uri(config.uri)
        with store_errors(uri):
            client = connect(uri)
            tags = _environment_tags() | config.tags
            run = None if resume_run_id is None else find_run(client, resume_run_id)
            if run is None:
                experiment_id = experiment_id_of(client, uri, config.experiment)
                run = client.create_run(experiment_id, run_name=config.run_name)
                if resume_run_id is not None:
                    tags["resumed_from"] = resume_run_id
            tracker = cls(client, run)
            if run.info.run_id == resume_run_id:
                client.update_run(tracker.run_id, status="RUNNING")
                if "command" in run.data.tags:
                    tags["command.resumed"] = tags.pop("command")
            _describe(client, run, config_yaml, tags)
        return tracker

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._status = "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
        if not (self._outbox.close() and self._end()):
            log.warning(
                "run %s: its end is not in %s; once that answers, send it with: genreplay fit --resume %s",
                self.run_id,
                self._client.tracking_uri,
                self.run_id,
            )
        self._lock.release()

    def interrupted(self) -> None:
        """Note that the run was stopped before its end: its status will be KILLED."""
        self._status = "KILLED"

    def metrics(self, values: Mapping[str, float], env_step: int) -> None:
        """Log metrics at `env_step`, which never goes back; they are written within seconds."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._stored = {place: value for place, value in self._stored.items() if place[1] >= env_step}
        new = {name: float(value) for name, value in values.items() if not self._has(name, env_step, float(value))}
        self._stored |= {(name, env_step): value for name, value in new.items()}
        self._outbox.put([Metric(name, value, now, env_step) for name, value in new.items()])

    def _has(self, name: str, env_step: int, value: float) -> bool:
        stored = self._stored.get((name, env_step))
        return stored is not None and (name.startswith(CLOCKS) or stored == value or (isnan(stored) and isnan(value)))

    def figure(self, figure: Figure, name: str) -> None:
        """Log a figure; one with the same name is replaced."""
        with self._artifact(name) as path:
            figure.savefig(path, format=Path(name).suffix[1:])

    def text(self, text: str, name: str) -> None:
        """Log a text file; one with the same name is replaced."""
        with self._artifact(name) as path:
            path.write_text(text, encoding="utf-8")

    @contextmanager
    def _artifact(self, name: str) -> Iterator[Path]:
        try:
            with self._outbox.file(name) as path:
                yield path
        except OSError as error:
            log.warning("%s: could not be written (%s)", name, first_line(error))

    # Resuming --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The metrics that the store does not have yet."""
        return {
            "unsent": [[metric.key, metric.value, metric.timestamp, metric.step] for metric in self._outbox.unsent()]
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Send what an earlier part of the run could not."""
        from mlflow.entities import Metric

        unsent = [Metric(*values) for values in state["unsent"]]
        self._outbox.put([metric for metric in unsent if not self._has(metric.key, metric.step, metric.value)])

    def _end(self) -> bool:
        """Upload the checkpoint and set the status; whether the store took both."""
        from mlflow.exceptions import MlflowException

        try:
            if self._uploads_checkpoint and checkpoint.exists(self.checkpoint_dir):
                newest = checkpoint.newest(self.checkpoint_dir)
                self._client.log_artifacts(self.run_id, str(newest), f"{CHECKPOINTS}/{newest.name}")
            self._client.set_terminated(self.run_id, self._status)
        except (MlflowException, OSError) as error:
            log.warning("%s: takes nothing (%s)", self._client.tracking_uri, first_line(error))
            return False
        return True


def _stored(client: MlflowClient, run: Run) -> dict[tuple[str, int], float]:
    """Every value that the store has of a run, by metric and env step."""
    histories = (client.get_metric_history(run.info.run_id, name) for name in run.data.metrics)
    return {(point.key, point.step): point.value for history in histories for point in history}


def _describe(client: MlflowClient, run: Run, config_yaml: str, tags: Mapping[str, str]) -> None:
    """Log params, tags and the config. MLflow's params cannot change, so a resume logs changed ones as tags."""
    from mlflow.entities import Param, RunTag

    run_id, known = run.info.run_id, run.data.params
    params = flatten(yaml.safe_load(config_yaml))
    new = [Param(key, value) for key, value in params.items() if key not in known]
    changed = {f"resumed_with.{k}": v for k, v in params.items() if k in known and known[k] != v}
    for first in range(0, len(new), MAX_PARAMS_PER_CALL):
        client.log_batch(run_id, params=new[first : first + MAX_PARAMS_PER_CALL])
    client.log_batch(run_id, tags=[RunTag(k, masked(v)) for k, v in {**tags, **changed}.items()])
    client.log_text(run_id, config_yaml, "config.yaml")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted keys with their values as text, for MLflow's params."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = "null" if value is None else str(value)
    return flat


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
    """Output of a git command in the working folder; None where it is no repository or git is missing."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
