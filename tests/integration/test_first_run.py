"""The example of the Python interface, as a user starts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY


@pytest.mark.slow
def test_the_first_run_trains_loads_samples_and_evaluates(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    program = [sys.executable, str(REPOSITORY / "examples/first_run.py")]
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run, transitions, real, sampled, action, *episodes = done.stdout.splitlines()
    assert run.startswith("run ")
    assert Path(run.split(" is in ")[1]).is_relative_to(tmp_path)
    assert transitions == (
        "1200 real and 2000 synthetic transitions; keys: ['action', 'is_synthetic', 'next', 'observation']"
    )
    means = [float(line.split()[2]) for line in (real, sampled)]
    assert all(-17 < mean < 0 for mean in means), "Pendulum pays between -16.3 and 0"
    assert abs(float(action.split()[-1])) <= 1
    assert [episode.rsplit(" ", 1)[0] for episode in episodes] == [
        "episode of seed 101: return",
        "episode of seed 102: return",
    ]
