"""How the commands read their options. Light, like `cli`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from genreplay.common.errors import UserError


def add_command(
    commands: argparse._SubParsersAction, run: Callable[[argparse.Namespace], int], name: str, summary: str, about: str
) -> argparse.ArgumentParser:
    """A command without options yet: `summary` is its line in the list of commands, `about` what its own help says."""
    parser = commands.add_parser(name, help=summary, allow_abbrev=False, description=about)
    parser.set_defaults(command=run)
    return parser


def add_policy(command: argparse.ArgumentParser) -> None:
    """Options that name a policy, see `policy_folder`."""
    whose = command.add_mutually_exclusive_group(required=True)
    whose.add_argument("--run", metavar="RUN", help="the policy of a run: `last`, its id, its name, or a folder")
    whose.add_argument("--checkpoint", metavar="DIR", help="the policy in a checkpoint's folder")


def policy_folder(arguments: argparse.Namespace) -> Path:
    """The checkpoint that `--run` or `--checkpoint` means."""
    from genreplay.runs import checkpoint, find, store

    for text in arguments.overrides:
        if not text.startswith("tracking.uri="):
            raise UserError(f"{text}: has no effect here, where the checkpoint's own config counts; leave it out")
    if arguments.checkpoint is not None:
        return checkpoint.newest(Path(arguments.checkpoint))
    uri = store.store_uri(named_uri(arguments.overrides))
    return checkpoint.newest(find.resolve_run(arguments.run, uri, checkpoint.exists, "--run"))


def named_uri(overrides: Sequence[str]) -> str | None:
    """`tracking.uri=...` on a command line without a config file."""
    named = [text.partition("=")[2] for text in overrides if text.startswith("tracking.uri=")]
    return named[-1] if named else None


def words(text: str | None) -> list[str] | None:
    """The words of a list with commas, each once; None where there is no list."""
    return None if text is None else list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def seeds(text: str) -> list[int]:
    """`1,5-7` as 1, 5, 6, 7."""
    seeds: list[int] = []
    for word in words(text) or []:
        first, _, last = word.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal() and int(first) <= int(last or first) < 2**31):
            raise UserError(
                f"--seeds {text}: {word!r} is no seed and no range of seeds; write such as 101-105 or 1,2,3"
            )
        seeds += range(int(first), int(last or first) + 1)
    if not seeds:
        raise UserError("--seeds: names no seed; write such as 101-105 or 1,2,3")
    return list(dict.fromkeys(seeds))


def number(low: int) -> Callable[[str], int]:
    """Reads a whole number of at least `low`."""

    def read(text: str) -> int:
        if not (text.isdecimal() and low <= int(text) < 2**31):
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} on, not {text!r}")
        return int(text)

    return read
