"""Evaluation curves of runs in the experiment store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from genreplay.common.errors import UserError
from genreplay.runs.store import connect, find_run, is_new, search, store_errors

if TYPE_CHECKING:
    from genreplay.runs.store import MlflowClient, Run

PREFIX = "evaluation/"
GRADIENT_STEP, SECONDS = "counters/gradient_step", "speed/elapsed_seconds"
NAN = float("nan")


class CurvePoint(NamedTuple):
    """One evaluation."""

    seconds: float
    """Since the run began, without the time between its parts; NaN where it is not known."""
    gradient_steps: float
    """Before it; NaN where it is not known."""
    value: float


class StoredRun(NamedTuple):
    """A run as the store lists it."""

    run_id: str
    name: str
    status: str
    """FINISHED, RUNNING, FAILED or KILLED."""
    start: float
    """Unix time, s."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    """Its config, flat."""
    metrics: Mapping[str, float]
    """The last value of each."""


class Reader:
    """Reads one store.

    Args:
        uri: as `store.store_uri` gives it.

    Raises:
        UserError: there is no store, or it cannot be used; so do all methods.
    """

    def __init__(self, uri: str):
        if is_new(uri):
            raise UserError(f"compare: there is no run in {uri} yet; name the store with --uri")
        self.uri = uri
        with store_errors(uri):
            self._client: MlflowClient = connect(uri)

    def experiment(self, name: str, study: str | None = None) -> list[StoredRun] | None:
        """The runs of an experiment, the oldest first; with `study` those of it. None where there is none."""
        which = "" if study is None else f"tags.study = '{study}'"
        with store_errors(self.uri):
            found = self._client.get_experiment_by_name(name)
            if found is None:
                return None
            found_runs = map(_stored, search(self._client, [found.experiment_id], which))
            return sorted(found_runs, key=lambda run: (run.start, run.name))

    def run(self, reference: str) -> list[StoredRun]:
        """The run with this id, else every run with this name."""
        with store_errors(self.uri):
            run = find_run(self._client, reference)
            if run is not None:
                return [_stored(run)]
            ids = [experiment.experiment_id for experiment in self._client.search_experiments()]
            return [_stored(run) for run in search(self._client, ids) if run.info.run_name == reference]

    def experiments(self) -> list[str]:
        """Names of all experiments."""
        with store_errors(self.uri):
            return sorted(known.name for known in self._client.search_experiments())

    def curve(self, run: StoredRun, metric: str) -> dict[int, CurvePoint]:
        """Every evaluation by env step; of one that a resumed run repeated, the later value."""
        with store_errors(self.uri):
            values = self._history(run, PREFIX + metric)
            steps, seconds = self._history(run, GRADIENT_STEP), self._history(run, SECONDS)
        curve = {}
        for step, (value, when) in values.items():
            before = [known for known in steps if known <= step]
            gradient_steps = steps[max(before)][0] if before else NAN
            elapsed = seconds[step][0] if step in seconds else NAN if seconds else when - run.start
            curve[step] = CurvePoint(elapsed, gradient_steps, value)
        return curve

    def _history(self, run: StoredRun, key: str) -> dict[int, tuple[float, float]]:
        """Value and Unix time by env step, in order."""
        if key not in run.metrics:
            return {}
        points = sorted(self._client.get_metric_history(run.run_id, key), key=lambda p: (p.step, p.timestamp))
        return {point.step: (point.value, point.timestamp / 1000) for point in points}


def _stored(run: Run) -> StoredRun:
    info, data = run.info, run.data
    name = info.run_name or info.run_id
    return StoredRun(info.run_id, name, info.status, info.start_time / 1000, data.tags, data.params, data.metrics)
