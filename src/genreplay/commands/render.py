"""The command `genreplay render`: film a policy, or picture synthetic transitions."""

from __future__ import annotations

import argparse
from pathlib import Path

from genreplay.commands.options import add_command, add_policy, number, policy_folder


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = "Draw the intersection or kitchen under a trained policy, as a GIF or an MP4. See docs/pictures.md."
    command = add_command(commands, run, "film a policy", about)
    add_policy(command)
    command.add_argument("--demand", metavar="NAME", help="as in evaluate, such as 2000; default: the seed's own")
    baseline = "show this baseline next to the policy, on the same episode; without a name: the incumbent controller"
    command.add_argument("--baseline", metavar="NAME", nargs="?", const="", help=baseline)
    for option, low, text in (
        ("--seed", 0, "of the episode, or of the choice of transitions"),
        ("--begin", 0, "time of the first picture: a second, or a step where the environment counts in steps"),
        ("--seconds", 1, "time to show, in the same unit"),
        ("--stride", 1, "time from one picture to the next, in the same unit"),
    ):
        command.add_argument(option, metavar="N", type=number(low), help=f"{text}; default: the environment's own")
    synthetic = "instead of the policy, show transitions that the generator made, impossible ones in red"
    command.add_argument("--synthetic", action="store_true", help=synthetic)
    command.add_argument("--output", metavar="FILE", default="render.gif", help=".gif or .mp4; default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Film; the exit status."""
    folder = policy_folder(arguments)
    from genreplay.envs.facets import FilmRequest
    from genreplay.reporting.film import render, render_synthetic

    given = {name: getattr(arguments, name) for name in FilmRequest._fields}
    print((render_synthetic if arguments.synthetic else render)(folder, given, Path(arguments.output)))
    return 0
