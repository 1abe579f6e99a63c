"""sumo-rl with Stable-Baselines3 on our evaluation episodes."""

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY
from tests.helpers.scripts import BENCHMARKS

HAS_PEERS = importlib.util.find_spec("stable_baselines3") is not None


def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == status, done.stderr
    return done


def peers(folder: Path, *options: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    return run(str(BENCHMARKS / "sumo_rl_peers.py"), "--output", str(folder), *options, status=status)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "2way.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_an_episode_is_the_same_in_sumo_rl_and_where_it_is_measured() -> None:
    found = json.loads(run("-m", "tests.integration.sumo_rl_script").stdout.splitlines()[-1])
    assert found["measured"] == pytest.approx(found["sumo-rl"], abs=1e-9)
    assert found["measured fixed"] == found["baseline"]
    assert found["measured"] != found["baseline"]


@pytest.mark.slow
def test_the_table_has_the_means_of_the_rows(tmp_path: Path) -> None:
    fixed = ("--maps", "2way", "--methods", "fixed_ts", "--demands", "1000,2600")
    printed = peers(tmp_path, *fixed, "--seeds", "101,102").stdout
    delays = {(row["demand"], row["seed"]): float(row["delay"]) for row in rows(tmp_path)}
    light, dense = ((delays[demand, "101"] + delays[demand, "102"]) / 2 for demand in ("1000", "2600"))
    reds = max(float(row["longest_red"]) for row in rows(tmp_path))
    head, _, line = (text for text in printed.splitlines() if text.startswith("|"))
    assert head == "| policy | 1000 | 2600* | range | by training seed | worst episode | longest red |"
    worst = max(delays.values())
    assert line == f"| fixed_ts | {light:.1f} | {dense:.1f} | {light:.1f} | {light:.1f} | {worst:.0f} | {reds:.0f} |"


@pytest.mark.slow
@pytest.mark.skipif(not HAS_PEERS, reason="needs genreplay[peers]")
@pytest.mark.parametrize(("method", "steps"), [("dqn", "12"), ("ppo", "256")])
def test_a_policy_is_trained_and_evaluated_once(tmp_path: Path, method: str, steps: str) -> None:
    options = ("--maps", "2way", "--methods", method, "--budgets", "0.002", "--demands", "1000")
    peers(tmp_path, *options, "--seeds", "101")
    (model,) = (tmp_path / "models").iterdir()
    (row,), written = rows(tmp_path), model.stat().st_mtime_ns
    assert (row["method"], row["training_steps"], row["num_decisions"]) == (method, steps, "360.0")
    assert 5 < float(row["delay"]) < 1800
    peers(tmp_path, *options, "--seeds", "101,102")
    assert model.stat().st_mtime_ns == written
    assert [row["seed"] for row in rows(tmp_path)] == ["101", "102"]
    assert rows(tmp_path)[0] == row


@pytest.mark.skipif(HAS_PEERS, reason="genreplay[peers] is installed")
def test_missing_peers_are_named(tmp_path: Path) -> None:
    done = peers(tmp_path, "--methods", "dqn", status=2)
    assert done.stderr.splitlines()[-1] == (
        '--methods dqn: Stable-Baselines3 is not installed: pip install "genreplay[peers]"'
    )


def test_an_unknown_map_is_refused(tmp_path: Path) -> None:
    done = peers(tmp_path, "--maps", "3way", status=2)
    assert done.stderr.splitlines()[-1] == (
        "sumo_rl_peers.py: error: --maps 3way: there is no such one; choose among 2way, cologne1, ingolstadt1"
    )
