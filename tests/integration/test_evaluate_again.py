"""An evaluation that was stopped says how far it is, keeps what is finished, and goes on from there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genreplay import cli
from genreplay.common import progress
from genreplay.evaluation.episode_pool import EpisodePool
from tests.helpers.command_line import environment, genreplay
from tests.helpers.saved import save_untrained

CONFIG = "env: {name: gymnasium, max_episode_steps: 30}\nagent: {hidden_width: 8}\nreplay: {synthetic_fraction: 0}\n"


class Counted:
    """Counts the episodes that are played, and gives the program a signal as one begins."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.played, self.stop_at = 0, 0
        original = EpisodePool._simulate

        def simulate(pool, spec):
            self.played += 1
            if self.played == self.stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.2)  # in a thread of the pool; the main thread takes the signal
            return original(pool, spec)

        patch.setattr(EpisodePool, "_simulate", simulate)

    def take(self) -> int:
        played, self.played = self.played, 0
        return played


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counted:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Counted(monkeypatch)


def test_what_is_finished_is_on_disk_and_is_not_played_again(
    counted: Counted,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    saved = save_untrained(tmp_path / "checkpoint", CONFIG)
    argv = ["evaluate", "--checkpoint", str(saved), "--workers", "1", "--seeds", "1-6"]
    assert cli.main([*argv, "--output", "whole"]) == 0
    assert counted.take() == 6
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "episodes 0 of 6"
    assert lines[3].startswith("episodes 3 of 6, ")
    assert lines[3].endswith(" left")

    counted.stop_at = 4
    assert cli.main([*argv, "--output", "again"]) == 130
    assert counted.take() in (3, 4)
    (kept,) = Path("again").iterdir()
    assert kept.name.startswith("finished-")
    num_kept = len(kept.read_text().split("\n")) - 1
    assert num_kept in (3, 4)
    assert [record.message for record in caplog.records] == [
        "evaluate: stopped; start the same command again to go on from the finished episodes"
    ]
    capsys.readouterr()
    with kept.open("a") as file:
        file.write('\n{"key": "cut off')

    counted.stop_at = 0
    assert cli.main([*argv, "--output", "again"]) == 0
    assert counted.take() == 6 - num_kept
    err = capsys.readouterr().err
    assert f"{num_kept} episodes were played before; remove {kept} to play anew" in err
    assert f"episodes {num_kept} of 6\n" in err
    for name in ("episodes.csv", "summary.csv", "tables.txt"):
        assert (Path("again") / name).read_bytes() == (Path("whole") / name).read_bytes()
    assert not list(Path("again").glob("finished-*"))
    assert cli.main([*argv, "--output", "again"]) == 0
    assert counted.take() == 6, "a complete evaluation is not taken up again"


def test_without_an_output_it_is_kept_in_the_default_store_s_folder(counted: Counted, tmp_path: Path) -> None:
    saved = save_untrained(tmp_path / "checkpoint", CONFIG)
    argv = ["evaluate", "--checkpoint", str(saved), "--workers", "1", "--seeds", "1-4"]
    counted.stop_at = 3
    assert cli.main(argv) == 130
    assert len(list(Path("mlruns/evaluation").glob("finished-*"))) == 1
    counted.take()
    counted.stop_at = 0
    assert cli.main(argv) == 0
    assert counted.take() < 4
    assert not Path("mlruns").exists()


@pytest.mark.parametrize("change", ["policy", "option", "file"])
def test_an_episode_of_another_policy_or_configuration_is_played(counted: Counted, tmp_path: Path, change: str) -> None:
    from genreplay.runs.identity import identity
    from genreplay.runs.policy import load_policy

    first = load_policy(save_untrained(tmp_path / "one", CONFIG))
    before = identity(first.config, first.policy)
    assert identity(first.config, first.policy) == before
    if change == "policy":
        other = load_policy(save_untrained(tmp_path / "two", CONFIG + "seed: 7\n"))
        assert identity(first.config, other.policy) != before
    elif change == "option":
        first.config.env.max_episode_steps = 31
        assert identity(first.config, first.policy) != before
    else:
        first.config.env.id = str(tmp_path / "counts.csv")
        (tmp_path / "counts.csv").write_text("1\n")
        one = identity(first.config, first.policy)
        (tmp_path / "counts.csv").write_text("2\n")
        assert identity(first.config, first.policy) != one
    first.config.tracking.uri = "sqlite:///elsewhere.db"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_with_its_simulators_at_work_it_goes_on(tmp_path: Path, number: int) -> None:
    """A long episode under way holds nobody up."""
    (tmp_path / "x.yaml").write_text("env: {episode_seconds: 900}\nreplay: {synthetic_fraction: 0}\n")
    argv = ["evaluate", "--config", "x.yaml", "--demand", "1000", "--baselines", "fixed_plan,max_pressure"]
    argv += ["--workers", "1", "--seeds", "1-8", "--output", "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "genreplay", *argv], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    )
    kept: list[Path] = []
    while not (kept and len(kept[0].read_text().splitlines()) > 2):
        assert process.poll() is None
        time.sleep(0.1)
        kept = list((tmp_path / "out").glob("finished-*"))
    process.send_signal(number)
    assert process.wait(60) == (-number if number == signal.SIGKILL else 130)
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    again = genreplay(tmp_path, *argv)
    assert again.returncode == 0, again.stderr
    assert "episodes were played before" in again.stderr.replace("\n", " ")
    assert len((tmp_path / "out/episodes.csv").read_text().splitlines()) == 1 + 16
