"""The command line: its parser, and the dispatch to `commands`.

Light: torch, MLflow and the simulators load only once a command needs them.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from genreplay import __version__
from genreplay.commands import (
    clone,
    compare,
    config,
    crossplay,
    evaluate,
    export,
    fidelity,
    fit,
    junction,
    policies,
    publish,
    render,
    report,
    study,
    ui,
)
from genreplay.common.errors import UserError
from genreplay.common.secrets import MASKING, show_error

COMMANDS = (
    fit,
    study,
    evaluate,
    compare,
    export,
    render,
    report,
    policies,
    publish,
    junction,
    crossplay,
    clone,
    fidelity,
    config,
    ui,
)
"""In the order of the help text."""
EPILOG = """examples:
  genreplay fit --config sumo_pgr                          train a traffic-signal controller
  genreplay fit --config sumo_pgr seed=1 loop.utd_ratio=10
  genreplay fit --resume last                              continue the last run
  genreplay study pendulum                                 train every arm of a study with every seed
  genreplay evaluate --run last                            compare the last run's policy with every baseline
  genreplay compare out "real=exp_a" "PGR=exp_b"           compare experiments over their training seeds
  genreplay export --run last                              write the last run's policy as one ONNX file
  genreplay render --run last --baseline                   film it next to the incumbent controller
  genreplay report --run last                              write everything about it as one HTML page
  genreplay evaluate --checkpoint cologne1                 a policy that comes with genreplay
  genreplay publish last --name mine                       write your own for others to use
  genreplay junction --net my.net.xml --counts my.csv      check a map of your own and its traffic
  genreplay crossplay --runs a,b,c --seeds 101-105         which runs cook well together (Overcooked)
  genreplay config --config sumo_pgr agent.gamma=0.98      print the resolved config
  genreplay config --list                                  list the configurations that come with genreplay
  genreplay ui                                             curves and checkpoints in the browser
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. 2: an error that the user can fix, in one line on stderr."""
    atexit.register(gc.freeze)  # else Python searches all objects for garbage as it ends, which takes seconds
    logging.basicConfig(format="%(name)s: %(levelname)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(MASKING)
    if argv is None:
        sys.excepthook = show_error
    if os.environ.get("LOCAL_RANK", "0") != "0":
        # Fabric starts this command again on every rank; one of them is enough to warn.
        logging.getLogger("genreplay").setLevel(logging.ERROR)
    try:
        arguments = _parse(sys.argv[1:] if argv is None else argv)
        return arguments.command(arguments)
    except UserError as error:
        print(f"genreplay: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    """Reports mistakes as every other error is reported."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    arguments, rest = _parser().parse_known_args(argv)
    for text in rest:
        if text.startswith("-"):
            key = text.lstrip("-")
            hint = f"write {key} without dashes" if "=" in key else f"see genreplay {arguments.name} --help"
            raise UserError(f"{text}: there is no such option; {hint}")
    # argparse takes positional arguments in one run only; those after a later option end up in the rest.
    arguments.overrides = [*getattr(arguments, "overrides", []), *rest]
    return arguments


def _parser() -> _Parser:
    parser = _Parser(
        prog="genreplay",
        description="Generative experience replay for online reinforcement learning.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"genreplay {__version__}")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser
