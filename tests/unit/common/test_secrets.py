"""Credentials never reach a message, a log line or a file."""

import logging
import os
import sys
from pathlib import Path

import pytest

from genreplay import cli
from genreplay.common.errors import UserError, first_line
from genreplay.common.secrets import masked, show_error
from genreplay.config.reader import load, to_yaml
from genreplay.config.schema import TrackingConfig
from genreplay.runs.store import connect, store_errors, store_uri
from genreplay.runs.tracker import Tracker

SERVER = "http://ann:hunter2@tracking.example:5000"
HIDDEN = "http://***@tracking.example:5000"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (SERVER, HIDDEN),
        (
            f"API request to {SERVER}/api/2.0 failed ('{SERVER}')",
            f"API request to {HIDDEN}/api/2.0 failed ('{HIDDEN}')",
        ),
        ("https://token@host/path@x", "https://***@host/path@x"),
        ("http://ann:p@ss@host", "http://***@host"),
        ("postgresql+psycopg://ann:p/w@host/db", "postgresql+psycopg://***@host/db"),
        ("mysql://host/db?user=a&password=hunter2&x=1", "mysql://host/db?user=a&password=***&x=1"),
        ("'tracking.uri=ann:hunter2@host'", "'tracking.uri=***@host'"),
        ("http://host/?access_token=hunter2'", "http://host/?access_token=***'"),
        ("sqlite:////home/ann@corp/mlruns/mlflow.db", "sqlite:////home/ann@corp/mlruns/mlflow.db"),
        ("such as http://host:5000, or ann@corp", "such as http://host:5000, or ann@corp"),
    ],
)
def test_what_is_masked(text, shown):
    assert masked(text) == shown


def test_errors_and_logs_are_masked(caplog, capsys):
    assert str(UserError(f"override 'tracking.uri={SERVER}': wrong")) == f"override 'tracking.uri={HIDDEN}': wrong"
    assert "hunter2" not in first_line(ValueError(f"{'x' * 170} {SERVER}")), "cut before the @"
    logging.getLogger("genreplay").warning("not written to %s", SERVER)
    assert caplog.messages == [f"not written to {HIDDEN}"]
    try:
        raise ValueError(SERVER)
    except ValueError:
        show_error(*sys.exc_info())
    assert capsys.readouterr().err.endswith(f"ValueError: {HIDDEN}\n")
    with pytest.raises(UserError) as raised, store_errors(SERVER):
        raise OSError(f"no answer from {SERVER}")
    assert str(raised.value).startswith(f"tracking.uri: the store {HIDDEN} cannot be used (no answer from {HIDDEN});")
    assert raised.value.__suppress_context__, "Python would print MLflow's own message"


def test_a_run_keeps_nothing_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["genreplay", "fit", f"tracking.uri={SERVER}"])
    text = to_yaml(load("smoke", [f"tracking.uri={SERVER}"]))
    assert f"uri: {HIDDEN}" in text
    with Tracker.start(TrackingConfig(tags={"where": SERVER}), text) as tracker:
        run = connect("sqlite:///mlruns/mlflow.db").get_run(tracker.run_id)
    assert run.data.tags["command"] == f"genreplay fit tracking.uri={HIDDEN}"
    assert run.data.params["tracking.uri"] == HIDDEN
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"mlflow.db", "config.yaml"} <= {path.name for path in kept}
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


def test_a_stored_address_takes_its_credentials_from_the_environment(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store_uri(SERVER) == SERVER
    assert store_uri(HIDDEN) == "http://tracking.example:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    assert store_uri(HIDDEN) == SERVER
    assert store_uri("http://***@other") == "http://other"


def test_the_command_line_prints_none(capsys):
    connect(SERVER)
    assert os.environ.pop("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT") == "true"
    assert cli.main(["config", "--config", "smoke", f"tracking.uri={SERVER}"]) == 0
    assert cli.main(["config", "--config", "smoke", f"tracking.nope={SERVER}"]) == 2
    assert cli.main(["config", "--config", "smoke", "tracking.uri=ann:hunter2@host"]) == 2
    assert cli.main(["ui", f"tracking.uri={SERVER}"]) == 2
    printed = "".join(capsys.readouterr())
    assert printed.count(HIDDEN) == 3
    assert "hunter2" not in printed
