"""Runs of the command line as processes, and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from genreplay.runs import checkpoint


def genreplay(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "genreplay", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environment(),
    )


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}


def interrupt_after(
    words: str, folder: Path, arguments: list[str], number: int = signal.SIGINT, delay: float = 0.0
) -> str:
    """Send a signal (Ctrl-C) `delay` seconds after a run says `words`; what it says from then on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "genreplay", *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            time.sleep(delay)
            process.send_signal(number)
            break
    rest = process.stderr.read()
    assert process.wait(60) == 130, rest
    return rest


def only_run(folder: Path):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert len(runs) == 1
    return client, runs[0]


def last_checkpoint(folder: Path) -> checkpoint.Checkpoint:
    (manifest,) = folder.glob("mlruns/**/checkpoints/*/manifest.json")
    return checkpoint.load(manifest.parent)


def assert_same(one: checkpoint.Checkpoint, other: checkpoint.Checkpoint) -> None:
    """Weights, optimisers, buffers, random streams and counters are equal to the last bit."""
    for part in ("modules", "optimizers", "rng"):
        assert_equal(getattr(one, part), getattr(other, part), part)
    assert_equal(dict(one.buffers.items(True, True)), dict(other.buffers.items(True, True)), "buffers")
    states = [{**state.counters, "run_id": "", "report": {**state.counters["report"]}} for state in (one, other)]
    for state in states:
        for name in ("times", "tracker"):
            state["report"].pop(name)
    assert_equal(states[0], states[1], "counters")


def assert_equal(one: Any, other: Any, place: str) -> None:
    """Two trees of state are equal; the message names the place that differs."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key, value in one.items():
            assert_equal(value, other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for i, value in enumerate(one):
            assert_equal(value, other[i], f"{place}.{i}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), f"{place} differs"
    else:
        assert one == other or one != one, f"{place} differs: {one} and {other}"
