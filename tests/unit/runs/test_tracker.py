"""The tracker writes what it should where it should, survives a failing store, and runs are found again."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException

from genreplay.common.errors import UserError
from genreplay.config.schema import TrackingConfig
from genreplay.runs import find, tracker
from genreplay.runs.store import connect, store_uri
from genreplay.runs.tracker import Tracker, flatten

URI = "sqlite:///mlruns/mlflow.db"
CONFIG = "seed: 0\nagent:\n  name: redq_sac\n  target_entropy: null\nevaluation:\n  seeds: [1, 2]\n"


def _has_checkpoint(folder: Path) -> bool:
    return (folder / "saved").is_file()


def _save(tracker: Tracker) -> Path:
    tracker.checkpoint_dir.mkdir(parents=True)
    (tracker.checkpoint_dir / "saved").write_text("")
    return tracker.checkpoint_dir


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work place")  # a space, as homes have


@pytest.fixture(autouse=True)
def _work_there(module_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for all tests of this file: to make one takes seconds."""
    monkeypatch.chdir(module_folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_the_store_is_the_configs_then_the_environments_then_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_uri(None) == URI
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert store_uri(None) == "http://host:5000"
    assert store_uri("sqlite:///other.db") == "sqlite:///other.db"


def test_configs_are_flattened_to_dotted_keys() -> None:
    tree = {"a": {"b": {"c": 1}, "empty": {}}, "list": [1, 2], "nothing": None, "flag": True}
    assert flatten(tree) == {"a.b.c": "1", "a.empty": "{}", "list": "[1, 2]", "nothing": "null", "flag": "True"}


def test_a_run_holds_params_tags_metrics_figures_artifacts_and_its_checkpoint(module_folder: Path) -> None:
    with Tracker.start(TrackingConfig(experiment="contents", run_name="one"), CONFIG) as tracker:
        for env_step in range(1, 2501):
            tracker.metrics({"agent/loss": env_step / 2}, env_step)
        tracker.metrics({"evaluation/delay": 12.5}, 2500)
        figure = Figure()
        figure.add_subplot().plot([1, 2])
        tracker.figure(figure, "curve.png")
        tracker.text("a,b\n", "tables/table.csv")
        checkpoint = _save(tracker)
    client = connect(URI)
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "one"
    assert run.data.params == {
        "seed": "0",
        "agent.name": "redq_sac",
        "agent.target_entropy": "null",
        "evaluation.seeds": "[1, 2]",
    }
    assert run.data.metrics == {"agent/loss": 1250.0, "evaluation/delay": 12.5}
    history = client.get_metric_history(tracker.run_id, "agent/loss")
    assert sorted((metric.step, metric.value) for metric in history) == [(i, i / 2) for i in range(1, 2501)]
    artifacts = {entry.path for entry in client.list_artifacts(tracker.run_id)}
    assert artifacts == {"config.yaml", "curve.png", "tables", "checkpoints"}
    folder = module_folder / "mlruns" / "artifacts" / tracker.run_id / "artifacts"
    assert checkpoint == folder / "checkpoints"
    assert (folder / "config.yaml").read_text() == CONFIG
    assert (folder / "tables" / "table.csv").read_text() == "a,b\n"
    assert {"version.torch", "version.genreplay", "version.eclipse-sumo", "version.python", "command"} <= set(
        run.data.tags
    )


def test_the_git_commit_and_whether_files_differ_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "mlflow.source.git.commit" not in tracker._environment_tags()
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@e", "-c", "commit.gpgsign=false"]
    (tmp_path / "file").write_text("a")
    for arguments in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "m"]):
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    tags = tracker._environment_tags()
    assert (tags["mlflow.source.git.commit"], tags["git.dirty"]) == (head, "false")
    (tmp_path / "file").write_text("b")
    assert tracker._environment_tags()["git.dirty"] == "true"


def test_how_a_run_ends_is_its_status() -> None:
    def status(error: type[BaseException] | None, interrupted: bool = False) -> str:
        tracker = Tracker.start(TrackingConfig(experiment="ends"), CONFIG)
        with nullcontext() if error is None else pytest.raises(error), tracker:
            if interrupted:
                tracker.interrupted()
            if error is not None:
                raise error
        return connect(URI).get_run(tracker.run_id).info.status

    assert status(None) == "FINISHED"
    assert status(None, interrupted=True) == "KILLED"
    assert status(KeyboardInterrupt) == "KILLED"
    assert status(RuntimeError) == "FAILED"


def test_a_resumed_run_goes_on_and_tells_what_was_changed() -> None:
    with Tracker.start(TrackingConfig(experiment="resumed"), CONFIG) as first:
        first.metrics({"loss": 1.0}, 1)
    changed = CONFIG.replace("seed: 0", "seed: 3") + "new: 1\n"
    with Tracker.start(TrackingConfig(experiment="another"), changed, resume_run_id=first.run_id) as second:
        second.metrics({"loss": 2.0}, 2)
        assert connect(URI).get_run(second.run_id).info.status == "RUNNING"
    assert second.run_id == first.run_id
    assert second.checkpoint_dir == first.checkpoint_dir
    run = connect(URI).get_run(first.run_id)
    assert run.info.status == "FINISHED"
    assert (run.data.params["seed"], run.data.params["new"]) == ("0", "1")
    assert {key: value for key, value in run.data.tags.items() if key.startswith("resumed")} == {
        "resumed_with.seed": "3"
    }
    assert [metric.step for metric in connect(URI).get_metric_history(first.run_id, "loss")] == [1, 2]


def test_a_run_that_the_store_does_not_know_is_begun_anew() -> None:
    unknown = "0123456789abcdef" * 2
    with Tracker.start(TrackingConfig(experiment="resumed"), CONFIG, resume_run_id=unknown) as tracker:
        pass
    assert tracker.run_id != unknown
    assert connect(URI).get_run(tracker.run_id).data.tags["resumed_from"] == unknown


def test_metrics_wait_for_a_store_that_fails_and_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Tracker.start(TrackingConfig(experiment="failing"), CONFIG) as tracker:
        with monkeypatch.context() as broken:

            def fail(*args: object, **kwargs: object) -> None:
                raise MlflowException("no answer")

            broken.setattr(tracker._client, "log_batch", fail)
            broken.setattr(tracker._client, "log_figure", fail)
            tracker.metrics({"loss": 1.0}, 1)
            tracker.flush()
            tracker.figure(Figure(), "curve.png")
        tracker.metrics({"loss": 2.0}, 2)
    assert [record.getMessage() for record in caplog.records if record.name == "genreplay"] == [
        f"1 metric values: could not be written to {URI} (no answer)",
        f"curve.png: could not be written to {URI} (no answer)",
    ]
    history = connect(URI).get_metric_history(tracker.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 1.0), (2, 2.0)]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("foo://x", "Model registry functionality is unavailable; got unsupported URI 'foo://x'"),
        ("sqlite:///broken.db", "(sqlite3.DatabaseError) file is not a database"),
        ("sqlite:///broken.db/deeper/x.db", "[Errno 20] Not a directory"),
    ],
)
def test_a_store_that_cannot_be_used_is_named(module_folder: Path, uri: str, reason: str) -> None:
    (module_folder / "broken.db").write_text("nonsense " * 100)
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


# Finding a run -------------------------------------------------------------------------------------------------------


def _refused(reference: str, uri: str = URI) -> str:
    with pytest.raises(UserError) as error:
        find.resolve_run(reference, uri, _has_checkpoint)
    return str(error.value)


def test_runs_are_found_by_id_by_name_as_last_and_as_a_folder(module_folder: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/found.db"
    trackers = {}
    assert _refused("last", uri) == (
        f"--resume last: there is no such folder, and no run in {uri} yet; begin one with: genreplay fit --config FILE"
    )
    for name in ("early", "late", "twice", "twice", "empty"):
        with Tracker.start(TrackingConfig(uri=uri, run_name=name), CONFIG) as tracker:
            trackers[name] = tracker
            if name == "early":
                assert _refused("last", uri) == (
                    "--resume last: no run in this store has a checkpoint; begin one with: genreplay fit --config FILE"
                )
                assert _refused("nobody", uri) == (
                    "--resume nobody: there is no such run or folder; no run in this store has a checkpoint on this "
                    "machine"
                )
            if name in ("early", "late"):
                _save(tracker)
    early, late = trackers["early"], trackers["late"]
    for reference, expected in (("last", late), ("early", early), (early.run_id, early)):
        assert find.resolve_run(reference, uri, _has_checkpoint) == expected.checkpoint_dir
    for folder in (early.checkpoint_dir, early.checkpoint_dir.parent):
        assert find.resolve_run(str(folder), uri, _has_checkpoint) == early.checkpoint_dir
    choices = f"the newest runs with a checkpoint are late ({late.run_id}), early ({early.run_id})"
    assert _refused("nobody", uri) == f"--resume nobody: there is no such run or folder; {choices}"
    assert _refused("empty", uri) == f"--resume empty: this run has no checkpoint; {choices}"
    assert _refused("twice", uri).startswith("--resume twice: 2 runs have that name; give the id of one: ")
    assert _refused(str(module_folder), uri) == (
        f"--resume {module_folder}: this folder holds no checkpoint; name one that genreplay wrote"
    )


class ServerClient:
    """A client of a server that keeps the artifacts itself."""

    tracking_uri = "http://host:5000"

    def __init__(self, folder: Path):
        self.folder = folder

    def log_artifacts(self, run_id: str, local: str, path: str) -> None:
        (self.folder / path).mkdir()
        for file in Path(local).iterdir():
            (self.folder / path / file.name).write_bytes(file.read_bytes())

    def list_artifacts(self, run_id: str, path: str) -> list[Path]:
        return list((self.folder / path).glob("*"))

    def download_artifacts(self, run_id: str, path: str, to: str) -> str:
        return str((self.folder / path).rename(Path(to) / path))

    def set_terminated(self, run_id: str, status: str) -> None:
        (self.folder / "status").write_text(status)


def test_with_artifacts_on_a_server_the_checkpoint_is_uploaded_at_the_end_and_fetched_back(tmp_path: Path) -> None:
    from mlflow.entities import Run, RunData, RunInfo

    info = RunInfo(
        run_id="abc",
        experiment_id="1",
        user_id="u",
        status="RUNNING",
        start_time=0,
        end_time=None,
        lifecycle_stage="active",
        artifact_uri="mlflow-artifacts:/1/abc/artifacts",
    )
    run, client = Run(info, RunData()), ServerClient(tmp_path)
    assert find._fetch(client, run, _has_checkpoint) is None
    with Tracker(client, run) as tracker:
        place = _save(tracker)
    assert place == Path("mlruns/checkpoints/abc")
    assert (tmp_path / "checkpoints" / "saved").is_file()
    assert (tmp_path / "status").read_text() == "FINISHED"
    assert find._fetch(client, run, _has_checkpoint) == place
    (place / "saved").unlink()
    place.rmdir()
    assert find._fetch(client, run, _has_checkpoint) == place
    assert (place / "saved").is_file()


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
