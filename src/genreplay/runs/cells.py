"""Runs of a study, as the store knows them: one for each arm and seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from genreplay.runs.store import connect, is_new, search, store_errors

if TYPE_CHECKING:
    from genreplay.runs.store import Run

PREFIX = "evaluation/"


class CellRun(NamedTuple):
    """One run; those of a study have the tags `study`, `arm` and `seed`."""

    run_id: str
    arm: str
    """Empty where it belongs to no study."""
    seed: int
    status: str
    """FINISHED, RUNNING, FAILED or KILLED."""
    seconds: float | None
    """From its start to its end; None while it runs."""
    env_step: int
    """The last one that it reported."""
    evaluation: Mapping[str, float]
    """Its last evaluation: every metric by its name."""
    params: Mapping[str, str]
    """Its config, flat."""


def cell_runs(uri: str, experiment: str, study: str) -> list[CellRun]:
    """Every run of a study that was not deleted, the oldest first.

    Raises:
        UserError: the store cannot be used.
    """
    if is_new(uri):
        return []
    with store_errors(uri):
        client = connect(uri)
        found = client.get_experiment_by_name(experiment)
        ids = [] if found is None else [found.experiment_id]
        found_runs = map(_cell_run, search(client, ids, f"tags.study = '{study}'"))
        return [run for run in found_runs if run.arm]


def finished_runs(uri: str) -> list[CellRun]:
    """Every finished run of the store, of a study or not, the oldest first.

    Raises:
        UserError: the store cannot be used.
    """
    if is_new(uri):
        return []
    with store_errors(uri):
        client = connect(uri)
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        return [_cell_run(run) for run in search(client, ids, "attributes.status = 'FINISHED'")]


def _cell_run(run: Run) -> CellRun:
    info, metrics = run.info, run.data.metrics
    return CellRun(
        info.run_id,
        run.data.tags.get("arm", ""),
        int(run.data.params.get("seed", 0)),
        info.status,
        (info.end_time - info.start_time) / 1000 if info.end_time else None,
        int(metrics.get("counters/env_step", 0)),
        {name.removeprefix(PREFIX): value for name, value in metrics.items() if name.startswith(PREFIX)},
        run.data.params,
    )


def discard(uri: str, run_id: str) -> None:
    """Move a run to MLflow's trash: it left nothing to go on from, and its cell begins anew."""
    with store_errors(uri):
        connect(uri).delete_run(run_id)
