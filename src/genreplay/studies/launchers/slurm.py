"""Cells as jobs of a SLURM cluster, by submitit."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genreplay.common.errors import UserError
from genreplay.studies.config import SlurmConfig
from genreplay.studies.launchers.base import STOPPED, Launcher, Queued, State, Task, end, run_to_end

SAVE_SECONDS = 120
"""How long before the time limit a job is warned."""
FAILED = State(False, 1)


class Work:
    """What submitit runs on a node: one task. At the time limit or a preemption it saves, and is queued again."""

    def __init__(self, task: Task):
        self.task = task
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """The task's exit status."""
        code = run_to_end(self.task, self._keep)
        if code == STOPPED.code:
            # Whatever stopped the cell (a preemption, scancel) is about to end this job, or to queue it again.
            time.sleep(SAVE_SECONDS)
        return code

    def _keep(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def checkpoint(self) -> Any:
        """Called by submitit's signal handler; what to queue again."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            end(self._process, SAVE_SECONDS - 10)
        return DelayedSubmission(Work(self.task))


class SlurmLauncher(Launcher):
    """Submits tasks as one array; a task that a lost command left in the queue is watched, not submitted again."""

    def __init__(self, config: SlurmConfig, folder: Path):
        self.config, self.folder = config, folder

    def at_once(self, tasks: Sequence[Task]) -> int:
        """What the user asks for; the cluster's own room is not known here."""
        return min(self.config.cells or len(tasks), len(tasks))

    def submit(self, tasks: Sequence[Task]) -> list[Queued]:
        """Submit what is not in the queue yet.

        Raises:
            UserError: submitit is not installed, or the cluster does not take the jobs.
        """
        known = {task.name: self._known(task) for task in tasks}
        new = [task for task in tasks if known[task.name] is None]
        if new:
            try:
                submitted = self._executor(new).submit_array([Work(task) for task in new])
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                raise UserError(f"launcher slurm: the jobs were not taken ({error}); see docs/studies.md") from error
            for task, job in zip(new, submitted, strict=True):
                known[task.name] = job
                _note_of(task).write_text(job.job_id, encoding="utf-8")
        return [Queued(task, known[task.name]) for task in tasks]

    def poll(self, job: Queued) -> State:
        """How a job stands, as the cluster last told it."""
        if not job.job.done():
            return job.state()
        _note_of(job.task).unlink(missing_ok=True)
        if job.cancelled:
            return STOPPED
        try:
            return State(False, job.job.result())
        except Exception:  # submitit raises what the job raised, or that it left nothing
            return FAILED

    def cancel(self, job: Queued) -> None:
        """`scancel`: the cell gets SIGTERM, and saves."""
        job.cancelled = True
        job.job.cancel(check=False)

    def _known(self, task: Task) -> Any:
        """The job of a task that an earlier command submitted and that has not ended; None where there is none."""
        note = _note_of(task)
        if self.config.cluster != "slurm" or not note.is_file():
            return None
        job = _submitit().SlurmJob(self.folder / "jobs", note.read_text(encoding="utf-8"))
        return None if job.done(force_check=True) else job

    def _executor(self, tasks: Sequence[Task]) -> Any:
        config = self.config
        executor = _submitit().AutoExecutor(
            self.folder / "jobs",
            cluster=config.cluster,
            slurm_max_num_timeout=config.requeues,
            local_max_num_timeout=config.requeues,
        )
        of_slurm = {
            "partition": config.partition,
            "account": config.account,
            "array_parallelism": config.cells or len(tasks),
            "signal_delay_s": SAVE_SECONDS,
        }
        executor.update_parameters(
            name="genreplay",
            timeout_min=config.minutes,
            cpus_per_task=max(task.cores for task in tasks),
            mem_gb=max(task.memory_gb for task in tasks),
            gpus_per_node=config.gpus,
            **{f"slurm_{key}": value for key, value in of_slurm.items() if value is not None},
        )
        return executor


def _note_of(task: Task) -> Path:
    """Where the id of a task's job is kept until it ends."""
    return task.log.with_suffix(".job")


def _submitit() -> Any:
    try:
        import submitit
    except ModuleNotFoundError:
        raise UserError(
            "launcher slurm: needs the package submitit; install it with: pip install 'genreplay[slurm]'"
        ) from None
    return submitit
