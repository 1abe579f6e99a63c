"""The command `genreplay export`: write a policy as an ONNX file with a card of its inputs and outputs."""

from __future__ import annotations

import argparse
from pathlib import Path

from genreplay.commands.options import add_command, add_policy, policy_folder


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = "Write a policy as policy.onnx, and a card of its inputs and outputs as policy.json. See docs/deploy.md."
    command = add_command(commands, run, "write a policy as ONNX, to use without genreplay", about)
    add_policy(command)
    command.add_argument("--output", metavar="DIR", default="export", help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Export; the exit status."""
    from genreplay.reporting.export import export

    print(export(policy_folder(arguments), Path(arguments.output)))
    return 0
