"""A store works on where it was moved or copied: its runs are found there, and continued there."""

import shutil
from pathlib import Path

import pytest
from mlflow.tracking._tracking_service import utils

from genreplay.config.schema import TrackingConfig
from genreplay.runs import record
from genreplay.runs.find import resolve_run
from genreplay.runs.store import connect, store_of
from genreplay.runs.tracker import Tracker
from tests.helpers.tracked import CONFIG, has_checkpoint, save_something


def uri(project: Path) -> str:
    # Absolute, since MLflow keeps a connection for each URI as long as a process lives.
    return f"sqlite:///{project}/mlruns/mlflow.db"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a store of one run, which has a checkpoint."""
    folder = tmp_path / "my project"
    with Tracker.start(TrackingConfig(uri(folder), run_name="one"), CONFIG) as tracker:
        save_something(tracker)
        tracker.metrics({"loss": 1.0}, 7)
    # Of this process alone; whoever works in a moved project has a new one.
    utils._artifact_repos_cache.clear()
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("original_stays", [False, True])
def test_a_moved_or_copied_project_finds_and_continues_its_runs(
    project: Path, original_stays: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = next((project / "mlruns/artifacts").iterdir()).name
    there = tmp_path / "another place" / "project"
    if original_stays:
        shutil.copytree(project, there)
    else:
        there.parent.mkdir()
        project.rename(there)
    before = files(project)
    folder = there / "mlruns/artifacts" / run_id / "artifacts/checkpoints"
    for reference in ("last", run_id, "one"):
        assert resolve_run(reference, uri(there), has_checkpoint) == folder
    assert [line.message for line in caplog.records] == [
        f"tracking.uri: {there}/mlruns was moved here from {project}/mlruns; its runs' paths are set to this place"
    ]
    run = record.read(uri(there), run_id, (), tmp_path)
    assert (run.artifacts, run.metrics["loss"].values) == (folder.parent, [1.0])

    with Tracker.start(TrackingConfig(uri(there)), CONFIG, run_id) as resumed:
        assert (resumed.run_id, resumed.checkpoint_dir) == (run_id, folder)
        resumed.text("x", "more.txt")
    with Tracker.start(TrackingConfig(uri(there)), CONFIG) as new:
        assert save_something(new) == there / "mlruns/artifacts" / new.run_id / "artifacts/checkpoints"
        new.text("x", "more.txt")
    assert (folder.parent / "more.txt").is_file()
    assert (new.checkpoint_dir.parent / "more.txt").is_file()
    assert files(project) == before
    assert project.exists() == original_stays


def test_a_project_that_is_moved_twice_still_works(project: Path, tmp_path: Path) -> None:
    place = project
    for name in ("second", "third"):
        place = place.rename(tmp_path / name)
        assert resolve_run("last", uri(place), has_checkpoint).is_relative_to(place)


def test_artifacts_that_lie_elsewhere_on_purpose_stay_there(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    big_disk = tmp_path / "big disk" / "artifacts"
    connect(uri(project)).create_experiment("big", artifact_location=big_disk.as_uri())
    with Tracker.start(TrackingConfig(uri(project), experiment="big", run_name="big"), CONFIG) as tracker:
        saved = save_something(tracker)
    assert saved.is_relative_to(big_disk)
    moved = project.rename(tmp_path / "moved")
    assert resolve_run("big", uri(moved), has_checkpoint) == saved
    assert resolve_run("one", uri(moved), has_checkpoint).is_relative_to(moved)
    (tmp_path / "big disk").rename(tmp_path / "not mounted")
    assert connect(uri(moved)).get_run(tracker.run_id).info.artifact_uri.startswith(big_disk.as_uri())
    assert len(caplog.records) == 1


def test_a_folder_with_two_names_is_not_moved(project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    link = tmp_path / "link"
    link.symlink_to(project)
    assert resolve_run("last", uri(link), has_checkpoint).is_relative_to(project)
    assert not caplog.records


def test_a_checkpoint_s_folder_leads_to_the_store_that_it_lies_in(project: Path, tmp_path: Path) -> None:
    """Also to a copy, where the store that its config names is still there."""
    place = resolve_run("last", uri(project), has_checkpoint)
    assert store_of(place, uri(project)) == uri(project)
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    place = copy / place.relative_to(project)
    for folder, named in ((place, uri(project)), (place / "000001", uri(project)), (place, None)):
        assert store_of(folder, named) == uri(copy)
    assert store_of(place, "http://host:5000") == "http://host:5000"
    shutil.copytree(place, tmp_path / "alone")
    assert store_of(tmp_path / "alone", uri(project)) == uri(project)
    before = files(project)
    with Tracker.start(TrackingConfig(uri(copy)), CONFIG, place.parents[1].name) as tracker:
        assert tracker.checkpoint_dir == place
    assert files(project) == before
