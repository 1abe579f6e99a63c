"""`genreplay compare` on the curves of a real MLflow store."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from genreplay import cli
from genreplay.common.files import read_csv


@pytest.fixture
def uri(tmp_path, monkeypatch):
    """A store with two experiments of two seeds, evaluated twice; the returns are negative."""
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(uri)
    for experiment, offset in (("real", 0.0), ("pgr", 100.0)):
        where = client.create_experiment(experiment)
        for seed in (0, 1):
            run = client.create_run(where, run_name=f"{experiment}-{seed}").info.run_id
            client.log_param(run, "seed", seed)
            for step in (10, 20):
                client.log_metric(run, "evaluation/return", offset - 1000 + step + seed, step=step)
            if experiment == "pgr":
                client.log_metric(run, "baseline/return", -950.0)
            client.set_terminated(run)
    client.create_experiment("empty")
    return uri


def test_arms_are_compared(uri, capsys):
    assert cli.main(["compare", "out", "real=real", "PGR=pgr", "--metric", "return", "--uri", uri]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| real | 2 | -984.5 | -985.0 to -984.0 | | |",
        "| PGR | 2 | -884.5 | -885.0 to -884.0 | +100.0 | +100.0 to +100.0 |",
    ]
    assert read_csv(Path("out/arms.csv"))[0] == {"arm": "real", "seed": "0", "env_step": "10", "value": "-990.0"}


def test_learning_curves_of_one_experiment(uri):
    for experiment, baseline in (("pgr", "-950.0"), ("real", "nan")):
        assert cli.main(["compare", "out", experiment, "--metric", "return", "--uri", uri]) == 0
        row = read_csv(Path("out/learning_curves.csv"))[0]
        assert (row["run_name"], row["baseline"]) == (f"{experiment}-0", baseline)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x=real", "--metric", "retrun"], "--metric retrun: no run of 'real' has it; choose one of return"),
        (["none"], "compare: {uri} has no experiment 'none'; choose one of Default, empty, pgr, real"),
        (["a=empty"], "compare: no run of the experiment 'empty' is finished"),
        ([], "compare: name one EXPERIMENT, or arms as NAME=EXPERIMENT; or give --evaluations"),
        (["real", "pgr"], "compare: name one EXPERIMENT, or arms as NAME=EXPERIMENT; or give --evaluations"),
    ],
)
def test_mistakes(uri, capsys, arguments, message):
    assert cli.main(["compare", "out", *arguments, "--uri", uri]) == 2
    assert capsys.readouterr() == ("", f"genreplay: error: {message.format(uri=uri)}\n")


def test_a_store_without_runs_is_not_created(tmp_path, capsys):
    uri = f"sqlite:///{tmp_path}/none.db"
    assert cli.main(["compare", str(tmp_path), "real", "--uri", uri]) == 2
    assert "there is no run in" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()
