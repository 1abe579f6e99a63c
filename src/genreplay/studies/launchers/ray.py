"""Cells as tasks of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genreplay.common.errors import UserError, first_line
from genreplay.studies.config import RayConfig
from genreplay.studies.launchers.base import STOPPED, WAITING, Launcher, Queued, State, Task, run_to_end

FAILED = State(False, 1)


class RayLauncher(Launcher):
    """Gives every task to Ray, which starts them as cores, GPUs and memory become free, elsewhere where a node is lost.

    Tasks belong to this command: Ray ends them where it is lost.
    """

    def __init__(self, config: RayConfig, folder: Path):
        self.config = config
        self._ray: Any = None
        self._jobs: list[Queued] = []

    def at_once(self, tasks: Sequence[Task]) -> int:
        """What the user asks for; the cluster's own room is not known here."""
        return min(self.config.cells or len(tasks), len(tasks))

    def submit(self, tasks: Sequence[Task]) -> list[Queued]:
        """Hand the tasks to Ray, no more at a time than the user asks for.

        Raises:
            UserError: Ray is not installed, or there is no cluster at the address.
        """
        self._connect()
        jobs = [Queued(task, None) for task in tasks]
        self._jobs += jobs
        self._hand_over()
        return jobs

    def poll(self, job: Queued) -> State:
        """How a task stands. One whose node was lost has not ended: Ray starts it again."""
        self._hand_over()
        if job.job is None:
            return STOPPED if job.cancelled else WAITING
        done, _ = self._ray.wait([job.job], timeout=0)
        if not done:
            return job.state()
        if job in self._jobs:
            self._jobs.remove(job)
        if job.cancelled:
            return STOPPED
        try:
            return State(False, self._ray.get(job.job))
        except self._ray.exceptions.RayError:
            return FAILED

    def _hand_over(self) -> None:
        waiting = [job for job in self._jobs if job.job is None and not job.cancelled]
        room = len(waiting) if self.config.cells is None else self.config.cells - (len(self._jobs) - len(waiting))
        for job in waiting[: max(room, 0)]:
            wanted = {
                "num_cpus": job.task.cores,
                "num_gpus": self.config.gpus,
                "memory": int(job.task.memory_gb * 1e9),
                "max_retries": -1,
                "name": job.task.name,
            }
            job.job = self._ray.remote(run_to_end).options(**wanted).remote(job.task)

    def cancel(self, job: Queued) -> None:
        """Interrupt a task: its cell saves and ends."""
        job.cancelled = True
        if job.job is not None:
            self._ray.cancel(job.job)

    def close(self) -> None:
        """Leave the cluster."""
        if self._ray is not None:
            self._ray.shutdown()

    def _connect(self) -> None:
        if self._ray is not None:
            return
        ray = _ray()
        try:
            ray.init(self.config.address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(
                f"launcher.address: there is no Ray cluster at {self.config.address} ({first_line(error)}); start one "
                "with: ray start --head"
            ) from None
        self._ray = ray


def _ray() -> Any:
    # It reports its use to its makers unless this is set before it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError("launcher ray: needs the package ray; install it with: pip install 'genreplay[ray]'") from None
    return ray
