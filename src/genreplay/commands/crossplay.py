"""The command `genreplay crossplay`: play the policies of several runs with each other."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genreplay.commands.options import add_command, named_uri, refuse_overrides, run_folder, seeds, words
from genreplay.common.errors import UserError
from genreplay.common.files import write_csv, writing
from genreplay.envs.overcooked.config import OvercookedConfig

if TYPE_CHECKING:
    import numpy as np
    from rich.table import Table
    from tensordict.nn import TensorDictModule

    from genreplay.config.schema import ExperimentConfig
    from genreplay.envs.world import World

SAME = ("layout", "dynamics", "horizon")
"""Options of the environment that must be the same for all."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = "Play every run's Overcooked policy (cook 0) with every other's (cook 1). See docs/pictures.md."
    command = add_command(commands, run, "play runs' policies with each other", about)
    command.add_argument("--runs", metavar="LIST", required=True, help="two or more: ids, names or folders, by commas")
    command.add_argument(
        "--seeds", metavar="LIST", default="101-105", help="one episode each, for each pair; default: %(default)s"
    )
    command.add_argument("--output", metavar="DIR", default="crossplay", help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Play, print the matrix and write it; the exit status."""
    refuse_overrides(arguments.overrides, "here, where the checkpoints' own configs count; leave it out")
    names = words(arguments.runs) or []
    if len(names) < 2:
        raise UserError(f"--runs {arguments.runs}: names {len(names)} run; cross-play takes two or more, by commas")
    episode_seeds = seeds(arguments.seeds)
    from rich.console import Console

    from genreplay.partners.crossplay import play_all, summaries

    world, policies = _load(names, named_uri(arguments.overrides))
    returns = play_all(world, policies, episode_seeds)
    folder = Path(arguments.output)
    _write(folder, names, episode_seeds, returns)
    console = Console(highlight=False, soft_wrap=True)
    console.print(_table(names, returns))
    for what, summary in zip(("self-play", "cross-play"), summaries(returns.mean(axis=2)), strict=True):
        between = "" if summary.low is None else f" ({summary.low:.1f} to {summary.high:.1f}, 95 % over runs)"
        console.print(f"{what}: {summary.mean:.1f}{between}")
    console.print(
        f"Mean sparse return of {len(episode_seeds)} episodes a pair. Wrote {folder}/crossplay.csv and crossplay.png"
    )
    return 0


def _load(names: Sequence[str], uri: str | None) -> tuple[World, list[TensorDictModule]]:
    from genreplay.runs.policy import load_policy

    found = [load_policy(run_folder(name, uri, "--runs")) for name in names]
    _require_same_kitchen(names, [loaded.config for loaded in found])
    return found[0].world, [loaded.policy for loaded in found]


def _require_same_kitchen(names: Sequence[str], configs: Sequence[ExperimentConfig]) -> None:
    for name, config in zip(names, configs, strict=True):
        if not isinstance(config.env, OvercookedConfig):
            raise UserError(f"--runs {name}: env.name is {config.env.name!r}; cross-play takes runs of overcooked")
        for key in SAME:
            first, own = getattr(configs[0].env, key), getattr(config.env, key)
            if own != first:
                raise UserError(f"--runs: {name} has env.{key}={own}, but {names[0]} {first}; name runs that agree")


def _table(names: Sequence[str], returns: np.ndarray) -> Table:
    from rich.table import Table

    table = Table(box=None)
    table.add_column("cook 0 \\ cook 1", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    for name, row in zip(names, returns.mean(axis=2), strict=True):
        table.add_row(name, *(f"{value:.1f}" for value in row))
    return table


def _write(folder: Path, names: Sequence[str], episode_seeds: Sequence[int], returns: np.ndarray) -> None:
    """`crossplay.csv`, one line for each episode, and `crossplay.png`, the heat map."""
    from genreplay.reporting.figures import cross_play

    with writing(folder, "another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {"cook_0": names[i], "cook_1": names[j], "seed": seed, "sparse_return": f"{value:g}"}
            for i, j in itertools.product(range(len(names)), repeat=2)
            for seed, value in zip(episode_seeds, returns[i, j].tolist(), strict=True)
        ]
        write_csv(folder / "crossplay.csv", rows)
        cross_play(names, returns.mean(axis=2)).savefig(folder / "crossplay.png", dpi=150)
