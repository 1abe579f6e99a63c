"""What a launcher is: it starts tasks, reports on them and ends them."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

PARENT = "--parent"
"""Option of a cell's command: it saves and ends when this process is gone."""


class Task(NamedTuple):
    """One process to run: a command that can be started again after any end, and then goes on."""

    name: str
    command: list[str]
    folder: Path
    """Its working folder."""
    log: Path
    """What it prints is appended to this file."""
    variables: dict[str, str]
    """Added to its environment."""
    cores: int
    memory_gb: float


class State(NamedTuple):
    """How a job stands."""

    running: bool
    code: int | None
    """Exit status of its process once it has ended: 0 done, 130 stopped and saved, anything else a failure."""


WAITING, RUNNING, STOPPED = State(False, None), State(True, None), State(False, 130)
STARTED = "started on "
"""Begins the first line of each try in a log."""


class Launcher(ABC):
    """Starts tasks somewhere. Built with its section of the study file and the study's folder."""

    @abstractmethod
    def __init__(self, config: Any, folder: Path): ...

    @abstractmethod
    def at_once(self, tasks: Sequence[Task]) -> int:
        """How many of these would run at the same time, as far as this machine can tell."""

    @abstractmethod
    def submit(self, tasks: Sequence[Task]) -> list[Any]:
        """A job for each task. They start as soon as there is room, in this order."""

    @abstractmethod
    def poll(self, job: Any) -> State:
        """How a job stands now. Called every second or so."""

    @abstractmethod
    def cancel(self, job: Any) -> None:
        """Have a job save and end, or not start at all; returns at once."""

    def close(self) -> None:
        """Nothing runs any more."""
        return


def environment(cores: int) -> dict[str, str]:
    """Variables of a process that may use this many cores."""
    return {name: str(cores) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def start(task: Task) -> subprocess.Popen[bytes]:
    """Start a task as a child of this process, in a session of its own, so that Ctrl-C reaches this process only."""
    task.log.parent.mkdir(parents=True, exist_ok=True)
    with task.log.open("ab") as log:
        log.write(f"{STARTED}{socket.gethostname()} by process {os.getpid()}\n".encode())
        log.flush()
        return subprocess.Popen(
            [*task.command, PARENT, str(os.getpid())],
            cwd=task.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | environment(task.cores) | task.variables,
            start_new_session=True,
        )


def run_to_end(task: Task, on_start: Callable[[subprocess.Popen[bytes]], None] = lambda process: None) -> int:
    """What a cluster's worker does: run a task as a child; its exit status. An interrupt ends the child first."""
    process = start(task)
    on_start(process)
    try:
        while process.poll() is None:
            time.sleep(0.2)
    except KeyboardInterrupt:
        end(process)
        return 130
    return process.returncode


def end(process: subprocess.Popen[bytes], grace_seconds: float = 60) -> None:
    """Have a child save and end, and wait for it. Polls, as it may run in a signal handler amid another wait."""
    process.terminate()
    for _ in range(int(grace_seconds / 0.1)):
        if process.poll() is not None:
            return
        time.sleep(0.1)


class Queued:
    """A task that waits in a cluster's queue; its log tells when it has started, as all machines share the folder."""

    def __init__(self, task: Task, job: Any):
        self.task, self.job = task, job
        self.cancelled = False
        self._before = self._starts()

    def state(self) -> State:
        """Waiting or running, as long as it has not ended."""
        return RUNNING if self._starts() > self._before else WAITING

    def _starts(self) -> int:
        try:
            return self.task.log.read_text(encoding="utf-8", errors="replace").count(STARTED)
        except OSError:
            return 0
