"""A run that is killed again and again ends as if nothing had happened; `make chaos` does it at length."""

import re
import subprocess
import sys

import pytest

from tests.helpers.paths import REPOSITORY


@pytest.mark.slow
def test_killed_runs_resume_with_nothing_lost() -> None:
    command = [sys.executable, "-m", "tests.helpers.chaos", "pendulum=3"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first, last = done.stdout.splitlines()
    assert re.match(r"pendulum: 3 of 3 kills resumed with nothing lost \(.*\); \d+ metric points, each once", first)
    assert last == "3 of 3 kills resumed with nothing lost"
