"""The command `genreplay clone`: clone the human players of overcooked-ai's data as partners."""

from __future__ import annotations

import argparse
from pathlib import Path

from genreplay.commands.options import add_command, refuse_overrides
from genreplay.envs.overcooked.config import SPLITS
from genreplay.envs.overcooked.partners.cache import clone_file, human_folder


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = "Clone the people who played a layout, to train and evaluate with. See docs/overcooked.md."
    command = add_command(commands, run, "clone human cooks as partners", about, takes_overrides=False)
    command.add_argument(
        "--layout", metavar="NAME", required=True, help="a layout that people played: cramped_room, ..."
    )
    whose = "whose play: the partner `human` is of train, `human:test` of test, other people; default: %(default)s"
    command.add_argument("--split", choices=SPLITS, default=SPLITS[0], help=whose)
    command.add_argument("--output", metavar="FILE", help="default: where the partners look for it")


def run(arguments: argparse.Namespace) -> int:
    """Read the play, clone it and print its accuracy; the exit status."""
    refuse_overrides(arguments.overrides, "on clone; leave it out", but=None)
    layout, split = arguments.layout, arguments.split
    path = clone_file(layout, split) if arguments.output is None else Path(arguments.output)
    from genreplay.common.progress import Bars
    from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
    from genreplay.envs.overcooked.kitchen.rules import Kitchen
    from genreplay.envs.overcooked.partners.human_play import human_play
    from genreplay.partners.cloning import NUM_STEPS, fit_clone, write_clone

    with Bars(NUM_STEPS, what="steps") as bars:
        bars.line(f"reading the play of {layout}, {split}")
        play = human_play(layout, split, human_folder())
        kitchen = Kitchen(read_layout(layout), "old")
        clone = fit_clone(play, kitchen.code, seed=0, on_step=bars.advance)
        write_clone(path, clone, kitchen, split)
        bars.line(
            f"{len(play.codes)} steps of two people; of the actions other than staying in games kept apart, the clone "
            f"finds {100 * clone.accuracy:.0f} % (always the most frequent one: {100 * clone.majority:.0f} %)"
        )
    print(path)
    return 0
