"""Studies through the command line: killed, interrupted and continued; a broken cell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from genreplay.common.files import read_csv
from tests.helpers.command_line import environment, genreplay
from tests.helpers.studies import REAL, write


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "genreplay", "study", "tiny.yaml", "launcher.cells=2"]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment())


def wait_for(what: Callable[[], bool]) -> None:
    for _ in range(1500):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it never happened")


def has_said(folder: Path, cell: str, words: str) -> Callable[[], bool]:
    log = folder / f"mlruns/studies/tiny/{cell}.log"
    return lambda: log.is_file() and words in log.read_text()


def steps_said(folder: Path) -> int:
    """How often any cell has reported an env step so far."""
    return sum(log.read_text().count("\nenv step") for log in folder.glob("mlruns/studies/tiny/*.log"))


def processes(folder: Path) -> dict[str, int]:
    """Ids of the cells that run now, by cell."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode().split("\0")
            here = (place / "cwd").resolve() == folder.resolve()
        except OSError:
            continue
        if here and "--cell" in words:
            found[words[words.index("--cell") + 1]] = int(place.name)
    return found


def runs(folder: Path):
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    (experiment,) = [e for e in client.search_experiments() if e.name == "tiny"]
    return client, client.search_runs([experiment.experiment_id])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_study_that_is_killed_goes_on_until_every_cell_is_there_once(tmp_path: Path) -> None:
    write(tmp_path)
    study = start(tmp_path)
    # One cell is killed, and tried again from its checkpoint.
    wait_for(has_said(tmp_path, "usual-0", "env step 60 of"))
    os.kill(processes(tmp_path)["usual/0"], signal.SIGKILL)
    wait_for(has_said(tmp_path, "usual-0", "resumed at env step"))
    # The launcher is killed: its cells save and end by themselves.
    study.kill()
    said = study.communicate()[1]
    assert "usual/0: ended with exit status -9" in said
    assert "try 2 of 2" in said
    wait_for(lambda: not processes(tmp_path))

    # The same command goes on; Ctrl-C stops all cells, and they save.
    before = steps_said(tmp_path)
    study = start(tmp_path)
    wait_for(lambda: steps_said(tmp_path) > before)
    study.send_signal(signal.SIGINT)
    assert "stopping: every running cell saves and ends; the same command goes on" in study.communicate()[1]
    assert study.returncode == 130
    assert not processes(tmp_path)

    again = genreplay(tmp_path, "study", "tiny.yaml", "launcher.cells=2")
    assert again.returncode == 0, again.stderr
    assert again.stderr.rstrip().endswith("study tiny: 4 cells: 4 finished")
    client, found = runs(tmp_path)
    cells = [(run.data.tags["study"], run.data.tags["arm"], run.data.tags["seed"], run.info.status) for run in found]
    assert sorted(cells) == [("tiny", arm, seed, "FINISHED") for arm in ("slow", "usual") for seed in ("0", "1")]
    for run in found:
        assert run.info.run_name == f"{run.data.tags['arm']}-seed{run.data.params['seed']}"
        assert {m.step for m in client.get_metric_history(run.info.run_id, "evaluation/return")} == {120, 240}

    compared = genreplay(tmp_path, "compare", "tiny.yaml", "--output", "out")
    assert compared.returncode == 0, compared.stderr
    rows = read_csv(tmp_path / "out" / "runs.csv")
    assert [(row["arm"], row["seed"], row["evaluations"]) for row in rows] == [
        (arm, seed, "2") for arm in ("slow", "usual") for seed in ("0", "1")
    ]


@pytest.mark.slow
def test_one_broken_cell_does_not_stop_the_others(tmp_path: Path) -> None:
    broken = {"config": "pendulum_pgr", "overrides": [*REAL, "env.id=NoSuchThing-v0"]}
    usual = {"config": "pendulum_pgr", "overrides": [*REAL, "loop.num_env_steps=60"]}
    write(tmp_path, arms={"broken": broken, "usual": usual}, seeds=[0])
    done = genreplay(tmp_path, "study", "tiny.yaml")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[-1] == "study tiny: 2 cells: 1 finished, 1 failed"
    said = [line for line in lines if line.startswith("broken/0: ended with exit status 2 (genreplay: error: env")]
    assert len(said) == 2
    assert "; try 2 of 2; see " in said[0]
    assert "; given up; see " in said[1]
    assert "NoSuchThing" in said[1]
    _, found = runs(tmp_path)
    assert {(run.data.tags["arm"], run.info.status) for run in found} <= {("usual", "FINISHED"), ("broken", "FAILED")}
    assert [run.data.tags["arm"] for run in found].count("usual") == 1
