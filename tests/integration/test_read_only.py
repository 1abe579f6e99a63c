"""A store that nothing can be written to, and that lies elsewhere than it was made: an archive."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genreplay.config.reader import load, to_yaml
from genreplay.config.schema import TrackingConfig
from genreplay.runs.tracker import Tracker
from tests.helpers.command_line import environment
from tests.helpers.paths import CONF
from tests.helpers.saved import save_untrained

COMMANDS = """
import sys
from genreplay.cli import main
out, run = sys.argv[1:]
print(main(["report", "--run", "last", "--no-film", "--output", f"{out}/report.html"]))
print(main(["export", "--run", run, "--output", out]))
print(main(["evaluate", "--run", "last", "--seeds", "1", "--workers", "1", "--output", out]))
print(main(["fit", "--resume", "last"]))
"""
AS_OTHERS = [] if os.getuid() else ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
"""The superuser may write to what is read-only; without this right even the superuser may not."""


@pytest.mark.slow
def test_a_read_only_store_reports_exports_and_evaluates(tmp_path: Path) -> None:
    overrides = ["env.max_episode_steps=35", "generator.name=none", "relevance.name=none", "fabric.accelerator=cpu"]
    text = to_yaml(load(CONF / "pendulum_pgr.yaml", overrides))
    made, archive, out = tmp_path / "made", tmp_path / "archive", tmp_path / "out"
    made.mkdir()
    with Tracker.start(TrackingConfig(f"sqlite:///{made}/mlruns/mlflow.db"), text) as tracker:
        save_untrained(tracker.checkpoint_dir, text, run_id=tracker.run_id)
        tracker.metrics({"evaluation/return": -7.0}, 10)
    made.rename(archive)
    everything = [archive, *archive.rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in everything}
    for path in everything:
        path.chmod(path.stat().st_mode & 0o555)
    command = [*AS_OTHERS, sys.executable, "-c", COMMANDS, str(out), tracker.run_id]
    done = subprocess.run(command, cwd=archive, capture_output=True, text=True, check=False, env=environment())
    for path in everything:
        path.chmod(path.stat().st_mode | 0o700)
    assert [line for line in done.stdout.splitlines() if line.isdecimal()] == ["0", "0", "0", "2"], done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("genreplay: error: ")
    assert {"report.html", "policy.onnx", "episodes.csv"} <= {path.name for path in out.iterdir()}
    assert {path: path.stat().st_mtime_ns for path in [archive, *archive.rglob("*")]} == before
