"""Options that several commands share, and how they are read. Light, like `cli`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from genreplay.common.errors import UserError

CHECKPOINT_COUNTS = "here, where the checkpoint's own config counts; leave it out"
"""Why a command takes no overrides."""
MOST_SEEDS = 100_000
"""That `--seeds` may name."""
MOST_DIGITS = 18
"""Of a number on the command line."""


def add_command(
    commands: argparse._SubParsersAction,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    about: str,
    takes_overrides: bool = True,
) -> argparse.ArgumentParser:
    """A command, named as the module of `run`, without options yet.

    Args:
        commands: of the whole command line.
        run: the command; returns the exit status.
        summary: its line in the list of commands.
        about: the first sentences of its own help text.
        takes_overrides: False where other positional arguments take the place of `key=value`.
    """
    name = run.__module__.rpartition(".")[2]
    parser = commands.add_parser(name, help=summary, allow_abbrev=False, description=about)
    parser.set_defaults(command=run)
    if takes_overrides:
        text = "options that override the file's, such as loop.utd_ratio=10"
        parser.add_argument("overrides", metavar="key=value", nargs="*", help=text)
    return parser


def add_policy(command: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Options that name a policy, see `policy_folder`; one of the returned group is required."""
    whose = command.add_mutually_exclusive_group(required=True)
    whose.add_argument("--run", metavar="RUN", help="the policy of a run: `last`, its id, its name, or a folder")
    whose.add_argument(
        "--checkpoint",
        metavar="DIR|NAME",
        help="the policy in a folder, of a checkpoint or published, or one that comes with genreplay (see policies)",
    )
    return whose


def policy_folder(arguments: argparse.Namespace) -> Path:
    """The checkpoint or published policy that `--run` or `--checkpoint` names."""
    refuse_overrides(arguments.overrides, CHECKPOINT_COUNTS)
    if arguments.checkpoint is not None:
        return checkpoint_folder(arguments.checkpoint)
    return run_folder(arguments.run, named_uri(arguments.overrides))


def checkpoint_folder(path_or_name: str) -> Path:
    """The newest checkpoint in a folder, or a published policy; see `runs.published.resolve`."""
    from genreplay.runs import checkpoint, published

    folder = published.resolve(path_or_name)
    return folder if published.is_published(folder) else checkpoint.newest(folder)


def run_folder(reference: str, uri: str | None, option: str = "--run") -> Path:
    """Folder of the newest checkpoint of a run; see `runs.find.resolve_run`."""
    from genreplay.runs import checkpoint, find, store

    return checkpoint.newest(find.resolve_run(reference, store.store_uri(uri), checkpoint.exists, option))


def refuse_overrides(overrides: Sequence[str], why: str, but: str | None = "tracking.uri=") -> None:
    """UserError for an override that has no effect on the command; those that begin with `but` have one.

    So has `env.id=module:Name`, which imports the module: the user allows the checkpoint's config to use it.
    """
    for text in overrides:
        module = text.removeprefix("env.id=").rpartition(":")[0] if text.startswith("env.id=") else ""
        if but is None or not (module or text.startswith(but)):
            raise UserError(f"{text}: has no effect {why}")
        if module:
            try:
                import_module(module)
            except ImportError as error:
                raise UserError(f"{text}: cannot be imported ({error}); name an installed module") from None


def named_uri(overrides: Sequence[str]) -> str | None:
    """`tracking.uri=...` on a command line without a config file."""
    named = [text.partition("=")[2] for text in overrides if text.startswith("tracking.uri=")]
    return named[-1] if named else None


def words(text: str | None) -> list[str] | None:
    """The words of a comma-separated list, without duplicates; None where there is no list."""
    return None if text is None else list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def seeds(text: str) -> list[int]:
    """`1,5-7` as 1, 5, 6, 7."""
    seeds: list[int] = []
    for word in words(text) or []:
        first, _, last = word.partition("-")
        if not (_is_whole(first) and _is_whole(last or first) and int(first) <= int(last or first) < 2**31):
            raise UserError(
                f"--seeds {text}: {word!r} is no seed and no range of seeds; write such as 101-105 or 1,2,3"
            )
        seeds += range(int(first), min(int(last or first), int(first) + MOST_SEEDS) + 1)
        if len(seeds) > MOST_SEEDS:
            raise UserError(f"--seeds {text}: names more than {MOST_SEEDS:,} seeds; write fewer")
    if not seeds:
        raise UserError("--seeds: names no seed; write such as 101-105 or 1,2,3")
    return list(dict.fromkeys(seeds))


def number(low: int, high: int = 2**31 - 1) -> Callable[[str], int]:
    """Reads a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not (_is_whole(text) and low <= int(text) <= high):
            to = f"from {low} on" if high == 2**31 - 1 else f"from {low} to {high}"
            raise argparse.ArgumentTypeError(f"must be a whole number {to}, not {text!r}")
        return int(text)

    return read


def amount(text: str) -> float:
    """Reads a number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, not {text!r}")
    return value


def _is_whole(text: str) -> bool:
    return text.isdecimal() and len(text) <= MOST_DIGITS
