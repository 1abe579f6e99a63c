"""Runs of the command line as processes, and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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
    assert one.modules.keys() == other.modules.keys() >= {"agent", "generator", "relevance"}
    for name, weights in one.modules.items():
        for key, value in weights.items():
            assert torch.equal(value, other.modules[name][key]), f"{name}.{key} differs"
    for key, value in one.buffers.items(include_nested=True, leaves_only=True):
        assert torch.equal(value, other.buffers[key]), f"buffer {key} differs"
    for state in (one.counters, other.counters):
        state.pop("run_id", None)
        state["report"].pop("elapsed", None)
    assert one.counters == other.counters
