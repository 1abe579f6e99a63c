"""The benchmarks run, for a moment each; how fast anything is, no test says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(tmp_path: Path, name: str, *options: str):
    file = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARKS / name), *options, "--json", str(file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text()), done.stdout


@pytest.mark.slow
def test_critic_updates(tmp_path: Path) -> None:
    figures, printed = run(tmp_path, "critic_updates.py", "--quick")
    assert figures
    for contender in ("plain loop", "genreplay fp32", "TorchRL REDQLoss"):
        assert contender in printed


@pytest.mark.slow
def test_env_stepping(tmp_path: Path) -> None:
    figures, printed = run(tmp_path, "env_stepping.py", "--seconds", "60", "--repeats", "1")
    assert figures
    for contender in ("bare", "simulator", "env_2", "sumo_rl_traci"):
        assert contender in printed


@pytest.mark.slow
def test_overcooked_validity(tmp_path: Path) -> None:
    size = ["generator.width=16", "generator.num_blocks=1", "generator.head_width=16", "generator.num_fit_steps=60"]
    few = ["--layouts", "cramped_room", "--generators", "factorised", "--rows", "600", "--samples", "200"]
    (line,), printed = run(tmp_path, "overcooked_validity.py", *few, *size)
    assert "cramped_room" in printed
    assert 0 <= line["valid"] < 0.9, "so short a fit must show its mistakes"
    assert 0 <= line["kept of the sure"] <= 1
    assert line["wrong"]
