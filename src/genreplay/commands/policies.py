"""The command `genreplay policies`: list the policies that come with genreplay, or show the card of one."""

from __future__ import annotations

import argparse

from genreplay.commands.options import add_command
from genreplay.common.errors import UserError
from genreplay.common.text import plain
from genreplay.runs import published

HEADER = ("name", "environment", "in range (best baseline)", "env steps", "policy")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = (
        "List the policies that come with genreplay: what each was trained for, and its primary metric over the "
        "demands of training next to the best baseline's. With a NAME, show its card."
    )
    command = add_command(commands, run, "list the policies that come with genreplay", about, takes_overrides=False)
    command.add_argument("policy", metavar="NAME", nargs="?", help="show the card of this one")


def run(arguments: argparse.Namespace) -> int:
    """Print the list or the card; the exit status."""
    if arguments.policy is None:
        print("\n".join(_lines([HEADER, *map(_row, published.names())])))
        return 0
    folder = published.find(arguments.policy)
    if folder is None:
        raise UserError(f"{arguments.policy}: {published.unknown(arguments.policy)}")
    print((folder / published.TEXT).read_text(encoding="utf-8"), end="")
    return 0


def _row(name: str) -> tuple[str, ...]:
    card = published.read_card(published.FOLDER / name)
    evaluation, found = card["evaluation"], card["evaluation"]["in_range"]
    own = f"{plain(evaluation['metric'])} {_value(found['policy'], evaluation['unit'])}"
    best = "no baseline"
    if found["best_baseline"] is not None:
        best = f"{plain(found['best_baseline'])} {_value(found['best_value'], evaluation['unit'])}"
    return name, card["place"], f"{own} ({best})", f"{card['training']['env_steps']:,}", card["summary"]


def _value(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}".strip()


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
