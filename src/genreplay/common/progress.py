"""Progress display: Rich bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

LINE_SECONDS = 30.0
"""Least time between two lines about work that goes on, where there is no terminal, s."""


class Pace:
    """How far work is and how long the rest will take, from its mean speed."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def begin(self, done: int) -> None:
        """Time what comes after `done`; later calls change nothing."""
        self._first = self._first or (done, time.monotonic())

    def position(self, done: int, total: int) -> str:
        """Such as `1200 of 6000, 12 min left`; without a time where nothing was done since the beginning."""
        first, started = self._first or (done, 0.0)
        if done <= first:
            return f"{done} of {total}"
        return f"{done} of {total}, {duration((time.monotonic() - started) * (total - done) / (done - first))} left"


class Bars:
    """One lasting bar for the run, and temporary ones for long work inside it.

    Args:
        total_env_steps: length of the run's bar.
        console: where to draw. Without a terminal only lines are printed: those of `line`, and one each `LINE_SECONDS`
            about work that goes on.
        what: unit of the bar.
    """

    def __init__(self, total_env_steps: int, console: Console | None = None, what: str = "env steps"):
        self.console = console or Console(stderr=True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            Remaining(),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
            disable=not self.console.is_terminal,
            refresh_per_second=4,
        )
        self._run = self._progress.add_task(what, total=total_env_steps, figures="")
        self._total = total_env_steps
        self._what, self._pace = what, Pace()
        self._last_line = time.monotonic()

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._progress.stop()

    def advance(self, env_step: int, figures: str | None = None) -> None:
        """Set the run's bar to `env_step`, and the figures next to it if given."""
        self._pace.begin(env_step)
        if figures is None:
            self._progress.update(self._run, completed=env_step)
        else:
            self._progress.update(self._run, completed=env_step, figures=figures)

    def position(self, env_step: int) -> str:
        """How far the run is, such as `1200 of 6000, 12 min left`, estimated from the mean speed so far."""
        return self._pace.position(env_step, self._total)

    def go_on(self, done: int) -> None:
        """Set the run's bar to `done`; where there is no terminal, print a line about it now and then."""
        self.advance(done)
        self._now_and_then(lambda: f"{self._what} {self.position(done)}")

    def line(self, text: str) -> None:
        """Print a line above the bars."""
        self._last_line = time.monotonic()
        self.console.print(text, soft_wrap=True)

    def _now_and_then(self, text: Callable[[], str]) -> None:
        if not self.console.is_terminal and time.monotonic() - self._last_line >= LINE_SECONDS:
            self.line(text())

    @contextmanager
    def passing(self, what: str, total: int | None = None) -> Iterator[Callable[[int, int | None, str], None]]:
        """A bar that disappears when its work is done; yields `update(completed, total, figures)`."""
        task, pace = self._progress.add_task(what, total=total, figures=""), Pace()
        pace.begin(0)

        def update(completed: int, total: int | None, figures: str) -> None:
            self._progress.update(task, completed=completed, total=total, figures=figures)
            done = [] if total is None else [pace.position(completed, total)]
            self._now_and_then(lambda: f"{what}: {', '.join([*done, *filter(None, [figures])])}")

        try:
            yield update
        finally:
            self._progress.remove_task(task)


def duration(seconds: float) -> str:
    """A time in words, rounded up: `45 s`, `12 min` or `3 h 20 min`."""
    minutes = math.ceil(seconds / 60)
    if seconds <= 60:
        return f"{math.ceil(seconds)} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def log_above(console: Console) -> Iterator[None]:
    """Warnings as lines above the console's bars instead of through them."""
    log = logging.getLogger("genreplay")
    handler = RichHandler(console=console, show_time=False, show_path=False)
    log.addHandler(handler)
    propagate, log.propagate = log.propagate, False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagate
