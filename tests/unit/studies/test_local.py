"""The local launcher on small processes: cores of their own, a queue, cancelling."""

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from genreplay.studies.config import LocalConfig
from genreplay.studies.launchers import local
from genreplay.studies.launchers.base import RUNNING, STARTED, WAITING, State, Task

CORES = "import os, sys; print(*sorted(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'], flush=True); "
UNTIL_TOLD = "import sys; sys.stdin.read; import time; time.sleep(60)"


def task(folder: Path, name: str, program: str, cores: int = 1, memory_gb: float = 0.1) -> Task:
    return Task(name, [sys.executable, "-c", program], folder, folder / f"{name}.log", {}, cores, memory_gb)


def wait(launcher: local.LocalLauncher, job: local.LocalJob) -> int | None:
    while launcher.poll(job).code is None:
        time.sleep(0.02)
    return launcher.poll(job).code


@pytest.fixture
def four_cores(monkeypatch):
    """A machine that claims four cores: a process is bound to those of them that exist."""
    bound: list[list[int]] = []
    monkeypatch.setattr(local, "available_cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: bound.append(list(cores)), raising=False)
    return bound


def test_cells_never_share_a_core_and_wait_for_free_ones(four_cores, tmp_path):
    launcher = local.LocalLauncher(LocalConfig(), tmp_path)
    tasks = [task(tmp_path, str(i), UNTIL_TOLD, cores=2) for i in range(3)]
    assert launcher.at_once(tasks) == 2
    jobs = launcher.submit(tasks)
    assert four_cores == [[0, 1], [2, 3]]
    assert [launcher.poll(job) for job in jobs] == [RUNNING, RUNNING, WAITING]
    launcher.cancel(jobs[0])
    assert wait(launcher, jobs[0]) == -15
    assert launcher.poll(jobs[2]) == RUNNING
    assert four_cores[2:] == [[0, 1]]
    for job in jobs[1:]:
        launcher.cancel(job)
    assert [wait(launcher, job) for job in jobs[1:]] == [-15, -15]


def test_cells_share_cores_only_where_the_user_asks_for_more(four_cores, tmp_path):
    launcher = local.LocalLauncher(LocalConfig(cells=3), tmp_path)
    jobs = launcher.submit([task(tmp_path, str(i), UNTIL_TOLD, cores=2) for i in range(4)])
    assert four_cores == []
    assert [launcher.poll(job) for job in jobs] == [RUNNING, RUNNING, RUNNING, WAITING]
    launcher.cancel(jobs[3])
    assert launcher.poll(jobs[3]) == State(False, 130)
    for job in jobs[:3]:
        launcher.cancel(job)
        wait(launcher, job)


def test_memory_counts_but_one_cell_always_runs(four_cores, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "available_memory_gb", lambda: 5.0)
    launcher = local.LocalLauncher(LocalConfig(), tmp_path)
    for gb, number in ((2.0, 2), (3.0, 1), (9.0, 1)):
        assert launcher.at_once([task(tmp_path, "x", "", memory_gb=gb)] * 4) == number
    jobs = launcher.submit([task(tmp_path, str(i), "import time; time.sleep(0.2)", memory_gb=9) for i in range(2)])
    assert launcher.poll(jobs[1]) == WAITING
    assert [wait(launcher, job) for job in jobs] == [0, 0]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux binds processes to cores")
def test_a_process_knows_its_cores_and_its_words_are_kept(tmp_path):
    launcher = local.LocalLauncher(LocalConfig(), tmp_path)
    first = local.available_cores()[0]
    # The launcher binds it right after its start, before Python has loaded.
    (job,) = launcher.submit([task(tmp_path, "one", f"{CORES} sys.exit(3)")])
    assert wait(launcher, job) == 3
    assert (
        tmp_path / "one.log"
    ).read_text() == f"{STARTED}{socket.gethostname()} by process {os.getpid()}\n{first} 1\n"
    (again,) = launcher.submit([task(tmp_path, "one", "print('again')")])
    assert wait(launcher, again) == 0
    assert [line.split()[0] for line in (tmp_path / "one.log").read_text().splitlines()] == [
        "started",
        str(first),
        "started",
        "again",
    ]


def test_the_memory_of_this_machine_is_known():
    assert 0.1 < local.available_memory_gb() < 1e6
