"""One store for all tests of this folder: to make one takes seconds."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def work_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work place")  # a space, as homes have


@pytest.fixture(autouse=True)
def _work_there(work_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work_place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
