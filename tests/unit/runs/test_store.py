"""The MLflow store: which one, its errors, and how a new one is made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genreplay.config.schema import TrackingConfig
from genreplay.runs.store import connect, store_uri
from genreplay.runs.tracker import Tracker
from tests.helpers.refusal import refusal
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
    message = refusal(lambda: Tracker.start(TrackingConfig(uri=uri), CONFIG))
    assert message.startswith(f"tracking.uri: the store {uri} cannot be used ({reason}")
    assert message.endswith("; set tracking.uri or MLFLOW_TRACKING_URI to one that answers")
    assert "\n" not in message


def test_a_deleted_experiment_says_so() -> None:
    client = connect(URI)
    client.delete_experiment(client.create_experiment("deleted"))
    assert refusal(lambda: Tracker.start(TrackingConfig(experiment="deleted"), CONFIG)) == (
        "tracking.experiment: 'deleted' was deleted in MLflow; restore it there, or name another"
    )


RUN = """
import threading
from genreplay.config.schema import TrackingConfig
from genreplay.runs.tracker import Tracker
with Tracker.start(TrackingConfig(), 'seed: 0') as tracker:
    pass
print(tracker.run_id, [thread.name for thread in threading.enumerate() if 'elemetry' in thread.name])
"""


@pytest.mark.slow
def test_runs_that_start_together_make_a_new_store_quietly_and_report_to_nobody(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "_MLFLOW", "CI", "PYTEST"))}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RUN],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said, complaints = zip(*(process.communicate(timeout=120) for process in processes), strict=True)
    assert complaints == ("", "", "")
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(set(said)) == 3
    assert all(line.endswith(" []\n") for line in said)
    assert sorted(path.name for path in (tmp_path / "mlruns").iterdir()) == [".mlflow.lock", "artifacts", "mlflow.db"]
