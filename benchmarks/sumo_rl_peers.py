"""What a user would pick instead: sumo-rl with Stable-Baselines3, on the episodes of `genreplay evaluate`.

    python benchmarks/sumo_rl_peers.py --output DIR [--maps LIST] [--methods LIST] [--budgets LIST]
        [--training-seeds LIST] [--demands LIST] [--seeds LIST]

Needs `pip install "genreplay[peers]"`. Each policy learns from the traffic that `genreplay fit` samples, for as many
simulated hours as a run of `conf/sumo_pgr.yaml`, `cologne1_pgr` or `ingolstadt1_pgr` (`--budgets 1`), or for that many
times as long. It then plays the evaluation episodes. `fixed_ts` learns nothing: sumo-rl runs the map's own plan, which
shows that the episodes are those of our baseline `fixed_plan`. Writes DIR/MAP.csv, a row for each episode, and prints a
table. A policy that is in DIR/models is not trained again, and an episode that has a row is not played again.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pickle
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from stable_baselines import NOT_INSTALLED
from sumo_rl_episodes import Choose, Measured, TrainingTraffic

from genreplay.common.files import make_folder, read_csv, whole, write_csv
from genreplay.config.reader import load
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.traffic.profiles import is_in_range, parse_profile
from genreplay.envs.sumo.traffic.scenarios import resolve

CONF = Path(__file__).parents[1] / "conf"
MAPS = {"2way": "sumo_pgr.yaml", "cologne1": "cologne1_pgr.yaml", "ingolstadt1": "ingolstadt1_pgr.yaml"}
HOURS = {"2way": 8.1, "cologne1": 15.7, "ingolstadt1": 16.2}
"""Simulated hours of 3,000 decisions. One lasts 9.8, 18.9 and 19.4 s on the demands of training: the seconds of those
episodes by their `num_decisions` in src/genreplay/policies/MAP/evaluation/episodes.csv, as of commit abe1475."""
GIVEN = "0.75,1,1.1,1.25"
DEMANDS = {"2way": "1000,1500,2000,2600,tidal,surge,other_day", "cologne1": GIVEN, "ingolstadt1": GIVEN}
SETTINGS: dict[str, dict[str, Any]] = {
    "dqn": {
        "learning_rate": 1e-3,
        "learning_starts": 0,
        "train_freq": 1,
        "target_update_interval": 500,
        "exploration_initial_eps": 0.05,
        "exploration_final_eps": 0.01,
    },
    "ppo": {
        "gamma": 0.95,
        "n_steps": 256,
        "ent_coef": 0.0905168,
        "learning_rate": 0.00062211,
        "vf_coef": 0.042202,
        "max_grad_norm": 0.9,
        "gae_lambda": 0.99,
        "n_epochs": 5,
        "clip_range": 0.3,
        "batch_size": 256,
    },
}
"""sumo-rl's examples: experiments/dqn_2way-single-intersection.py and experiments/sb3_grid4x4.py of
https://github.com/LucasAlegre/sumo-rl. All else is Stable-Baselines3's default, such as two layers of 64."""
FIXED = "fixed_ts"
KEY = ("method", "budget", "training_seed", "demand", "seed")
"""What tells the rows of a map apart."""
Row = dict[str, Any]
T = TypeVar("T")


class Cell(NamedTuple):
    """One policy: trained and evaluated."""

    map: str
    method: str
    budget: str
    """Multiple of `HOURS`."""
    training_seed: str

    @property
    def num_steps(self) -> int:
        """Decisions of 5 s; PPO goes on to the end of its last block of `n_steps`."""
        return max(1, round(float(self.budget) * HOURS[self.map] * 3600 / 5))


def in_fork(work: Callable[[], T]) -> T:
    """The result of `work` in a fork, as in the workers of our simulator: a second simulation in one process is not
    independent of the first one.
    """
    sys.stdout.flush()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(write_end, "wb") as stream:
                pickle.dump(work(), stream)
            sys.stdout.flush()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as stream:
        result = stream.read()
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError("a process ended without a result; its messages are above")
    return pickle.loads(result)  # noqa: S301 (its own child wrote it)


def algorithm(method: str) -> Any:
    """Stable-Baselines3's class."""
    import stable_baselines3

    return getattr(stable_baselines3, method.upper())


def train(cell: Cell, config: SumoConfig, file: Path) -> None:
    """Train a policy and write it to `file`."""
    env = TrainingTraffic(config, int(cell.training_seed))
    settings = SETTINGS[cell.method]
    model = algorithm(cell.method)("MlpPolicy", env, seed=int(cell.training_seed), device="cpu", **settings)
    model.learn(cell.num_steps)
    with whole(file) as part, part.open("wb") as stream:
        model.save(stream)


def greedy(model: Any) -> Choose:
    """The most valued (DQN) or most probable (PPO) action of a trained policy."""
    return lambda observation: int(model.predict(observation, deterministic=True)[0])


def run_cell(cell: Cell, output: Path, demands: list[str], seeds: list[str]) -> None:
    """Train the policy where there is none, and play the episodes that are missing from the file of the map."""
    torch.set_num_threads(1)
    config = load(CONF / MAPS[cell.map]).env
    table = output / f"{cell.map}.csv"
    rows: list[Row] = list(read_csv(table)) if table.exists() else []
    known = {tuple(row[name] for name in KEY) for row in rows}
    named = {"map": cell.map, "method": cell.method, "budget": cell.budget, "training_seed": cell.training_seed}
    missing = [
        {**named, "demand": demand, "in_range": int(in_range(config, demand)), "seed": seed}
        for demand in demands
        for seed in seeds
        if (*cell[1:], demand, seed) not in known
    ]
    if not missing:
        return
    choose, begun = None, time.monotonic()
    if cell.method != FIXED:
        file = output / "models" / f"{'_'.join(cell)}.zip"
        if not file.exists():
            in_fork(lambda: train(cell, config, file))
        model = algorithm(cell.method).load(file, device="cpu")
        choose, trained = greedy(model), int(model.num_timesteps)
        missing = [{**row, "training_steps": trained} for row in missing]
        print(f"{' '.join(cell)}: trained for {trained} steps, {time.monotonic() - begun:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        simulator = Measured(config, Path(folder))
        for row in missing:
            rows.append(row | in_fork(lambda row=row: simulator.play(int(row["seed"]), row["demand"], choose)))
            with whole(table) as part:
                write_csv(part, rows)
    print(f"{' '.join(cell)}: {len(missing)} episodes, {time.monotonic() - begun:.0f} s in all", flush=True)


def in_range(config: SumoConfig, demand: str) -> bool:
    """Whether training samples such episodes."""
    is_given = resolve(config).is_given
    return is_in_range(parse_profile(demand, config.demand, is_given), config.demand, is_given)


def as_table(rows: Iterable[Row]) -> str:
    """Markdown: the mean delay (s) by demand, over the demands of training, and its range over training seeds; the
    longest delay of an episode and the longest red of all.
    """
    rows = list(rows)
    demands = {row["demand"]: row["in_range"] in ("1", 1) for row in rows}
    heads = [name if known else f"{name}*" for name, known in demands.items()]
    lines = [f"| policy | {' | '.join(heads)} | range | by training seed | worst episode | longest red |"]
    lines.append("|---" * (len(heads) + 5) + "|")
    for name in dict.fromkeys((row["method"], row["budget"]) for row in rows):
        mine = [row for row in rows if (row["method"], row["budget"]) == name]

        def mean(names: Iterable[str], mine: list[Row] = mine) -> float:
            groups = ([float(row["delay"]) for row in mine if row["demand"] == demand] for demand in names)
            return float(np.mean([np.mean(group) for group in groups if group]))

        known = [demand for demand, is_known in demands.items() if is_known]
        seeds = dict.fromkeys(row["training_seed"] for row in mine)
        each = [mean(known, [row for row in mine if row["training_seed"] == seed]) for seed in seeds]
        figures = [*(mean([demand]) for demand in demands), mean(known)]
        cells = [f"{value:.1f}" for value in figures] + [", ".join(f"{value:.1f}" for value in each)]
        most = (max(float(row[metric]) for row in mine) for metric in ("delay", "longest_red"))
        label = FIXED if name[0] == FIXED else f"{name[0].upper()}, {name[1]}x"
        lines.append(f"| {label} | {' | '.join(cells)} | {' | '.join(f'{value:.0f}' for value in most)} |")
    return "\n".join(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    for name, default in (
        ("maps", ",".join(MAPS)),
        ("methods", f"{FIXED},dqn,ppo"),
        ("budgets", "1,10"),
        ("training-seeds", "0"),
        ("seeds", "101,102,103,104,105"),
        ("demands", ""),
    ):
        parser.add_argument(f"--{name}", type=lambda text: text.split(","), default=default, metavar="LIST")
    options = parser.parse_args(arguments)
    for name, known in (("maps", MAPS), ("methods", [FIXED, *SETTINGS])):
        for value in getattr(options, name):
            if value not in known:
                parser.error(f"--{name} {value}: there is no such one; choose among {', '.join(known)}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run every cell, cheap ones first; the exit status."""
    options = parse(arguments)
    methods = [method for method in options.methods if method != FIXED]
    if methods and importlib.util.find_spec("stable_baselines3") is None:
        print(f"--methods {methods[0]}: Stable-Baselines3 is {NOT_INSTALLED}", file=sys.stderr)
        return 2
    make_folder(options.output / "models")
    cells = [Cell(name, FIXED, "0", "") for name in options.maps if FIXED in options.methods]
    cells += [
        Cell(name, method, budget, seed)
        for seed in options.training_seeds
        for budget in options.budgets
        for name in options.maps
        for method in methods
    ]
    for cell in cells:
        demands = options.demands if options.demands != [""] else DEMANDS[cell.map].split(",")
        in_fork(lambda cell=cell, demands=demands: run_cell(cell, options.output, demands, options.seeds))
    for name in options.maps:
        rows = read_csv(options.output / f"{name}.csv")
        print(f"\n{name}\n\n{as_table(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
