"""The command `genreplay study`: run every arm of a study with every seed."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from genreplay.commands.options import add_command

if TYPE_CHECKING:
    from genreplay.studies.launchers.base import Launcher
    from genreplay.studies.study import Cell, Study

ABOUT = (
    "Run a study: every arm with every seed, each cell a run of its own. Finished cells are skipped, broken ones go on "
    "from their checkpoint, failed ones are tried again and then reported. Ctrl-C stops all cells; the same command "
    "goes on."
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    command = add_command(commands, run, "run a study: arms times seeds", ABOUT, takes_overrides=False)
    command.add_argument("study", metavar="STUDY", help="a study file, or the name of a shipped one")
    text = "options that override the study file's, such as launcher.cells=2"
    command.add_argument("overrides", metavar="key=value", nargs="*", help=text)
    command.add_argument("--dry-run", action="store_true", help="list the cells and estimate the time")
    command.add_argument("--cell", metavar="ARM/SEED", help="run this one cell in this process")
    command.add_argument("--parent", type=int, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Run it; the exit status: 0 where every cell is finished, 1 where some failed, 130 where they were stopped."""
    from genreplay.studies import study as studies

    study = studies.load(arguments.study, arguments.overrides)
    if arguments.cell is not None:
        return _run_cell(study, study.cell(arguments.cell), arguments.parent)
    if arguments.dry_run:
        return _list(study)
    return _run(study)


def _run_cell(study: Study, cell: Cell, parent: int | None) -> int:
    experiment = study.experiments[cell]
    if os.environ.get("LOCAL_RANK", "0") != "0":
        from genreplay.training import run as training

        return training.fit(experiment)  # serves the generator of rank 0, which decides everything
    from genreplay.studies import tasks

    if parent is not None:
        tasks.end_with(parent)
    with tasks.claimed(study, cell):
        if tasks.is_finished(study, cell):
            return 0
        from genreplay.runs import checkpoint
        from genreplay.training import run as training

        place = tasks.checkpoint_of(study, cell, checkpoint.exists)
        return training.fit(experiment, None if place is None else checkpoint.newest(place))


def _list(study: Study) -> int:
    from genreplay.common.progress import duration
    from genreplay.studies import progress, tasks
    from genreplay.studies.display import position

    cells = progress.begin(study)
    for cell, one in cells.items():
        print(f"{cell}: {one.state if one.run is None or one.state == 'finished' else position(one)}")
    due = [cell for cell, one in cells.items() if one.state != "finished"]
    if not due:
        print("no cell is left to run")
        return 0
    at_once = _launcher(study).at_once([tasks.task_of(study, cell) for cell in due])
    left = progress.seconds_left(cells.values(), at_once, progress.earlier_speeds(study, cells.values()))
    time = "no earlier run tells how long they take" if left is None else f"about {duration(left)}"
    print(f"{len(due)} of {len(cells)} cells to run, {at_once} at a time: {time}")
    return 0


def _run(study: Study) -> int:
    from genreplay.studies import progress
    from genreplay.studies.display import Screen, summary
    from genreplay.studies.driver import Driver
    from genreplay.studies.tasks import alone

    with alone(study):
        cells = progress.begin(study)
        launcher = _launcher(study)
        with Screen(study) as screen, _stop_on_interrupt() as stop, closing(launcher):
            Driver(study, cells, launcher, screen).run(stop)
            screen.line(f"study {study.name}: {summary(cells)}")
    states = {one.state for one in cells.values()}
    return 130 if "stopped" in states else 1 if "failed" in states else 0


def _launcher(study: Study) -> Launcher:
    from genreplay import registry

    launcher = study.config.launcher
    return registry.entry("launcher", launcher.name).part(launcher, study.folder)


@contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Yields `stop()`: true after a first Ctrl-C or SIGTERM. A second one ends the command at once."""
    asked = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        restore()

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        restore()
