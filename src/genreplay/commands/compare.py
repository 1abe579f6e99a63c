"""The command `genreplay compare`: learning curves and evaluations of runs over several training seeds."""

from __future__ import annotations

import argparse
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from genreplay.commands.options import add_command, seeds
from genreplay.common.errors import UserError

if TYPE_CHECKING:
    from genreplay.evaluation.compare import Arm

ABOUT = (
    "Compare arms, MLflow experiments with one finished run for each training seed, by the area under their evaluation "
    "curves: interquartile means over seeds, 95 % bootstrap intervals and differences from the first arm, of paired "
    "seeds where the arms have the same ones. Writes FOLDER/arms.csv and arms.png. "
    "With the name of one experiment: its learning curves (learning_curves.csv and .png). "
    "With --evaluations: a table of evaluations of several training seeds. See results/README.md."
)
FEW_SEEDS = 5
"""With fewer seeds a bootstrap's interval is much too narrow."""
PARTNER_COLUMNS = ("training_seed", "demand", "seed")

log = logging.getLogger("genreplay")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    command = add_command(commands, run, "compare runs over training seeds", ABOUT, takes_overrides=False)
    command.add_argument("folder", metavar="FOLDER", type=Path, help="where to write")
    items = (
        "NAME=EXPERIMENT, or an arm of an earlier arms.csv: NAME=FILE.csv:ARM; or one EXPERIMENT; with --evaluations: "
        "what genreplay evaluate --output wrote, a folder for each training seed, or nothing to read FOLDER again"
    )
    command.add_argument("overrides", nargs="*", metavar="ARM", help=items)
    command.add_argument("--evaluations", action="store_true", help="join evaluations, not learning curves")
    command.add_argument("--metric", default="delay", help="default: %(default)s")
    command.add_argument("--uri", metavar="URI", help="of the store; default: the one that genreplay fit writes to")
    command.add_argument(
        "--until", type=float, default=math.inf, metavar="ENV_STEP", help="without the evaluations that came later"
    )
    command.add_argument(
        "--since", type=float, default=0, metavar="ENV_STEP", help="compare from this env step on; arms.csv has all"
    )
    command.add_argument("--largest", action="store_true", help="compare the largest evaluations, not the means")
    command.add_argument("--seeds", metavar="LIST", help="only these training seeds, such as 0-3; default: all")


def run(arguments: argparse.Namespace) -> int:
    """Compare, print and write; the exit status."""
    items: list[str] = arguments.overrides
    if arguments.evaluations:
        _evaluations(arguments.folder, [Path(item) for item in items], arguments.metric)
    elif len(items) == 1 and "=" not in items[0]:
        _learning_curves(arguments, items[0])
    elif items and all("=" in item for item in items):
        _arms(arguments, dict(item.split("=", 1) for item in items))
    else:
        raise UserError("compare: name one EXPERIMENT, or arms as NAME=EXPERIMENT; or give --evaluations")
    return 0


def _arms(arguments: argparse.Namespace, places: dict[str, str]) -> None:
    from genreplay.common.files import make_folder, write_csv
    from genreplay.evaluation import compare
    from genreplay.reporting.figures import learning_curves_of_arms

    make_folder(arguments.folder)
    chosen = [] if arguments.seeds is None else seeds(arguments.seeds)
    arms = {name: compare.only(_read(place, arguments), arguments.until, chosen) for name, place in places.items()}
    for name, arm in arms.items():
        if not any(arm.values()):
            raise UserError(f"compare: the arm {name!r} has no evaluation left; change --seeds or --until")
        if len(arm) < FEW_SEEDS:
            log.warning("compare: %s has %d seeds: its interval is too narrow to rely on", name, len(arm))
    steps = list(next(iter(next(iter(arms.values())).values())))
    arms = {name: compare.aligned(arm, steps) for name, arm in arms.items()}
    rows = [
        dict(zip(compare.COLUMNS, (name, seed, step, value), strict=True))
        for name, arm in arms.items()
        for seed, points in arm.items()
        for step, value in points.items()
    ]
    write_csv(arguments.folder / "arms.csv", rows)
    arms = {name: compare.since(arm, arguments.since) for name, arm in arms.items()}
    if steps[-1] < arguments.since:
        raise UserError(f"--since {arguments.since:g}: the last evaluation is at {steps[-1]}; name an earlier env step")
    print("\n".join(compare.arms_table(arms, arguments.largest)))
    learning_curves_of_arms(arms, arguments.metric).savefig(arguments.folder / "arms.png", dpi=130)


def _read(place: str, arguments: argparse.Namespace) -> Arm:
    from genreplay.evaluation.compare import make_arm, read_arm
    from genreplay.runs.curves import curves
    from genreplay.runs.store import store_uri

    if ".csv" in place:
        return read_arm(place)
    points = curves(store_uri(arguments.uri), place, arguments.metric)
    return make_arm(((point.seed, point.env_step, point.value) for point in points), place)


def _learning_curves(arguments: argparse.Namespace, experiment: str) -> None:
    from genreplay.common.files import make_folder, write_csv
    from genreplay.reporting.figures import learning_curves_of_seeds
    from genreplay.runs.curves import curves
    from genreplay.runs.store import store_uri

    points = curves(store_uri(arguments.uri), experiment, arguments.metric)
    make_folder(arguments.folder)
    write_csv(arguments.folder / "learning_curves.csv", (point._asdict() for point in points))
    by_seed: dict[int, dict[int, float]] = {}
    for point in points:
        by_seed.setdefault(point.seed, {})[point.env_step] = point.value
    figure = learning_curves_of_seeds(by_seed, points[0].baseline, arguments.metric)
    figure.savefig(arguments.folder / "learning_curves.png", dpi=130)
    print(f"{arguments.folder}/learning_curves.csv and .png: {len(by_seed)} seeds")


def _evaluations(folder: Path, evaluations: list[Path], metric: str) -> None:
    from genreplay.common.files import make_folder, read_csv, write_csv
    from genreplay.evaluation.seeds_table import controllers_table, join, partners_table

    path = folder / "partners.csv"
    if evaluations:
        make_folder(folder)
        write_csv(path, join(evaluations), (*PARTNER_COLUMNS, metric))
    elif any(folder.glob("evaluation_seed_*.csv")):
        print("\n".join(controllers_table(folder, metric)))
        return
    if not path.is_file():
        raise UserError(f"{folder}: holds neither partners.csv nor evaluation_seed_*.csv; name evaluations to join")
    lines, num_seeds = partners_table(read_csv(path), metric)
    print("\n".join(lines))
    if num_seeds < FEW_SEEDS:
        log.warning("compare: there are %d training seeds: the intervals are too narrow to rely on", num_seeds)
