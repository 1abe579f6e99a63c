"""Runs to compare: made by hand, and written into a real MLflow store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from genreplay.comparison.runs import ComparedRun
from genreplay.runs.curves import CurvePoint

HOSTILE = '<script>alert(1)</script> $x_1^{2}$ & "50 %" | `rm` \\frac #~'


def run(arm: str, seed: int, values: Sequence[float] | Mapping[int, float], world: str = "") -> ComparedRun:
    """A run with these values, at env steps 10, 20 and so on where they have none."""
    by_step = values if isinstance(values, Mapping) else {10 * (i + 1): value for i, value in enumerate(values)}
    points = {step: CurvePoint(step / 2, step * 4.0, value) for step, value in by_step.items()}
    return ComparedRun(arm, world, seed, points)


def write_run(
    uri: str,
    experiment: str,
    seed: int,
    values: Sequence[float] | Mapping[int, float],
    *,
    tags: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    metric: str = "return",
    status: str = "FINISHED",
    start: int = 1_000_000,
) -> str:
    """A run in the store, evaluated every 10 env steps, which took 5 s; its id."""
    client = MlflowClient(uri)
    known = client.get_experiment_by_name(experiment)
    where = client.create_experiment(experiment) if known is None else known.experiment_id
    tags = dict(tags or {})
    made = client.create_run(where, start_time=start, run_name=tags.pop("name", f"{experiment}-{seed}"))
    by_step = values if isinstance(values, Mapping) else {10 * (i + 1): value for i, value in enumerate(values)}
    points = [Metric(f"evaluation/{metric}", value, start + 500 * step, step) for step, value in by_step.items()]
    points += [Metric("counters/gradient_step", 4.0 * step, start + 500 * step, step) for step in by_step]
    options = {"seed": str(seed), "env.name": "gymnasium", "env.id": "Pendulum-v1", **(params or {})}
    client.log_batch(
        made.info.run_id,
        points,
        [Param(key, text) for key, text in options.items()],
        [RunTag(key, text) for key, text in tags.items()],
    )
    if status != "RUNNING":
        client.set_terminated(made.info.run_id, status)
    return made.info.run_id


def store(folder: Path) -> str:
    """Its URI."""
    return f"sqlite:///{folder}/mlflow.db"
