"""Cells as processes of this machine, each on cores of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from genreplay.studies.config import LocalConfig
from genreplay.studies.launchers.base import RUNNING, STOPPED, WAITING, Launcher, State, Task, start


@dataclass
class LocalJob:
    """One task and its process, once it has one."""

    task: Task
    process: subprocess.Popen[bytes] | None = None
    cores: list[int] = field(default_factory=list)
    """Those that are its own; empty where cells share cores because the user asked for it."""
    cancelled: bool = False


class LocalLauncher(Launcher):
    """Runs as many tasks at once as cores and memory hold, the others as soon as one ends.

    Each task is bound to its cores where the system can (Linux), so its simulators stay there too.
    """

    def __init__(self, config: LocalConfig, folder: Path):
        self.config = config
        self._free = available_cores()
        self._num_cores = len(self._free)
        self._memory_gb = available_memory_gb()
        self._jobs: list[LocalJob] = []

    def at_once(self, tasks: Sequence[Task]) -> int:
        """As many as cores and memory hold, or as the user asks for."""
        if self.config.cells is not None:
            return min(self.config.cells, len(tasks))
        cores, memory, number = self._num_cores, self._memory_gb, 0
        for task in tasks:
            cores, memory = cores - task.cores, memory - task.memory_gb
            if number > 0 and (cores < 0 or memory < 0):
                break
            number += 1
        return number

    def submit(self, tasks: Sequence[Task]) -> list[LocalJob]:
        """Queue tasks, and start those that fit."""
        jobs = [LocalJob(task) for task in tasks]
        self._jobs += jobs
        self._start_what_fits()
        return jobs

    def poll(self, job: LocalJob) -> State:
        """How a job stands; what ended makes room for the next ones."""
        self._start_what_fits()
        if job.process is None:
            return STOPPED if job.cancelled else WAITING
        code = job.process.poll()
        return RUNNING if code is None else State(False, code)

    def cancel(self, job: LocalJob) -> None:
        """SIGTERM: a run saves and ends."""
        job.cancelled = True
        if job.process is not None and job.process.poll() is None:
            job.process.terminate()

    def _start_what_fits(self) -> None:
        for job in [job for job in self._jobs if job.process is not None and job.process.poll() is not None]:
            self._free = sorted(self._free + job.cores)
            self._jobs.remove(job)
        for job in self._jobs:
            if job.process is None and not job.cancelled:
                if not self._fits(job.task):
                    return
                self._start(job)

    def _fits(self, task: Task) -> bool:
        running = [job.task for job in self._jobs if job.process is not None]
        if self.config.cells is not None:
            return len(running) < self.config.cells
        memory = sum(other.memory_gb for other in running) + task.memory_gb
        return not running or (len(self._free) >= task.cores and memory <= self._memory_gb)

    def _start(self, job: LocalJob) -> None:
        if len(self._free) >= job.task.cores and not self._shares(job.task):
            job.cores, self._free = self._free[: job.task.cores], self._free[job.task.cores :]
        job.process = start(job.task)
        if job.cores and hasattr(os, "sched_setaffinity"):
            with suppress(ProcessLookupError):  # it may have ended already
                os.sched_setaffinity(job.process.pid, job.cores)

    def _shares(self, task: Task) -> bool:
        """Whether the user asked for more cells than there are cores."""
        return self.config.cells is not None and self.config.cells * task.cores > self._num_cores


def available_cores() -> list[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def available_memory_gb() -> float:
    """Memory that nobody uses, in GB; all of it where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / 1e9
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (OSError, ValueError):
        return float("inf")
