r"""Compares arms of an experiment by the area under their evaluation curves, with intervals over seeds.

    python results/arms.py FOLDER --metric sparse_return --uri sqlite:///mlruns/mlflow.db \
        "real only=overcooked-real" "counterfactual=overcooked-counterfactual"

Each arm is an MLflow experiment of its own with one finished run a seed, or an arm of an earlier `arms.csv` (NAME=FILE
for a file with one arm, else NAME=FILE:ARM). The first arm is what the others are held against. The area under a curve
is the mean of its evaluations, which all arms must have at the same env steps; --since leaves the first ones out of it
(not out of `arms.csv`), and --largest takes the largest instead, which for a delay is the worst. Figures are
interquartile means over seeds with 95 % intervals by the percentile bootstrap (Agarwal et al., 2021, section 4.1).
Differences are of paired seeds where the arms have the same ones.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import numpy as np
from learning_curves import curves
from matplotlib.figure import Figure
from mlflow import MlflowClient

from genreplay.common.statistics import interquartile_mean

NUM_RESAMPLES = 10_000
SLACK = 100
"""Env steps by which an evaluation may be late."""

Arm = dict[int, dict[int, float]]
"""By seed and env step."""


def read(client: MlflowClient, experiment: str, metric: str) -> Arm:
    """The evaluations of every finished run of an experiment."""
    arm: Arm = {}
    for row in curves(client, experiment, metric):
        arm.setdefault(int(row["seed"]), {})[int(row["env_step"])] = float(row["value"])
    steps = {tuple(points) for points in arm.values()}
    if len(steps) != 1:
        raise SystemExit(f"{experiment}: its runs were not evaluated at the same env steps, or there are none")
    return arm


def read_csv(place: str) -> Arm:
    """An arm of an earlier `arms.csv`: the file's only one, or the one named behind a colon."""
    file, _, name = place.partition(".csv")
    arm: Arm = {}
    with Path(f"{file}.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    name = name.lstrip(":") or rows[0]["arm"]
    for row in rows:
        if row["arm"] == name:
            arm.setdefault(int(row["seed"]), {})[int(row["env_step"])] = float(row["value"])
    if not arm:
        raise SystemExit(f"{file}.csv: no arm {name!r}")
    return arm


def only(arm: Arm, last: float, seeds: set[int]) -> Arm:
    """Evaluations up to env step `last` of some seeds (none: all); a round that passes a mark belongs to it."""
    return {
        seed: {step: value for step, value in points.items() if step < last + SLACK}
        for seed, points in arm.items()
        if not seeds or seed in seeds
    }


def since(arm: Arm, first: float) -> Arm:
    """The evaluations from env step `first` on."""
    return {seed: {step: value for step, value in points.items() if step >= first} for seed, points in arm.items()}


def aligned(arm: Arm, marks: list[int]) -> Arm:
    """The same evaluations under `marks`, the env steps of another arm, which a round of several workers passes."""
    for points in arm.values():
        if len(points) != len(marks) or any(abs(step - mark) > SLACK for step, mark in zip(points, marks, strict=True)):
            raise SystemExit(f"the arms were not evaluated at the same env steps: {list(points)} beside {marks}")
    return {seed: dict(zip(marks, points.values(), strict=True)) for seed, points in arm.items()}


def areas(arm: Arm, statistic: Callable[[list[float]], float] = mean) -> dict[int, float]:
    """Mean over evaluations, or another statistic of them, by seed."""
    return {seed: float(statistic(list(points.values()))) for seed, points in sorted(arm.items())}


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Interquartile mean over seeds `[S]`, and its 95 % bootstrap interval."""
    resampled = values[rng.integers(len(values), size=(NUM_RESAMPLES, len(values)))]
    found = np.sort(resampled, axis=1)
    cut = len(values) // 4
    means = found[:, cut : len(values) - cut].mean(axis=1)
    return interquartile_mean(values), *np.quantile(means, [0.025, 0.975])


def difference(one: dict[int, float], other: dict[int, float], rng: np.random.Generator) -> tuple[float, float, float]:
    """Interquartile mean of `other` less that of `one`, and its 95 % interval: paired where seeds are alike."""
    if one.keys() == other.keys():
        return interval(np.array([other[seed] - one[seed] for seed in one]), rng)
    draws = []
    for values in (np.array(list(one.values())), np.array(list(other.values()))):
        resampled = np.sort(values[rng.integers(len(values), size=(NUM_RESAMPLES, len(values)))], axis=1)
        cut = len(values) // 4
        draws.append(resampled[:, cut : len(values) - cut].mean(axis=1))
    middle = interquartile_mean(list(other.values())) - interquartile_mean(list(one.values()))
    return middle, *np.quantile(draws[1] - draws[0], [0.025, 0.975])


def draw(arms: dict[str, Arm], metric: str) -> Figure:
    """Interquartile mean over seeds by env step, the quarter to three quarters shaded."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for i, (name, arm) in enumerate(arms.items()):
        steps = list(next(iter(arm.values())))
        values = np.array([[points[step] for step in steps] for points in arm.values()])
        axes.plot(steps, [interquartile_mean(column) for column in values.T], color=f"C{i}", linewidth=2, label=name)
        axes.fill_between(steps, *np.quantile(values, [0.25, 0.75], axis=0), color=f"C{i}", alpha=0.15, linewidth=0)
    axes.set(
        xlabel="environment steps", ylabel=f"{metric.replace('_', ' ')} on the evaluation episodes", ylim=(0, None)
    )
    axes.legend(frameon=False)
    return figure


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("arms", nargs="+", metavar="NAME=EXPERIMENT")
    parser.add_argument("--metric", default="sparse_return")
    parser.add_argument("--uri", default="sqlite:///mlruns/mlflow.db")
    parser.add_argument("--until", type=float, default=math.inf, metavar="ENV_STEP", help="leave out what came later")
    parser.add_argument("--since", type=float, default=0, metavar="ENV_STEP", help="compare what came from then on")
    parser.add_argument("--largest", action="store_true", help="compare the largest evaluations, not the means")
    parser.add_argument("--seeds", type=int, nargs="*", default=(), help="only these (write them last)")
    arguments = parser.parse_args()
    client, rng = MlflowClient(arguments.uri), np.random.default_rng(0)
    named = dict(arm.split("=", 1) for arm in arguments.arms)
    arms = {
        name: only(
            read_csv(where) if ".csv" in where else read(client, where, arguments.metric),
            arguments.until,
            set(arguments.seeds),
        )
        for name, where in named.items()
    }
    marks = list(next(iter(next(iter(arms.values())).values())))
    arms = {name: aligned(arm, marks) for name, arm in arms.items()}
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with (arguments.folder / "arms.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("arm", "seed", "env_step", "value"))
        for name, arm in arms.items():
            writer.writerows((name, seed, step, value) for seed in arm for step, value in arm[seed].items())
    arms = {name: since(arm, arguments.since) for name, arm in arms.items()}
    statistic, what = (max, "largest") if arguments.largest else (mean, "area")
    first = areas(next(iter(arms.values())), statistic)
    print(f"| arm | seeds | {what} | 95 % | less {next(iter(arms))} | 95 % |\n|---|---|---|---|---|---|")
    for name, arm in arms.items():
        middle, low, high = interval(np.array(list(areas(arm, statistic).values())), rng)
        line = f"| {name} | {len(arm)} | {middle:.1f} | {low:.1f} to {high:.1f} |"
        if arm is not next(iter(arms.values())):
            middle, low, high = difference(first, areas(arm, statistic), rng)
            line += f" {middle:+.1f} | {low:+.1f} to {high:+.1f} |"
        else:
            line += " | |"
        print(line)
    draw(arms, arguments.metric).savefig(arguments.folder / "arms.png", dpi=130)


if __name__ == "__main__":
    main()
