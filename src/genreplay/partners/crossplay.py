"""The command `genreplay crossplay`: how well policies of several runs cook with each other.

Shapes: R runs, S episodes of a pair. Light until the command runs, like `cli`.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from genreplay.commands.options import add_command, named_uri, seeds, words
from genreplay.common.errors import UserError
from genreplay.envs.overcooked.config import OvercookedConfig

if TYPE_CHECKING:
    import numpy as np
    from rich.table import Table
    from tensordict.nn import TensorDictModule

    from genreplay.config.schema import ExperimentConfig
    from genreplay.envs.world import World

SELF_PLAY = "self"
"""The demand under which the policy plays both seats, whatever partners the run was trained with."""
NUM_RESAMPLES, LEVEL = 2000, 0.95
MIN_RUNS_FOR_INTERVAL = 3
SAME = ("layout", "dynamics", "horizon")
"""Options of the environment that must be the same for all."""


class Summary(NamedTuple):
    """A mean with its interval over runs."""

    mean: float
    low: float | None
    """None where there are too few runs for an interval."""
    high: float | None


def add_parser(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """The command's options."""
    about = "Play every run's Overcooked policy (cook 0) with every other's (cook 1). See docs/pictures.md."
    command = add_command(commands, run, "crossplay", "runs that cook together", about)
    command.add_argument("--runs", metavar="LIST", required=True, help="two or more: ids, names or folders, by commas")
    command.add_argument(
        "--seeds", metavar="LIST", default="101-105", help="one episode each, for each pair; default: %(default)s"
    )
    command.add_argument("--output", metavar="DIR", default="crossplay", help="where to; default: %(default)s")
    return command


def run(arguments: argparse.Namespace) -> int:
    """Play, print the matrix and write it; the exit status."""
    for text in arguments.overrides:
        if not text.startswith("tracking.uri="):
            raise UserError(f"{text}: has no effect here, where the checkpoints' own configs count; leave it out")
    names = words(arguments.runs) or []
    if len(names) < 2:
        raise UserError(f"--runs {arguments.runs}: names {len(names)} run; cross-play takes two or more, by commas")
    drawn = seeds(arguments.seeds)
    from rich.console import Console

    world, policies = _load(names, named_uri(arguments.overrides))
    returns = play_all(world, policies, drawn)
    folder = Path(arguments.output)
    write(folder, names, drawn, returns)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table(names, returns))
    for what, summary in zip(("self-play", "cross-play"), summaries(returns.mean(axis=2)), strict=True):
        between = "" if summary.low is None else f" ({summary.low:.1f} to {summary.high:.1f}, 95 % over runs)"
        console.print(f"{what}: {summary.mean:.1f}{between}")
    console.print(f"Mean sparse return of {len(drawn)} episodes a pair. Wrote {folder}/crossplay.csv and crossplay.png")
    return 0


def _load(names: Sequence[str], uri: str | None) -> tuple[World, list[TensorDictModule]]:
    from genreplay.runs import checkpoint, find
    from genreplay.runs.policy import load_policy
    from genreplay.runs.store import store_uri

    where = store_uri(uri)
    found = [load_policy(find.resolve_run(name, where, checkpoint.exists, "--runs")) for name in names]
    require_same_kitchen(names, [loaded.config for loaded in found])
    return found[0].world, [loaded.policy for loaded in found]


def require_same_kitchen(names: Sequence[str], configs: Sequence[ExperimentConfig]) -> None:
    """UserError unless all runs are of Overcooked, in the same kitchen and seen the same way."""
    for name, config in zip(names, configs, strict=True):
        if not isinstance(config.env, OvercookedConfig):
            raise UserError(f"--runs {name}: env.name is {config.env.name!r}; cross-play takes runs of overcooked")
        for key in SAME:
            first, own = getattr(configs[0].env, key), getattr(config.env, key)
            if own != first:
                raise UserError(f"--runs: {name} has env.{key}={own}, but {names[0]} {first}; name runs that agree")


def play_all(world: World, policies: Sequence[TensorDictModule], episode_seeds: Sequence[int]) -> np.ndarray:
    """`[R, R, S]`: sparse return of every policy as cook 0 with every policy as cook 1; the same numbers each time."""
    import numpy as np

    from genreplay.common.progress import Bars

    returns = np.zeros((len(policies), len(policies), len(episode_seeds)))
    with Bars(len(policies) ** 2, what="pairs") as bars:
        for done, (i, j) in enumerate(itertools.product(range(len(policies)), repeat=2)):
            returns[i, j] = play(world, policies[i], policies[j], episode_seeds)
            bars.advance(done + 1)
    return returns


def play(world: World, first: TensorDictModule, second: TensorDictModule, episode_seeds: Sequence[int]) -> list[float]:
    """Sparse return of `first` as cook 0 with `second` as cook 1, one kitchen a seed, all side by side."""
    import numpy as np

    from genreplay.envs import episodes

    env = world.make_env(len(episode_seeds), lambda worker, index: episode_seeds[worker], evaluation=True)
    env.demand = SELF_PLAY
    cooks = episodes.greedy(first), episodes.greedy(second)

    def act(seen: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        of_both = [cook(seen) for cook in cooks]
        return {worker: np.stack([of_both[0][worker][0], of_both[1][worker][1]]) for worker in seen}

    return [episode["return"] for episode in episodes.play_all(env, act, episode_seeds)]


def summaries(matrix: np.ndarray) -> tuple[Summary, Summary]:
    """Self-play and cross-play of mean returns `[R, R]`, each with the interval of a bootstrap over runs.

    Entries of one row or column share a run, so whole runs are resampled, and a run's copies do not meet each other.
    """
    import numpy as np

    num_runs = len(matrix)
    apart = ~np.eye(num_runs, dtype=bool)
    means = float(matrix.diagonal().mean()), float(matrix[apart].mean())
    if num_runs < MIN_RUNS_FOR_INTERVAL:
        return Summary(means[0], None, None), Summary(means[1], None, None)
    found: tuple[list[float], list[float]] = [], []
    for chosen in np.random.default_rng(0).integers(num_runs, size=(NUM_RESAMPLES, num_runs)):
        found[0].append(matrix[chosen, chosen].mean())
        pairs = matrix[np.ix_(chosen, chosen)][chosen[:, None] != chosen]
        if len(pairs):
            found[1].append(pairs.mean())
    tails = 100 * (1 - LEVEL) / 2
    own, cross = (
        Summary(mean, *map(float, np.percentile(values, [tails, 100 - tails])))
        for mean, values in zip(means, found, strict=True)
    )
    return own, cross


def table(names: Sequence[str], returns: np.ndarray) -> Table:
    """The matrix of means for the screen."""
    from rich.table import Table

    shown = Table(box=None)
    shown.add_column("cook 0 \\ cook 1", no_wrap=True)
    for name in names:
        shown.add_column(name, justify="right", overflow="fold")
    for name, row in zip(names, returns.mean(axis=2), strict=True):
        shown.add_row(name, *(f"{value:.1f}" for value in row))
    return shown


def write(folder: Path, names: Sequence[str], episode_seeds: Sequence[int], returns: np.ndarray) -> None:
    """`crossplay.csv`, a line an episode, and `crossplay.png`, the heat map; UserError where they cannot be written."""
    from genreplay.reporting.figures import cross_play

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "crossplay.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["cook_0", "cook_1", "seed", "sparse_return"])
            for i, j in itertools.product(range(len(names)), repeat=2):
                for seed, value in zip(episode_seeds, returns[i, j].tolist(), strict=True):
                    rows.writerow([names[i], names[j], seed, f"{value:g}"])
        cross_play(names, returns.mean(axis=2)).savefig(folder / "crossplay.png", dpi=150)
    except OSError as error:
        raise UserError(f"--output {folder}: cannot be written to ({error.strerror or error}); name another") from error
