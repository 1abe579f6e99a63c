"""Runs are found by folder, id, name and as the last; their checkpoints are fetched from a server."""

import shutil
from pathlib import Path

from genreplay.config.schema import TrackingConfig
from genreplay.runs import checkpoint, find
from genreplay.runs.tracker import Tracker
from tests.helpers.refusal import refusal
from tests.helpers.tracked import CONFIG, URI, has_checkpoint, save_something


def _refused(reference: str, uri: str = URI) -> str:
    return refusal(lambda: find.resolve_run(reference, uri, has_checkpoint))


def test_runs_are_found_by_id_by_name_as_last_and_as_a_folder(work_place: Path, tmp_path: Path) -> None:
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
                save_something(tracker)
    early, late = trackers["early"], trackers["late"]
    for reference, expected in (("last", late), ("early", early), (early.run_id, early)):
        assert find.resolve_run(reference, uri, has_checkpoint) == expected.checkpoint_dir
    for folder in (early.checkpoint_dir, early.checkpoint_dir.parent):
        assert find.resolve_run(str(folder), uri, has_checkpoint) == early.checkpoint_dir
    choices = f"the newest runs with a checkpoint are late ({late.run_id}), early ({early.run_id})"
    assert _refused("nobody", uri) == f"--resume nobody: there is no such run or folder; {choices}"
    assert _refused("empty", uri) == f"--resume empty: this run has no checkpoint; {choices}"
    assert _refused("twice", uri).startswith("--resume twice: 2 runs have that name; give the id of one: ")
    assert _refused(str(work_place), uri) == (
        f"--resume {work_place}: this folder holds no checkpoint; name one that genreplay wrote"
    )


class ServerClient:
    """A client of a server that keeps the artifacts itself."""

    tracking_uri = "http://host:5000"

    def __init__(self, folder: Path):
        self.folder = folder

    def log_artifacts(self, run_id: str, local: str, path: str) -> None:
        (self.folder / path).mkdir(parents=True)
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
    assert find._fetch(client, run, checkpoint.exists) is None
    with Tracker(client, run) as tracker:
        place = tracker.checkpoint_dir
        (place / "000001").mkdir()
        (place / "000001" / checkpoint.MANIFEST).write_text("{}")
    assert place == Path("mlruns/checkpoints/abc")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000001"]
    assert (tmp_path / "status").read_text() == "FINISHED"
    assert find._fetch(client, run, checkpoint.exists) == place
    shutil.rmtree(place / "000001")
    assert find._fetch(client, run, checkpoint.exists) == place
    assert (place / "000001" / checkpoint.MANIFEST).is_file()
