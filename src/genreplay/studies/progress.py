"""How far the cells of a study have come, as the store and the launcher tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from genreplay.common.errors import UserError
from genreplay.config import to_yaml
from genreplay.config.schema import ExperimentConfig
from genreplay.runs.cells import CellRun, cell_runs, finished_runs
from genreplay.runs.tracker import flatten
from genreplay.studies.study import Cell, Study

FREE_SECTIONS = ("tracking.", "fabric.")
"""Options that may change between the parts of a run: they do not belong to the method."""
COSTLY = ("env.", "agent.", "generator.", "relevance.", "replay.", "synthesis.", "loop.utd_ratio", "loop.num_workers")
LONGEST_COMPARED = 500
"""Characters of an option that are compared; a store may cut longer ones."""


@dataclass
class Progress:
    """One cell."""

    cell: Cell
    num_env_steps: int
    """Length of its run."""
    state: str = "waiting"
    """waiting, running, finished, failed or stopped."""
    tries: int = 0
    """How often it ended without being done."""
    run: CellRun | None = None
    first: tuple[float, int] | None = None
    """Time, in s, and env step at which it was first seen to move since this command began."""
    now: float = 0.0
    """When it was seen last, in s."""

    @property
    def env_step(self) -> int:
        """The last one reported."""
        return 0 if self.run is None else min(self.run.env_step, self.num_env_steps)

    def see(self, run: CellRun | None, now: float) -> None:
        """Take up what the store knows at the time `now`, in s."""
        self.run, self.now = run, now
        if self.state == "running" and self.first is None and self.env_step > 0:
            self.first = now, self.env_step

    @property
    def seconds_per_env_step(self) -> float | None:
        """Since this command began; None where it has not moved yet."""
        if self.first is None or self.env_step <= self.first[1]:
            return None
        return (self.now - self.first[0]) / (self.env_step - self.first[1])

    @property
    def seconds_left(self) -> float | None:
        """Of its run, at its speed so far."""
        speed = self.seconds_per_env_step
        return None if speed is None or self.state != "running" else speed * (self.num_env_steps - self.env_step)


def begin(study: Study) -> dict[Cell, Progress]:
    """Every cell as the store knows it.

    Raises:
        UserError: the store cannot be used, or holds runs of this study that were trained with other options.
    """
    cells = {cell: Progress(cell, e.loop.num_env_steps) for cell, e in study.experiments.items()}
    for cell, run in runs_of(study).items():
        _check_same(study.name, cell, study.experiments[cell], run)
        cells[cell].run = run
        cells[cell].state = "finished" if run.status == "FINISHED" else "waiting"
    return cells


def runs_of(study: Study) -> dict[Cell, CellRun]:
    """The run of each cell that has one: the finished one, else the newest.

    Raises:
        UserError: the store cannot be used, or a cell has several finished runs.
    """
    found: dict[Cell, CellRun] = {}
    for run in cell_runs(study.uri, study.experiment, study.name):
        cell = Cell(run.arm, run.seed)
        known = found.get(cell)
        if known is not None and known.status == run.status == "FINISHED":
            raise UserError(
                f"study {study.name}: {cell} has two finished runs, {known.run_id} and "
                f"{run.run_id}; delete one in MLflow"
            )
        if cell in study.experiments and (known is None or known.status != "FINISHED"):
            found[cell] = run
    return found


def _check_same(study: str, cell: Cell, experiment: ExperimentConfig, run: CellRun) -> None:
    """A study must not mix runs of different options under one name."""
    wanted = flatten(yaml.safe_load(to_yaml(experiment)))
    differing = [
        f"{key}={run.params[key]}, now {value}"
        for key, value in wanted.items()
        if key in run.params
        and run.params[key][:LONGEST_COMPARED] != value[:LONGEST_COMPARED]
        and not key.startswith(FREE_SECTIONS)
    ]
    if differing:
        raise UserError(
            f"study {study}: the run {run.run_id} of {cell} was trained with other options ({'; '.join(differing)}); "
            "give the study another name, or delete its runs in MLflow"
        )


def seconds_left(cells: Iterable[Progress], at_once: int, earlier: Mapping[str, float] | None = None) -> float | None:
    """Estimate for the whole study; None where nothing is known of its speed.

    Args:
        cells: of the study.
        at_once: how many run at the same time.
        earlier: seconds for each env step of finished cells, by arm.
    """
    cells = list(cells)
    speeds = dict(earlier or {})
    for cell in cells:
        if cell.seconds_per_env_step is not None:
            speeds[cell.cell.arm] = cell.seconds_per_env_step
    if not speeds:
        return None
    usual = sum(speeds.values()) / len(speeds)
    left = [
        (cell.num_env_steps - cell.env_step) * speeds.get(cell.cell.arm, usual)
        for cell in cells
        if cell.state in ("waiting", "running")
    ]
    return max(sum(left) / max(at_once, 1), max(left, default=0.0))


def speeds_of_finished(cells: Iterable[Progress]) -> dict[str, float]:
    """Seconds for each env step of the fastest finished cell of each arm: pauses only make a run longer."""
    speeds: dict[str, float] = {}
    for cell in cells:
        if cell.state == "finished" and cell.run is not None and cell.run.seconds is not None:
            speed = cell.run.seconds / cell.num_env_steps
            speeds[cell.cell.arm] = min(speed, speeds.get(cell.cell.arm, speed))
    return speeds


def earlier_speeds(study: Study, cells: Iterable[Progress]) -> dict[str, float]:
    """As `speeds_of_finished`; for arms without a finished cell from other finished runs with the same parts."""
    speeds = speeds_of_finished(cells)
    runs = [run for run in finished_runs(study.uri) if run.seconds is not None and run.env_step > 0]
    for cell, experiment in study.experiments.items():
        if cell.arm not in speeds:
            wanted = _cost(flatten(yaml.safe_load(to_yaml(experiment))))
            like = [run.seconds / run.env_step for run in runs if run.seconds and _cost(run.params) == wanted]
            if like:
                speeds[cell.arm] = min(like)
    return speeds


def _cost(params: Mapping[str, str]) -> dict[str, str]:
    """The options that decide how long an env step takes."""
    return {key: value for key, value in params.items() if key.startswith(COSTLY)}
