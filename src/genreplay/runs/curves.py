"""Evaluation curves of all finished runs of an MLflow experiment."""

from __future__ import annotations

from typing import NamedTuple

from genreplay.common.errors import UserError
from genreplay.runs.store import connect, is_new, store_errors

PREFIX = "evaluation/"


class CurvePoint(NamedTuple):
    """One evaluation of one run."""

    run_name: str
    seed: int
    env_step: int
    value: float
    baseline: float
    """The baseline's metric on the same episodes; NaN where there is no baseline."""


def curves(uri: str, experiment: str, metric: str) -> list[CurvePoint]:
    """Every evaluation of every finished run, ordered by seed and env step.

    Raises:
        UserError: the store has no such experiment, it has no finished run, or no run has this metric.
    """
    if is_new(uri):
        raise UserError(f"compare: there is no run in {uri} yet; name the store with --uri")
    with store_errors(uri):
        client = connect(uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            names = ", ".join(sorted(known.name for known in client.search_experiments()))
            raise UserError(f"compare: {uri} has no experiment {experiment!r}; choose one of {names}")
        runs = client.search_runs([found.experiment_id], "attributes.status = 'FINISHED'")
        points = [
            CurvePoint(
                run.info.run_name or run.info.run_id,
                int(run.data.params["seed"]),
                point.step,
                point.value,
                run.data.metrics.get(f"baseline/{metric}", float("nan")),
            )
            for run in runs
            for point in client.get_metric_history(run.info.run_id, PREFIX + metric)
        ]
    if not runs:
        raise UserError(f"compare: no run of the experiment {experiment!r} is finished")
    if not points:
        known = sorted({name.removeprefix(PREFIX) for run in runs for name in run.data.metrics if PREFIX in name})
        raise UserError(f"--metric {metric}: no run of {experiment!r} has it; choose one of {', '.join(known)}")
    return sorted(points, key=lambda point: (point.seed, point.env_step))
