"""What a study reads from a real store, and the time it estimates from it."""

from pathlib import Path

import pytest
import yaml
from rich.console import Console

from genreplay import cli, config
from genreplay.runs.store import connect
from genreplay.runs.tracker import flatten
from genreplay.studies import progress, study
from genreplay.studies.display import summary, table
from genreplay.studies.progress import Progress
from genreplay.studies.study import Cell
from tests.helpers.refusal import refusal
from tests.helpers.studies import write


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study, and a store that has run half of it: one cell to its end, one to step 100."""
    folder = tmp_path_factory.mktemp("study")
    name = write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tiny = study.load(name)
        for cell, step, status in ((Cell("usual", 0), 240, "FINISHED"), (Cell("slow", 0), 100, None)):
            add_run(tiny, cell, step, status)
    return folder


@pytest.fixture
def tiny(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return study.load("tiny.yaml")


def add_run(tiny, cell, step, status, **params):
    client = connect(tiny.uri)
    known = client.get_experiment_by_name(tiny.experiment)
    where = client.create_experiment(tiny.experiment) if known is None else known.experiment_id
    run = client.create_run(where, tags=tiny.experiments[cell].tracking.tags, start_time=1_000_000).info.run_id
    for key, value in (flatten(yaml.safe_load(config.to_yaml(tiny.experiments[cell]))) | params).items():
        client.log_param(run, key, value)
    client.log_metric(run, "counters/env_step", step, step=step)
    client.log_metric(run, "evaluation/return", -300.0 - step, step=step)
    if status is not None:
        client.set_terminated(run, status, end_time=1_048_000)
    return client, run


def test_finished_and_broken_cells_are_known(tiny):
    cells = progress.begin(tiny)
    assert [one.state for one in cells.values()] == ["waiting", "finished", "waiting", "waiting"]
    assert [one.env_step for one in cells.values()] == [100, 240, 0, 0]


def test_a_dry_run_lists_the_cells_and_estimates_the_time(tiny, capsys):
    assert cli.main(["study", "tiny.yaml", "--dry-run", "launcher.cells=2"]) == 0
    # 48 s for 240 steps: 620 steps are left, two cells at a time.
    assert capsys.readouterr().out.splitlines() == [
        "slow/0: env step 100 of 240",
        "usual/0: finished",
        "slow/1: waiting",
        "usual/1: waiting",
        "3 of 4 cells to run, 2 at a time: about 2 min",
    ]


def test_a_dry_run_of_a_new_study_takes_the_speed_of_like_runs(tiny, tmp_path, capsys):
    uri = f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"
    name = write(tmp_path, name="new")
    assert cli.main(["study", str(tmp_path / name), "--dry-run", f"overrides=[tracking.uri={uri}]", "seeds=[0]"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("no earlier run tells how long they take")
    assert cli.main(["study", str(tmp_path / name), "--dry-run", "seeds=[7]", "launcher.cells=1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 of 2 cells to run, 1 at a time: about 2 min"


def test_a_run_with_other_options_is_refused_not_mixed_in(tiny):
    client, run = add_run(tiny, Cell("slow", 1), 240, "FINISHED", **{"loop.utd_ratio": "9.0"})
    assert refusal(lambda: progress.begin(tiny)) == (
        f"study tiny: the run {run} of slow/1 was trained with other options (loop.utd_ratio=9.0, now 4.0); give the "
        "study another name, or delete its runs in MLflow"
    )
    client.delete_run(run)
    assert progress.begin(tiny)[Cell("slow", 1)].state == "waiting"


def test_two_finished_runs_of_a_cell_are_refused(tiny):
    first = progress.runs_of(tiny)[Cell("usual", 0)].run_id
    client, run = add_run(tiny, Cell("usual", 0), 240, "FINISHED")
    assert set(refusal(lambda: progress.begin(tiny)).replace(";", "").split()) >= {first, run, "usual/0", "finished"}
    client.delete_run(run)


def test_time_left_follows_the_speed_since_the_command_began():
    cell = Progress(Cell("a", 0), 400, state="running")
    assert cell.seconds_left is None
    cell.first, cell.now, cell.run = (100.0, 50), 130.0, _at(110)
    assert cell.seconds_left == 30 / 60 * 290
    other = Progress(Cell("b", 0), 400)
    assert progress.seconds_left([cell, other], 1) == 0.5 * (290 + 400)
    assert progress.seconds_left([cell, other], 4) == 0.5 * 400, "no cell is shared out"
    assert progress.seconds_left([other], 1) is None
    assert progress.seconds_left([other], 1, {"a": 2.0}) == 800


def _at(step: int):
    from genreplay.runs.cells import CellRun

    return CellRun("id", "a", 0, "RUNNING", None, step, {"return": -12.34}, {})


def test_the_table_has_arms_by_seeds(tiny):
    cells = progress.begin(tiny)
    cells[Cell("slow", 0)].state = "running"
    cells[Cell("usual", 1)].state = "failed"
    console = Console(width=100, record=True, force_terminal=True)
    console.print(table(tiny, cells))
    text = console.export_text()
    rows = [line for line in text.splitlines() if "│" in line]
    assert [row.split("│")[1].strip() for row in rows] == ["slow", "usual"]
    assert "100/240 · -400.0" in rows[0]
    assert "finished · -540.0" in rows[1]
    assert "failed" in rows[1]
    assert summary(cells) == "4 cells: 1 finished, 1 failed, 1 running, 1 waiting; about 2 min left"
