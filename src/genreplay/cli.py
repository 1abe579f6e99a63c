"""The command line. Light: torch, MLflow and the simulators load only once a command needs them."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from genreplay import __version__
from genreplay.errors import UserError

EPILOG = """examples:
  genreplay fit --config conf/sumo_pgr.yaml                     train a traffic-signal controller
  genreplay fit --config conf/sumo_pgr.yaml seed=1 loop.utd_ratio=10
  genreplay fit --resume last                                   go on where the last run stopped
  genreplay config --config conf/sumo_pgr.yaml agent.gamma=0.98 print what counts in the end
  genreplay ui                                                  curves and checkpoints in the browser
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status. 2: something the user can mend, told in one line on stderr."""
    logging.basicConfig(format="%(name)s: %(levelname)s: %(message)s")
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


# Commands ------------------------------------------------------------------------------------------------------------


def _fit(arguments: argparse.Namespace) -> int:
    from genreplay import config

    if arguments.config is None and arguments.resume is None:
        raise UserError("fit: has nothing to train; give --config FILE, or --resume RUN to go on with a run")
    experiment = None if arguments.config is None else config.load(arguments.config, arguments.overrides)
    resume = None
    if arguments.resume is not None:
        from genreplay import checkpoint, runs, tracking

        uri = _named_uri(arguments.overrides) if experiment is None else experiment.tracking.uri
        folder = runs.resolve_run(arguments.resume, tracking.store_uri(uri), checkpoint.exists)
        resume = checkpoint.newest(folder)
        if experiment is None:
            experiment = config.load(resume / checkpoint.CONFIG, arguments.overrides)
    assert experiment is not None
    from genreplay import run

    return run.fit(experiment, resume)


def _config(arguments: argparse.Namespace) -> int:
    from genreplay import config

    sys.stdout.write(config.to_yaml(config.load(arguments.config, arguments.overrides)))
    return 0


def _ui(arguments: argparse.Namespace) -> NoReturn:
    from genreplay import config, tracking

    uri = None if arguments.config is None else config.load(arguments.config, arguments.overrides).tracking.uri
    uri = tracking.store_uri(uri or _named_uri(arguments.overrides))
    root = tracking.local_root(uri)
    if root is None and uri.startswith("http"):
        raise UserError(f"ui: {uri} is an MLflow server with a UI of its own; open it in the browser")
    if root is not None and not Path(uri.removeprefix(tracking.SQLITE)).is_file():
        raise UserError(f"ui: there is no run in {uri} yet; begin one with: genreplay fit --config FILE")
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "ui",
        "--backend-store-uri",
        uri,
        "--host",
        "127.0.0.1",
        "--port",
        str(arguments.port),
        "--workers",
        "1",
    ]
    if root is not None:
        command += ["--default-artifact-root", (root / "artifacts").resolve().as_uri()]
    print(f"MLflow shows {uri} at http://127.0.0.1:{arguments.port} (Ctrl-C ends it)", file=sys.stderr, flush=True)
    os.execv(command[0], command)


def _named_uri(overrides: Sequence[str]) -> str | None:
    """`tracking.uri=...` on a command line without a config file."""
    named = [text.partition("=")[2] for text in overrides if text.startswith("tracking.uri=")]
    return named[-1] if named else None


# Arguments -----------------------------------------------------------------------------------------------------------


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

    fit = commands.add_parser(
        "fit",
        help="train an agent",
        allow_abbrev=False,
        description=("Train an agent as a config file says. Ctrl-C finishes the step, saves and says how to go on."),
    )
    fit.set_defaults(command=_fit)
    fit.add_argument("--config", metavar="FILE", help="the experiment; not needed with --resume")
    fit.add_argument("--resume", metavar="RUN", help="go on from a checkpoint: `last`, a run's id or name, or a folder")

    show = commands.add_parser(
        "config",
        help="print the resolved config",
        allow_abbrev=False,
        description=("Print every option with the value it has in the end, as YAML."),
    )
    show.set_defaults(command=_config)
    show.add_argument("--config", metavar="FILE", required=True, help="the experiment")

    ui = commands.add_parser(
        "ui",
        help="look at the runs in the browser",
        allow_abbrev=False,
        description=("Serve MLflow's UI on 127.0.0.1, on the store that the runs are in."),
    )
    ui.set_defaults(command=_ui)
    ui.add_argument("--config", metavar="FILE", help="take tracking.uri from this file")
    ui.add_argument("--port", type=int, default=5000, help="default: %(default)s")

    for command in (fit, show, ui):
        command.add_argument(
            "overrides",
            metavar="key=value",
            nargs="*",
            help=("options that win over the file's, such as loop.utd_ratio=10"),
        )
    return parser
