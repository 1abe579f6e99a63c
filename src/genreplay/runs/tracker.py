"""Write a training run to MLflow: its config, metrics, figures and status."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import yaml

from genreplay.common.errors import first_line
from genreplay.common.files import whole
from genreplay.config.schema import TrackingConfig
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
    from mlflow.entities import Metric, Run


FLUSH_SECONDS = 5.0
"""Longest that a metric waits; one call to MLflow costs about 5 ms whatever it carries."""
SILENT_SECONDS = 60.0
"""How long a store that did not answer is left alone."""
UNSENT = "unsent_metrics.json"
MAX_METRICS_PER_CALL = 1000
MAX_PARAMS_PER_CALL = 100
PACKAGES = ("genreplay", "torch", "torchrl", "lightning", "mlflow", "eclipse-sumo", "sumo-rl", "gymnasium")


class Tracker:
    """One MLflow run; leaving the `with` block ends it.

    Metrics are collected and written in batches. Where the store stops answering, a warning is logged and training
    continues. What could not be written is kept and written once the store answers again. Where it does not before the
    run ends, the metrics are kept next to the checkpoint, and a resume of the run writes them.
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
        self._held: dict[str, Callable[[], object]] = {}
        self._silent_until = float("-inf")
        self._last_flush = time.monotonic()
        self._status = "FINISHED"

    @classmethod
    def start(cls, config: TrackingConfig, config_yaml: str, resume_run_id: str | None = None) -> Tracker:
        """Begin a run, or continue the one with the id `resume_run_id`.

        Logs the resolved config (flattened as params, whole as `config.yaml`), package versions, the git commit of the
        working folder and the command line, of a resume as `command.resumed`. Where the store has no run
        `resume_run_id`, a new one begins, tagged `resumed_from`.

        Raises:
            UserError: the store cannot be used.
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
            else:
                client.update_run(run.info.run_id, status="RUNNING")
                if "command" in run.data.tags:
                    tags["command.resumed"] = tags.pop("command")
            tracker = cls(client, run)
            tracker._describe(config_yaml, tags, run.data.params)
        tracker._take_up_unsent()
        return tracker

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._status = "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
        self._silent_until = float("-inf")
        self.flush()
        self._send("the end of the run", self._end)
        if self._metrics:
            self._keep_unsent()

    def interrupted(self) -> None:
        """Note that the run was stopped before its end: its status will be KILLED."""
        self._status = "KILLED"

    def metrics(self, values: Mapping[str, float], env_step: int) -> None:
        """Log metrics at `env_step`; they are written within seconds."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._metrics += [Metric(name, float(value), now, env_step) for name, value in values.items()]
        if len(self._metrics) >= MAX_METRICS_PER_CALL or time.monotonic() - self._last_flush > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the collected metrics now."""
        self._last_flush = time.monotonic()
        while self._metrics:
            batch = self._metrics[:MAX_METRICS_PER_CALL]
            if not self._send(f"{len(self._metrics)} metric values", partial(self._log_metrics, batch)):
                return
            del self._metrics[: len(batch)]
        for name in list(self._held):
            if not self._send(name, self._held[name]):
                return
            del self._held[name]

    def figure(self, figure: Figure, name: str) -> None:
        """Log a figure; one with the same name is replaced."""
        self._send_or_hold(name, lambda: self._client.log_figure(self.run_id, figure, name))

    def text(self, text: str, name: str) -> None:
        """Log a text file; one with the same name is replaced."""
        self._send_or_hold(name, lambda: self._client.log_text(self.run_id, text, name))

    def _send_or_hold(self, name: str, write: Callable[[], object]) -> None:
        self._held.pop(name, None)
        if not self._send(name, write):
            self._held[name] = write

    def _send(self, what: str, write: Callable[[], object]) -> bool:
        """Write to the store, unless it failed within SILENT_SECONDS; False where this was not written.

        Each try may take half a minute, so a store that is away is not asked again for every value.
        """
        from mlflow.exceptions import MlflowException

        if time.monotonic() < self._silent_until:
            return False
        try:
            write()
        except (MlflowException, OSError) as error:
            log.warning("%s: could not be written to %s (%s)", what, self._client.tracking_uri, first_line(error))
            self._silent_until = time.monotonic() + SILENT_SECONDS
            return False
        return True

    def _log_metrics(self, batch: list[Metric]) -> None:
        self._client.log_batch(self.run_id, metrics=batch)

    def _end(self) -> None:
        if self._uploads_checkpoint and self.checkpoint_dir.is_dir():
            self._client.log_artifacts(self.run_id, str(self.checkpoint_dir), CHECKPOINTS)
        self._client.set_terminated(self.run_id, self._status)

    def _keep_unsent(self) -> None:
        """Keep the metrics that the store did not take for a resume of the run."""
        values = [[metric.key, metric.value, metric.timestamp, metric.step] for metric in self._metrics]
        with whole(self.checkpoint_dir / UNSENT) as part:
            part.write_text(json.dumps(values), encoding="utf-8")

    def _take_up_unsent(self) -> None:
        """Write what an earlier part of the run could not."""
        from mlflow.entities import Metric

        kept = self.checkpoint_dir / UNSENT
        if kept.is_file():
            self._metrics = [Metric(*values) for values in json.loads(kept.read_text(encoding="utf-8"))]
            self.flush()
            if not self._metrics:
                kept.unlink()

    def _describe(self, config_yaml: str, tags: Mapping[str, str], known: Mapping[str, str]) -> None:
        """Log params, tags and the config. MLflow's params cannot change, so a resume logs changed ones as tags."""
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
