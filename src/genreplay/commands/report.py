"""The command `genreplay report`: write a run as one HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path

from genreplay.commands.options import add_command, add_policy, named_uri, policy_folder


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = (
        "Write a run's config, curves, evaluation, diagnostics and film as one HTML page. Of a published policy: its "
        "card, evaluation, film and learning curve. See docs/pictures.md."
    )
    command = add_command(commands, run, "write a run as one HTML page", about)
    add_policy(command)
    command.add_argument("--no-film", dest="film", action="store_false", help="without the film, which takes a while")
    command.add_argument("--output", metavar="FILE", default="report.html", help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Write the page; the exit status."""
    folder = policy_folder(arguments)
    from genreplay.reporting.page import write_report

    print(write_report(folder, named_uri(arguments.overrides), Path(arguments.output), arguments.film))
    return 0
