"""The command `genreplay publish`: write a run's policy as a small folder for others."""

from __future__ import annotations

import argparse
from pathlib import Path

from genreplay.commands import evaluate
from genreplay.commands.options import CHECKPOINT_COUNTS, add_command, named_uri, refuse_overrides, run_folder
from genreplay.common.scratch import Scratch


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = (
        "Write a policy as a folder of weights, config, evaluation and card, which --checkpoint takes in every "
        "command. See docs/python.md."
    )
    command = add_command(commands, run, "write a policy for others to use", about, takes_overrides=False)
    command.add_argument("run", metavar="RUN", help="`last`, its id or name, or a folder of it or of a checkpoint")
    command.add_argument("--name", metavar="NAME", required=True, help="of the policy")
    command.add_argument(
        "--evaluation",
        metavar="DIR",
        help="the folder that evaluate --output wrote; default: evaluate now, with every baseline",
    )
    command.add_argument("--licence", metavar="TEXT", help="of the weights, such as MIT; default: none is stated")
    command.add_argument("--output", metavar="DIR", help="default: a folder NAME here")


def run(arguments: argparse.Namespace) -> int:
    """Publish; the exit status."""
    from genreplay.runs import published

    published.check_name(arguments.name)
    refuse_overrides(arguments.overrides, CHECKPOINT_COUNTS)
    uri = named_uri(arguments.overrides)
    folder = run_folder(arguments.run, uri, "RUN")
    output = Path(arguments.output or arguments.name)
    from genreplay.reporting.publish import check_output, publish
    from genreplay.runs.policy import load_policy

    check_output(output)
    loaded = load_policy(folder)
    with Scratch("publish") as scratch:
        evaluation = arguments.evaluation
        if evaluation is None:
            evaluation = scratch
            evaluate.run(evaluate.defaults(folder, Path(scratch)))
        print(publish(loaded, arguments.name, Path(evaluation), output, arguments.licence, uri))
    return 0
