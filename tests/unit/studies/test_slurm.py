"""The SLURM launcher on submitit's own stand-in for SLURM: results, queueing again, cancelling."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from genreplay.studies.config import SlurmConfig
from genreplay.studies.launchers.base import STOPPED, State, Task

submitit = pytest.importorskip("submitit")
SLOW = """
import os, signal, sys, time
def end(*_):
    print("saved", flush=True)
    sys.exit(130)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while os.getppid() == int(sys.argv[-1]):
    time.sleep(0.1)
end()
"""
"""Like a cell it saves where it is told to, and where its parent is gone: the stand-in kills a job that needs more than
a second to pass a signal on."""


def wait_for(what):
    for _ in range(600):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it never happened")


@pytest.fixture
def launch(tmp_path):
    from genreplay.studies.launchers.slurm import SlurmLauncher

    # The stand-in cancels by SIGINT, which a shell's background jobs ignore and hand on so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    launcher = SlurmLauncher(SlurmConfig(cluster="local"), tmp_path)

    def launch(*programs: str):
        tasks = [
            Task(f"t{i}", [sys.executable, "-c", program], tmp_path, tmp_path / f"t{i}.log", {"WORD": "hello"}, 1, 0.1)
            for i, program in enumerate(programs)
        ]
        assert launcher.at_once(tasks) == len(programs)
        return launcher, launcher.submit(tasks)

    yield launch
    signal.signal(signal.SIGINT, before)


def test_an_array_gives_the_exit_status_of_each_task(launch, tmp_path):
    launcher, jobs = launch("import os; print(os.environ['WORD'])", "raise SystemExit(3)")
    wait_for(lambda: all(launcher.poll(job).code is not None for job in jobs))
    assert [launcher.poll(job) for job in jobs] == [State(False, 0), State(False, 3)]
    assert (tmp_path / "t0.log").read_text().splitlines()[1:] == ["hello"]
    assert not list(tmp_path.glob("*.job"))


def test_a_preempted_task_saves_and_is_queued_again(launch, tmp_path):
    log = tmp_path / "t0.log"
    launcher, (job,) = launch(SLOW)
    wait_for(lambda: log.is_file() and "ready" in log.read_text())
    assert launcher.poll(job) == State(True, None)
    for child in _children(job.job._process.pid):
        os.kill(child, signal.SIGUSR2)
    wait_for(lambda: log.read_text().count("ready") == 2)
    assert log.read_text().count("saved") == 1
    assert launcher.poll(job).code is None
    launcher.cancel(job)
    wait_for(lambda: launcher.poll(job) == STOPPED)
    wait_for(lambda: log.read_text().count("saved") == 2)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
