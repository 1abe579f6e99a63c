"""The command `genreplay ui`: MLflow's own pages on the experiment store."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from genreplay.commands.options import add_command, named_uri, number
from genreplay.common.errors import UserError
from genreplay.common.secrets import masked


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = "Serve MLflow's UI of the experiment store on 127.0.0.1."
    command = add_command(commands, run, "show the runs in the browser", about)
    command.add_argument("--config", metavar="FILE", help="take tracking.uri from this file")
    command.add_argument("--port", type=number(1, 65_535), default=5000, help="default: %(default)s")


def run(arguments: argparse.Namespace) -> NoReturn:
    """Become MLflow's server of the store, on this machine only.

    Raises:
        UserError: the store is a server itself, or has no run yet.
    """
    from genreplay import config
    from genreplay.runs import store

    of_config = None
    if arguments.config is not None:
        of_config = config.load(arguments.config, arguments.overrides).tracking.uri
    uri = store.store_uri(of_config or named_uri(arguments.overrides))
    root = store.local_root(uri)
    if root is None and uri.startswith("http"):
        raise UserError(f"ui: {uri} is an MLflow server with a UI of its own; open it in the browser")
    if store.is_new(uri):
        raise UserError(f"ui: there is no run in {uri} yet; begin one with: genreplay fit --config FILE")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(arguments.port), "--workers", "1"]
    if root is not None:
        command += ["--default-artifact-root", (root / "artifacts").resolve().as_uri()]
    print(
        f"MLflow shows {masked(uri)} at http://127.0.0.1:{arguments.port} (Ctrl-C ends it)", file=sys.stderr, flush=True
    )
    os.execv(command[0], command)
