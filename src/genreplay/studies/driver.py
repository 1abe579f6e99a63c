"""Runs every cell of a study to its end: submits, watches, tries again, stops."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from genreplay.common.errors import UserError
from genreplay.studies.launchers.base import STARTED, Launcher, State
from genreplay.studies.progress import Progress, runs_of
from genreplay.studies.study import Cell, Study
from genreplay.studies.tasks import task_of

POLL_SECONDS = 0.5
"""Between two looks at the jobs."""
READ_SECONDS = 3.0
"""Between two looks at the store."""
STOPPED_CODE = 130


class Display(Protocol):
    """What shows the study to the user."""

    def line(self, text: str) -> None:
        """Something happened."""

    def show(self, cells: dict[Cell, Progress]) -> None:
        """The cells have moved."""


class Driver:
    """The cells of one study under one launcher.

    Args:
        study: to run.
        cells: as `progress.begin` returns them.
        launcher: starts the processes.
        display: shows what happens.
    """

    def __init__(self, study: Study, cells: dict[Cell, Progress], launcher: Launcher, display: Display):
        self.study, self.cells, self.launcher, self.display = study, cells, launcher, display
        self._jobs: dict[Cell, Any] = {}
        self._last_read = float("-inf")
        self._store_answers = True

    def run(self, stop: Callable[[], bool]) -> None:
        """Return when every cell is finished, failed or, after `stop()` was true once, stopped."""
        self._submit([cell for cell, progress in self.cells.items() if progress.state != "finished"])
        stopping = False
        while self._jobs:
            if stop() and not stopping:
                stopping = True
                self.display.line("stopping: every running cell saves and ends; the same command goes on")
                for job in self._jobs.values():
                    self.launcher.cancel(job)
            states = {cell: self.launcher.poll(job) for cell, job in self._jobs.items()}
            ended = {cell: state.code for cell, state in states.items() if self._has_ended(cell, state)}
            for cell in ended:
                del self._jobs[cell]
            self._read(now=bool(ended))
            self._submit([cell for cell, code in ended.items() if self._is_due_again(cell, code, stopping)])
            self.display.show(self.cells)
            if self._jobs:
                time.sleep(POLL_SECONDS)

    def _submit(self, cells: list[Cell]) -> None:
        if cells:
            jobs = self.launcher.submit([task_of(self.study, cell) for cell in cells])
            self._jobs |= dict(zip(cells, jobs, strict=True))

    def _has_ended(self, cell: Cell, state: State) -> bool:
        progress = self.cells[cell]
        if state.code is None:
            now = "running" if state.running else "waiting"
            if now == "running" and progress.state != "running":
                self.display.line(f"{cell}: started")
            progress.state = now
        return state.code is not None

    def _is_due_again(self, cell: Cell, code: int | None, stopping: bool) -> bool:
        """Note how a cell ended; whether it is to be tried again."""
        progress = self.cells[cell]
        progress.first = None
        if code == 0:
            progress.state = "finished"
            self.display.line(f"{cell}: finished{self._value(progress)}")
            return False
        if stopping:
            progress.state = "stopped"
            return False
        progress.tries += 1
        again = progress.tries <= self.study.config.retries
        progress.state = "waiting" if again else "failed"
        how = "was stopped" if code == STOPPED_CODE else f"ended with exit status {code} ({self._last_words(cell)})"
        then = f"try {progress.tries + 1} of {self.study.config.retries + 1}" if again else "given up"
        self.display.line(f"{cell}: {how}; {then}; see {self.study.log(cell)}")
        return again

    def _value(self, progress: Progress) -> str:
        metric = self.study.config.plan.metric
        known = {} if progress.run is None else progress.run.evaluation
        if metric in known:
            return f": {metric} {known[metric]:.1f}"
        return f"; plan.metric: it has no {metric!r}, only {', '.join(sorted(known))}" if known else ""

    def _last_words(self, cell: Cell) -> str:
        try:
            lines = self.study.log(cell).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return "it printed nothing"
        last = next((line.strip()[:200] for line in reversed(lines) if line.strip()), STARTED)
        return "it printed nothing" if last.startswith(STARTED) else last

    def _read(self, now: bool) -> None:
        """See what the store knows; where it does not answer, the cells go on unseen."""
        time_now = time.monotonic()
        if not now and time_now - self._last_read < READ_SECONDS:
            return
        self._last_read = time_now
        try:
            runs = runs_of(self.study)
        except UserError as error:
            if self._store_answers:
                self.display.line(f"{error}; the cells go on")
            self._store_answers = False
            return
        self._store_answers = True
        for cell, progress in self.cells.items():
            progress.see(runs.get(cell), time_now)
