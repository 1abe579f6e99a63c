"""The tracker writes what it should where it should, and survives a store that fails."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException

from genreplay.config.schema import TrackingConfig
from genreplay.runs import outbox, tracker
from genreplay.runs.store import connect
from genreplay.runs.tracker import Tracker, flatten
from tests.helpers.refusal import refusal
from tests.helpers.tracked import CONFIG, URI, save_something


def test_configs_are_flattened_to_dotted_keys() -> None:
    tree = {"a": {"b": {"c": 1}, "empty": {}}, "list": [1, 2], "nothing": None, "flag": True}
    assert flatten(tree) == {"a.b.c": "1", "a.empty": "{}", "list": "[1, 2]", "nothing": "null", "flag": "True"}


def test_a_run_holds_params_tags_metrics_figures_artifacts_and_its_checkpoint(work_place: Path) -> None:
    with Tracker.start(TrackingConfig(experiment="contents", run_name="one"), CONFIG) as tracker:
        for env_step in range(1, 2501):
            tracker.metrics({"agent/loss": env_step / 2}, env_step)
        tracker.metrics({"evaluation/delay": 12.5}, 2500)
        figure = Figure()
        figure.add_subplot().plot([1, 2])
        tracker.figure(figure, "curve.png")
        tracker.text("a,b\n", "tables/table.csv")
        checkpoint = save_something(tracker)
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
    folder = work_place / "mlruns" / "artifacts" / tracker.run_id / "artifacts"
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


def test_a_resumed_run_goes_on_and_tells_what_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["genreplay", "fit"])
    with Tracker.start(TrackingConfig(experiment="resumed"), CONFIG) as first:
        first.metrics({"loss": 1.0}, 1)
    changed = CONFIG.replace("seed: 0", "seed: 3") + "new: 1\n"
    monkeypatch.setattr("sys.argv", ["genreplay", "fit", "--resume", "last"])
    with Tracker.start(TrackingConfig(experiment="another"), changed, resume_run_id=first.run_id) as second:
        second.metrics({"loss": 2.0}, 2)
        assert connect(URI).get_run(second.run_id).info.status == "RUNNING"
    assert second.run_id == first.run_id
    assert second.checkpoint_dir == first.checkpoint_dir
    run = connect(URI).get_run(first.run_id)
    assert run.info.status == "FINISHED"
    assert (run.data.params["seed"], run.data.params["new"]) == ("0", "1")
    assert run.data.tags["command"] == "genreplay fit"
    assert run.data.tags["command.resumed"] == "genreplay fit --resume last"
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


@contextmanager
def _away(tracker: Tracker) -> Iterator[list[str]]:
    """The store takes nothing; the names of what was tried."""
    tried: list[str] = []

    def fail(name: str):
        def fail(*args: object, **kwargs: object) -> None:
            tried.append(name)
            raise MlflowException("no answer")

        return fail

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "RETRY_SECONDS", 0.01)
        for name in ("log_batch", "log_artifact", "set_terminated"):
            patch.setattr(tracker._client, name, fail(name))
        yield tried


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("never happened")


def _messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "genreplay"]


def _points(run_id: str, name: str = "loss") -> list[tuple[int, float]]:
    return sorted((metric.step, metric.value) for metric in connect(URI).get_metric_history(run_id, name))


def test_a_store_that_goes_away_holds_nothing_up_and_gets_everything_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "FLUSH_SECONDS", 0.01)
    with Tracker.start(TrackingConfig(experiment="failing"), CONFIG) as tracker:
        with _away(tracker) as tried:
            tracker.metrics({"loss": 1.0}, 1)
            tracker.text("old", "tables/note.txt")
            tracker.text("new", "tables/note.txt")
            tracker.figure(Figure(), "curve.png")
            _wait_for(lambda: len(tried) > 2)
            assert [values[0::3] for values in tracker.state_dict()["unsent"]] == [["loss", 1]]
        tracker.metrics({"loss": 2.0}, 2)
        _wait_for(lambda: not tracker.state_dict()["unsent"])
    uri = connect(URI).tracking_uri
    assert _messages(caplog) == [
        f"{uri} takes nothing at the moment (no answer); what is logged is kept and sent later",
        f"{uri} answers again",
    ]
    assert _points(tracker.run_id) == [(1, 1.0), (2, 2.0)]
    folder = tracker.checkpoint_dir.parent
    assert (folder / "tables/note.txt").read_text() == "new"
    assert (folder / "curve.png").is_file()
    assert [path.name for path in tracker.checkpoint_dir.iterdir()] == [".lock"]


def test_what_a_store_did_not_take_before_the_end_is_sent_by_a_resume(caplog: pytest.LogCaptureFixture) -> None:
    config = TrackingConfig(experiment="failing")
    tracker = Tracker.start(config, CONFIG)
    with _away(tracker):
        tracker.metrics({"loss": 1.5, "speed/x_seconds": 0.5}, 7)
        tracker.text("kept", "note.txt")
        saved = tracker.state_dict()
        with tracker:
            pass
    assert _messages(caplog)[-1] == (
        f"run {tracker.run_id}: its end is not in {connect(URI).tracking_uri}; once that answers, send it with: "
        f"genreplay fit --resume {tracker.run_id}"
    )
    client = connect(URI)
    assert client.get_run(tracker.run_id).info.status == "RUNNING"
    assert _points(tracker.run_id) == []
    with Tracker.start(config, CONFIG, tracker.run_id) as resumed:
        resumed.load_state_dict(saved)
    assert client.get_run(tracker.run_id).info.status == "FINISHED"
    assert _points(tracker.run_id) == [(7, 1.5)]
    assert (tracker.checkpoint_dir.parent / "note.txt").read_text() == "kept"


def test_a_resume_writes_no_point_twice_but_one_that_differs() -> None:
    """Steps 1 to 3 were logged before a kill; the checkpoint is of step 1, and knew that its point was on its way."""
    config = TrackingConfig(experiment="twice")
    nan = float("nan")
    with Tracker.start(config, CONFIG) as first:
        first.metrics({"loss": 1.0, "gap": nan, "speed/elapsed_seconds": 5.0}, 1)
        saved = first.state_dict()
        for step in (2, 3):
            first.metrics({"loss": float(step), "gap": nan, "speed/elapsed_seconds": 5.0 * step}, step)
            first.metrics({"loss": float(step)}, step)
    assert len(saved["unsent"]) == 3
    with Tracker.start(config, CONFIG, first.run_id) as second:
        second.load_state_dict(saved)
        second.metrics({"loss": 2.0, "gap": nan, "speed/elapsed_seconds": 11.0}, 2)
        second.metrics({"loss": 3.5, "gap": nan, "speed/elapsed_seconds": 16.0}, 3)
        second.metrics({"loss": 4.0, "gap": nan, "speed/elapsed_seconds": 21.0}, 4)
    assert _points(first.run_id) == [(1, 1.0), (2, 2.0), (3, 3.0), (3, 3.5), (4, 4.0)]
    assert _points(first.run_id, "speed/elapsed_seconds") == [(1, 5.0), (2, 10.0), (3, 15.0), (4, 21.0)]
    assert [step for step, _ in _points(first.run_id, "gap")] == [1, 2, 3, 4]


def test_a_run_is_trained_by_one_process_at_a_time() -> None:
    config = TrackingConfig(experiment="alone")
    with Tracker.start(config, CONFIG) as first:
        assert refusal(lambda: Tracker.start(config, CONFIG, first.run_id)) == (
            f"--resume {first.run_id}: this run is being trained by another process; stop that one, or wait until it "
            "ends"
        )
        assert connect(URI).get_run(first.run_id).info.status == "RUNNING"
    with Tracker.start(config, CONFIG, first.run_id):
        pass
