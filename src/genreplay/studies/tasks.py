"""A cell as a process: its command, what it asks for, and how it takes up its run."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from genreplay.common.errors import UserError
from genreplay.common.secrets import masked
from genreplay.config.schema import ExperimentConfig
from genreplay.runs import cells, find
from genreplay.studies.launchers.base import Task
from genreplay.studies.progress import runs_of
from genreplay.studies.study import Cell, Study


def task_of(study: Study, cell: Cell) -> Task:
    """The process that begins, continues or skips a cell, whichever is due when it starts."""
    resources = study.config.launcher
    return Task(
        f"{study.name}-{cell.arm}-{cell.seed}",
        [sys.executable, "-m", "genreplay", "study", study.path, *study.overrides, "--cell", str(cell)],
        Path.cwd(),
        study.log(cell).absolute(),
        # A worker elsewhere has another environment; credentials stay out of the task, which SLURM keeps on the disk.
        {} if masked(study.uri) != study.uri else {"MLFLOW_TRACKING_URI": study.uri},
        resources.cores or cores_of(study.experiments[cell]),
        resources.memory_gb,
    )


def cores_of(experiment: ExperimentConfig) -> int:
    """Cores that a run can keep busy: its ranks' threads, or its simulators while those wait for them."""
    training = experiment.fabric.devices * (experiment.fabric.num_threads or 1)
    collecting = experiment.loop.num_workers
    if experiment.loop.overlap_collection:
        training += collecting
    return max(training, collecting, experiment.evaluation.num_workers)


@contextmanager
def alone(study: Study) -> Iterator[None]:
    """Hold a study; UserError where another command runs it."""
    study.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(study.folder / ".study.lock", timeout=0):
            yield
    except Timeout:
        raise UserError(
            f"study {study.name}: another command runs it already; wait for its end, or stop it with Ctrl-C there"
        ) from None


@contextmanager
def claimed(study: Study, cell: Cell) -> Iterator[None]:
    """Hold a cell; waits for another process of it, such as one of a lost launcher that is still saving."""
    study.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(study.folder / f".{cell.arm}-{cell.seed}.lock"):
        yield


def is_finished(study: Study, cell: Cell) -> bool:
    """Whether the store has a finished run of the cell."""
    run = runs_of(study).get(cell)
    return run is not None and run.status == "FINISHED"


def checkpoint_of(study: Study, cell: Cell, has_checkpoint: find.HasCheckpoint) -> Path | None:
    """Folder of the checkpoint that a claimed cell goes on from; None where it begins.

    A run without a checkpoint is discarded, so that a cell has one run.
    """
    run = runs_of(study).get(cell)
    if run is None:
        return None
    place = find.checkpoint_of(study.uri, run.run_id, has_checkpoint)
    if place is None:
        cells.discard(study.uri, run.run_id)
    return place


def end_with(parent: int) -> None:
    """Have this process save and end, by SIGTERM, once its parent process is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
