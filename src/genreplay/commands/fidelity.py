"""The command `genreplay fidelity`: how faithful virtual partners are to the partners of a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from genreplay.commands.options import add_command, run_folder, seeds
from genreplay.common.errors import UserError

ABOUT = (
    "Compare virtual partners with the real ones. Each RUN learned with partners and a generator `masked` or "
    "`factorised`, such as overcooked_partners. Writes FOLDER/fidelity.csv and returns.csv and prints their means; "
    "without a RUN it reads these files again. A seat is the policy's. See docs/overcooked.md."
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    command = add_command(commands, run, "compare virtual partners with real ones", ABOUT, takes_overrides=False)
    command.add_argument("folder", metavar="FOLDER", type=Path, help="where to write")
    runs = "ids, names or folders: one run for each training seed"
    command.add_argument("overrides", nargs="*", metavar="RUN", help=runs)
    command.add_argument("--seeds", metavar="LIST", default="101-120", help="one episode each; default: %(default)s")
    command.add_argument("--uri", metavar="URI", help="of the store; default: the one that genreplay fit writes to")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; the exit status."""
    folder: Path = arguments.folder
    runs: list[str] = arguments.overrides
    if runs:
        from genreplay.common.files import make_folder, write_csv
        from genreplay.partners.fidelity import measure

        drawn = seeds(arguments.seeds)
        folders = [run_folder(name, arguments.uri, "RUN") for name in runs]
        make_folder(folder)
        measured = [measure(number, place, drawn) for number, place in enumerate(folders)]
        for i, name in enumerate(("fidelity.csv", "returns.csv")):
            write_csv(folder / name, [row for both in measured for row in both[i]])
    elif not (folder / "returns.csv").is_file():
        raise UserError(f"{folder}: holds no returns.csv to read again; name a RUN to measure")
    _show(folder)
    return 0


def _show(folder: Path) -> None:
    """The means of both files over runs, as tables."""
    from genreplay.common.files import read_csv
    from genreplay.common.statistics import mean_interval
    from genreplay.partners.fidelity import Fidelity

    print("| partner/seat of the policy | predictor | nats an action | likeliest one | total variation |")
    print("|---|---|---|---|---|")
    for (demand, predictor), rows in _grouped(read_csv(folder / "fidelity.csv"), "demand", "predictor").items():
        print(f"| {demand} | {predictor} | {' | '.join(f'{_mean(rows, field):.3f}' for field in Fidelity._fields)} |")
    returns = read_csv(folder / "returns.csv")
    unit = "run" if len({row["run"] for row in returns}) > 1 else "seed"
    print(f"\n| partner/seat of the policy | real | virtual | virtual less real | 95 % over {unit}s |")
    print("|---|---|---|---|---|")
    for (demand,), rows in _grouped(returns, "demand").items():
        by_unit = _grouped(rows, unit).values()
        low, high = mean_interval([_mean(group, "virtual") - _mean(group, "real") for group in by_unit])
        real, virtual = _mean(rows, "real"), _mean(rows, "virtual")
        print(f"| {demand} | {real:.0f} | {virtual:.0f} | {virtual - real:+.0f} | {low:+.0f} to {high:+.0f} |")


def _grouped(rows: Sequence[dict[str, str]], *columns: str) -> dict[tuple[str, ...], list[dict[str, str]]]:
    """The rows by their values in `columns`, in the order of the file."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def _mean(rows: Sequence[dict[str, str]], column: str) -> float:
    return fmean(float(row[column]) for row in rows)
