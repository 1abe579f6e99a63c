"""A study on the screen: one live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from genreplay.common.progress import duration
from genreplay.studies.progress import Progress, seconds_left, speeds_of_finished
from genreplay.studies.study import Cell, Study

STYLES = {"finished": "green", "failed": "bold red", "running": "", "waiting": "dim", "stopped": "yellow"}


class Screen:
    """Shows the cells of one study on stderr.

    Args:
        study: whose cells they are.
        console: where to write; a table where it is a terminal.
    """

    def __init__(self, study: Study, console: Console | None = None):
        self.study = study
        self.console = console or Console(stderr=True, highlight=False)
        self._live = Live(console=self.console, refresh_per_second=2) if self.console.is_terminal else None
        self._told: dict[Cell, tuple[int, float | None]] = {}

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def line(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        self.console.print(text, soft_wrap=True, markup=False)

    def show(self, cells: dict[Cell, Progress]) -> None:
        """Update the table, or print a line for each cell with a new evaluation."""
        if self._live is not None:
            self._live.update(table(self.study, cells))
            return
        for cell, progress in cells.items():
            value = _value(self.study, progress)
            if progress.state == "running" and value is not None and self._told.get(cell, (0, None))[1] != value:
                self._told[cell] = progress.env_step, value
                metric = self.study.config.plan.metric
                self.line(f"{cell}: {', '.join([position(progress), f'{metric} {value:.1f}'])}")


def position(progress: Progress) -> str:
    """How far a cell is, such as `env step 80 of 160, 2 min left`."""
    left = progress.seconds_left
    return f"env step {progress.env_step} of {progress.num_env_steps}" + (
        "" if left is None else f", {duration(left)} left"
    )


def table(study: Study, cells: dict[Cell, Progress]) -> Table:
    """Arm by seed: state or env step, the plan's metric, time left."""
    shown = Table(title=f"study {study.name}: {study.config.plan.metric}", caption=summary(cells), title_justify="left")
    shown.add_column("arm")
    for seed in study.config.seeds:
        shown.add_column(f"seed {seed}", justify="right")
    for arm in study.config.arms:
        shown.add_row(arm, *(_cell(study, cells[Cell(arm, seed)]) for seed in study.config.seeds))
    return shown


def summary(cells: dict[Cell, Progress]) -> str:
    """Counts of every state, and the time left."""
    states = [progress.state for progress in cells.values()]
    counts = [f"{states.count(state)} {state}" for state in STYLES if state in states]
    left = seconds_left(cells.values(), states.count("running"), speeds_of_finished(cells.values()))
    working = {"running", "waiting"} & set(states)
    return f"{len(cells)} cells: {', '.join(counts)}" + (f"; about {duration(left)} left" if working and left else "")


def _cell(study: Study, progress: Progress) -> str:
    value = _value(study, progress)
    moved = progress.env_step > 0 and progress.state not in ("finished", "failed")
    parts = [f"{progress.env_step}/{progress.num_env_steps}" if moved else progress.state]
    if value is not None:
        parts.append(f"{value:.1f}")
    if progress.seconds_left is not None:
        parts.append(duration(progress.seconds_left))
    style = STYLES[progress.state]
    return f"[{style}]{' · '.join(parts)}[/]" if style else " · ".join(parts)


def _value(study: Study, progress: Progress) -> float | None:
    return None if progress.run is None else progress.run.evaluation.get(study.config.plan.metric)
