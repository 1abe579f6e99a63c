"""The command `genreplay fit`: train an agent."""

from __future__ import annotations

import argparse
from pathlib import Path

from genreplay.commands.options import add_command, named_uri, run_folder
from genreplay.common.errors import UserError


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = "Train an agent. Ctrl-C, SIGTERM or a closed terminal saves the run; `--resume` continues it exactly."
    command = add_command(commands, run, "train an agent", about)
    command.add_argument("--config", metavar="FILE", help="the experiment; not needed with --resume")
    command.add_argument(
        "--resume", metavar="RUN", help="continue from a checkpoint: `last`, a run's id or name, or a folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, from the beginning or from a checkpoint; the exit status."""
    from genreplay import config

    if arguments.config is None and arguments.resume is None:
        raise UserError("fit: has nothing to train; give --config FILE, or --resume RUN to go on with a run")
    experiment = None if arguments.config is None else config.load(arguments.config, arguments.overrides)
    resume = None
    if arguments.resume is not None:
        from genreplay.runs import checkpoint, store

        uri = named_uri(arguments.overrides) if experiment is None else experiment.tracking.uri
        resume = run_folder(arguments.resume, uri, "--resume")
        if experiment is None:
            text = (resume / checkpoint.CONFIG).read_text(encoding="utf-8")
            experiment = config.from_yaml(text, f"checkpoint {resume}", arguments.overrides)
            if uri is None:
                experiment.tracking.uri = store.store_of(resume, experiment.tracking.uri)
    assert experiment is not None
    from genreplay.training import run as training

    name = None if arguments.config is None else Path(arguments.config).stem
    return training.fit(experiment, resume, name)
