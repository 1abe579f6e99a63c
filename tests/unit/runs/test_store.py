"""The MLflow store: which one, its errors, and how a new one is made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genreplay.common.errors import UserError
from genreplay.config.schema import TrackingConfig
from genreplay.runs.store import connect, store_uri
from genreplay.runs.tracker import Tracker
from tests.helpers.tracked import CONFIG, URI


def test_the_store_is_the_configs_then_the_environments_then_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_uri(None) == URI
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert store_uri(None) == "http://host:5000"
    assert store_uri("sqlite:///other.db") == "sqlite:///other.db"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("foo://x", "Model registry functionality is unavailable; got unsupported URI 'foo://x'"),
        ("sqlite:///broken.db", "(sqlite3.DatabaseError) file is not a database"),
        ("sqlite:///broken.db/deeper/x.db", "[Errno 20] Not a directory"),
    ],
)
def test_a_store_that_cannot_be_used_is_named(work_place: Path, uri: str, reason: str) -> None:
    (work_place / "broken.db").write_text("nonsense " * 100)
    with pytest.raises(UserError) as error:
        Tracker.start(TrackingConfig(uri=uri), CONFIG)
    assert str(error.value).startswith(f"tracking.uri: the store {uri} cannot be used ({reason}")
    assert str(error.value).endswith("; set tracking.uri or MLFLOW_TRACKING_URI to one that answers")
    assert "\n" not in str(error.value)


def test_a_deleted_experiment_says_so() -> None:
    client = connect(URI)
    client.delete_experiment(client.create_experiment("deleted"))
    with pytest.raises(UserError) as error:
        Tracker.start(TrackingConfig(experiment="deleted"), CONFIG)
    assert str(error.value) == (
        "tracking.experiment: 'deleted' was deleted in MLflow; restore it there, or name another"
    )


@pytest.mark.slow
def test_a_new_store_is_made_quietly_and_reports_to_nobody(tmp_path: Path) -> None:
    program = (
        "import threading\n"
        "from genreplay.config.schema import TrackingConfig\nfrom genreplay.runs.tracker import Tracker\n"
        "with Tracker.start(TrackingConfig(), 'seed: 0'): pass\n"
        "print([thread.name for thread in threading.enumerate() if 'elemetry' in thread.name])\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "_MLFLOW", "CI", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert sorted(path.name for path in (tmp_path / "mlruns").iterdir()) == [".mlflow.lock", "artifacts", "mlflow.db"]


@pytest.mark.slow
def test_runs_that_start_side_by_side_share_a_new_store(tmp_path: Path) -> None:
    script = (
        "from genreplay.config.schema import TrackingConfig\n"
        "from genreplay.runs.tracker import Tracker\n"
        "with Tracker.start(TrackingConfig(), 'seed: 0') as tracker:\n"
        "    print(tracker.run_id)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended
    assert len({out for out, _ in ended}) == 3
