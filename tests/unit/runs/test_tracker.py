"""The tracker writes what it should where it should, and survives a store that fails."""

import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException

from genreplay.config.schema import TrackingConfig
from genreplay.runs import tracker
from genreplay.runs.store import connect
from genreplay.runs.tracker import Tracker, flatten
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


def _broken(patch: pytest.MonkeyPatch, tracker: Tracker) -> list[str]:
    """Nothing of the tracker's can be written any more; the names of what it tried."""
    tried: list[str] = []

    def fail(name: str):
        def fail(*args: object, **kwargs: object) -> None:
            tried.append(name)
            raise MlflowException("no answer")

        return fail

    for name in ("log_batch", "log_figure", "log_text", "set_terminated"):
        patch.setattr(tracker._client, name, fail(name))
    return tried


def test_a_store_that_fails_is_left_alone_for_a_while_and_gets_everything_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Tracker.start(TrackingConfig(experiment="failing"), CONFIG) as tracker:
        with monkeypatch.context() as patch:
            tried = _broken(patch, tracker)
            tracker.metrics({"loss": 1.0}, 1)
            tracker.flush()
            tracker.figure(Figure(), "curve.png")
            tracker.text("old", "note.txt")
            tracker.text("new", "note.txt")
            tracker.flush()
        assert tried == ["log_batch"]
        tracker.metrics({"loss": 2.0}, 2)
    assert [record.getMessage() for record in caplog.records if record.name == "genreplay"] == [
        f"1 metric values: could not be written to {connect(URI).tracking_uri} (no answer)"
    ]
    client = connect(URI)
    history = client.get_metric_history(tracker.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 1.0), (2, 2.0)]
    assert {"curve.png", "note.txt"} <= {file.path for file in client.list_artifacts(tracker.run_id)}
    assert (tracker.checkpoint_dir.parent / "note.txt").read_text() == "new"
    assert not (tracker.checkpoint_dir / "unsent_metrics.json").exists()


def test_metrics_that_the_store_never_took_are_kept_for_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrackingConfig(experiment="failing")
    with monkeypatch.context() as patch, Tracker.start(config, CONFIG) as tracker:
        _broken(patch, tracker)
        tracker.metrics({"loss": 1.5}, 7)
    client = connect(URI)
    assert client.get_run(tracker.run_id).info.status == "RUNNING"
    assert client.get_metric_history(tracker.run_id, "loss") == []
    with Tracker.start(config, CONFIG, tracker.run_id):
        pass
    assert client.get_run(tracker.run_id).info.status == "FINISHED"
    assert [(m.step, m.value) for m in client.get_metric_history(tracker.run_id, "loss")] == [(7, 1.5)]
    assert not (tracker.checkpoint_dir / "unsent_metrics.json").exists()
