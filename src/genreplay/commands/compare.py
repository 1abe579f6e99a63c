"""The command `genreplay compare`: a study, experiments or runs over several training seeds."""

from __future__ import annotations

import argparse
import logging
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from genreplay.commands.options import add_command, seeds
from genreplay.common.errors import UserError
from genreplay.common.secrets import masked

if TYPE_CHECKING:
    from genreplay.comparison.result import Comparison

ABOUT = (
    "Compare arms over training seeds: interquartile means, intervals, differences from the baseline, curves. WHAT is "
    "a study (its file or shipped name), an MLflow experiment, the id or name of a run, or curves.csv of an earlier "
    "comparison. An arm of it is WHAT:ARM; NAME=WHAT gives an arm another name. Writes tables, figures and one page, "
    "and keeps them in MLflow."
)
FOLDER = Path("mlruns/comparisons")
WIDTH = 200
"""Of tables where the output is no terminal."""
FEW_SEEDS = 5
"""With fewer seeds a bootstrap's interval is much too narrow."""
PARTNER_COLUMNS = ("training_seed", "demand", "seed")

log = logging.getLogger("genreplay")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    command = add_command(commands, run, "compare runs over training seeds", ABOUT, takes_overrides=False)
    command.add_argument("overrides", nargs="+", metavar="WHAT", help="see above")
    command.add_argument("--output", metavar="FOLDER", type=Path, help=f"where to write; default: in {FOLDER}")
    command.add_argument("--metric", help="of the evaluations; default: the plan's, else the primary one")
    command.add_argument("--better", choices=("lower", "higher"), help="values of the metric, where that is not known")
    command.add_argument("--baseline", metavar="ARM", help="default: the plan's, else real transitions alone")
    axes = ("env_steps", "seconds", "gradient_steps")
    command.add_argument("--axis", choices=axes, default=axes[0], help="of the curves; default: %(default)s")
    window = "the window; default: the plan's, else all"
    command.add_argument("--since", type=float, metavar="ENV_STEP", help=f"first evaluation of {window}")
    command.add_argument("--until", type=float, metavar="ENV_STEP", help=f"last evaluation of {window}")
    command.add_argument("--threshold", type=float, metavar="VALUE", help="of the metric, to be reached")
    command.add_argument("--seeds", metavar="LIST", help="only these training seeds, such as 0-3; default: all")
    command.add_argument("--uri", metavar="URI", help="of the store; default: the one that genreplay fit writes to")
    command.add_argument(
        "--evaluations",
        action="store_true",
        help="WHAT are folders that genreplay evaluate --output wrote, one a training seed: join them; or one folder "
        "of joined evaluations, or of evaluation_*seed_*.csv and evaluation_baselines.csv, to read again",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare, print and write; the exit status."""
    if arguments.evaluations:
        _evaluations(arguments)
        return 0
    from genreplay.comparison import result, write

    request = result.Request(
        arguments.overrides,
        arguments.metric,
        arguments.better,
        arguments.baseline,
        arguments.axis,
        arguments.since,
        arguments.until,
        arguments.threshold,
        [] if arguments.seeds is None else seeds(arguments.seeds),
        arguments.uri,
    )
    comparison = result.compare(request)
    _show(comparison)
    folder = arguments.output or FOLDER / _slug(arguments.overrides)
    run_id = write.write(comparison, folder, masked(shlex.join(["genreplay", *sys.argv[1:]])))
    print(f"{folder}/comparison.html, .md, .tex, .csv; curves.csv and figures")
    if run_id is not None:
        print(f"kept as run {run_id} of the experiment comparisons; look at it with: genreplay ui")
    return 0


def _show(comparison: Comparison) -> None:
    from rich.console import Console

    from genreplay.comparison.page import deviations, outcomes
    from genreplay.comparison.tables import as_rich, tables

    for note in comparison.notes:
        log.warning("compare: %s", note)
    if comparison.plan is not None:
        print(f"plan: {comparison.plan.sentence()}\n{comparison.plan.registration()}")
    for line in deviations(comparison):
        print(line)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    for table in tables(comparison):
        console.print(as_rich(table))
    for line in outcomes(comparison):
        print(line)
    for arm, keys in comparison.differences.items():
        shown = ", ".join(keys[:8]) + (f" and {len(keys) - 8} more" if len(keys) > 8 else "")
        print(f"{arm} differs from {comparison.baseline} in {shown or 'no option'}")


def _slug(items: list[str]) -> str:
    """A folder's name for what is compared."""
    names = [item.partition("=")[0] if "=" in item else re.sub(r"\.(csv|ya?ml)", "", Path(item).name) for item in items]
    return re.sub(r"[^\w.+-]+", "_", "-".join(names))[:80].strip("._") or "comparison"


def _evaluations(arguments: argparse.Namespace) -> None:
    from genreplay.common.files import make_folder, read_csv, write_csv
    from genreplay.evaluation.controllers_tables import controllers_tables
    from genreplay.evaluation.seeds_table import join, partners_table

    folders, metric = [Path(item) for item in arguments.overrides], arguments.metric or "delay"
    first = folders[0]
    joins = len(folders) > 1 or (first / "episodes.csv").is_file()
    if not joins and any(first.glob("evaluation_*seed_*.csv")):
        print("\n".join(controllers_tables(first, metric, minimise=arguments.better != "higher")))
        return
    if joins:
        rows = join(folders)
        path = (arguments.output or FOLDER / _slug(arguments.overrides)) / "partners.csv"
        make_folder(path.parent)
        write_csv(path, rows, (*PARTNER_COLUMNS, metric))
    else:
        path = first / "partners.csv"
    if not path.is_file():
        raise UserError(
            f"{first}: holds neither partners.csv nor evaluation_seed_*.csv nor episodes.csv; name evaluations to join"
        )
    lines, num_seeds = partners_table(read_csv(path), metric)
    print("\n".join(lines))
    if num_seeds < FEW_SEEDS:
        log.warning("compare: there are %d training seeds: the intervals are too narrow to rely on", num_seeds)
