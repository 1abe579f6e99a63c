"""The command `genreplay config`: print a resolved config, or the configurations that come with genreplay."""

from __future__ import annotations

import argparse
import sys

from genreplay.commands.options import add_command, refuse_overrides


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = "Print every option with its resolved value, as YAML."
    command = add_command(commands, run, "print the resolved config", about)
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--config", metavar="FILE", help="the experiment: a file, or a name of --list")
    which.add_argument("--list", action="store_true", help="list the configurations that come with genreplay")


def run(arguments: argparse.Namespace) -> int:
    """Print it; the exit status."""
    from genreplay import config
    from genreplay.config import shipped

    if arguments.list:
        refuse_overrides(arguments.overrides, "on --list; leave it out", but=None)
        sys.stdout.write(shipped.listing())
    else:
        sys.stdout.write(config.to_yaml(config.load(arguments.config, arguments.overrides)))
    return 0
