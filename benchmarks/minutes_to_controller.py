"""Minutes from `genreplay fit` until the policy stays below rules of the street, on one core.

    python benchmarks/minutes_to_controller.py [--seeds 0,1,2] [--every 100] [--json FILE] [key=value ...]

Trains `conf/sumo_pgr.yaml` and the main configuration before it (`previous_default.yaml`), in turns: every seed of
both. A run is evaluated every `--every` decisions on the evaluation episodes of its configuration, on which
max-pressure and the cabinet's control (`fully_actuated`) are played too. A policy has arrived at the first evaluation
from which on its mean primary metric is below theirs in every evaluation until the end of the run.

Time counts from the start of the process: imports, compilation, simulators, fits, checkpoints and reports included.
What evaluations took is subtracted, as how often to evaluate is the benchmark's choice. The clock stops where an
evaluation begins, so that an arrival may be late by up to `--every` decisions.

`conf/sumo_pgr.yaml` begins as the queue rule (`actuated_queue`). So it starts below max-pressure and the cabinet where
that rule is below them: its minutes are then those of the start and the first `--every` decisions, and say that
learning does not lose what the rule has. They do not say how fast anything is learned. The configuration before it
begins with random actions.

Run it on an idle machine: other processes on the core count as the run's own time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from math import inf
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATIONS = {
    "sumo_pgr": ROOT / "conf/sumo_pgr.yaml",
    "previous default": ROOT / "benchmarks/previous_default.yaml",
}
BASELINES = ("max_pressure", "fully_actuated")
NOTE = "sumo_pgr begins as the queue rule, and so below both baselines where that rule is below them"


class Point(NamedTuple):
    """An evaluation during a run."""

    env_step: int
    minutes: float
    """From the start of the process to the beginning of this evaluation, without earlier evaluations."""
    value: float
    """Mean of the primary metric."""


def minutes_below(points: Sequence[Point], level: float) -> float:
    """Minutes to the first point from which on all values are below `level`; infinite where the last one is not."""
    found = inf
    for point in reversed(points):
        if point.value >= level:
            break
        found = point.minutes
    return found


def baselines(file: Path, options: Sequence[str]) -> tuple[str, dict[str, float]]:
    """The primary metric, and its mean under each baseline on the configuration's evaluation episodes."""
    from genreplay.build import build_world
    from genreplay.config.reader import load
    from genreplay.envs.facets import BaselineRun

    config = load(os.fspath(file), list(options))
    world, seeds = build_world(config), config.evaluation.seeds
    means = {}
    with closing(world.make_env(1, lambda worker, index: 0, evaluation=True)) as env:
        for name in BASELINES:
            values = [env.play_baseline(BaselineRun(name), {0: seed})[0][world.primary_metric] for seed in seeds]
            means[name] = sum(values) / len(values)
    return world.primary_metric, means


def train(file: Path, seed: int, every: int, options: Sequence[str], metric: str) -> list[Point]:
    """Train with one seed, in a store of its own; its evaluations."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/mlruns/mlflow.db"
        # A log comes just before each evaluation, and says when that one began and what those before it took.
        own = [f"loop.evaluate_every_env_steps={every}", f"loop.log_every_env_steps={every}", f"seed={seed}"]
        command = [sys.executable, "-m", "genreplay", "fit", "--config", os.fspath(file), *options, *own]
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
        begun = time.time()
        done = subprocess.run(
            [*command, f"tracking.uri={store}"], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
        return read(store, begun, metric)


def read(store: str, begun: float, metric: str) -> list[Point]:
    """The evaluations of the only run in a store.

    Args:
        store: its address.
        begun: when the process started, s since 1970.
        metric: the primary one.
    """
    from mlflow import MlflowClient

    client = MlflowClient(store)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])

    def history(name: str) -> list[Any]:
        return client.get_metric_history(run.info.run_id, name)

    logged = {point.step: point.timestamp / 1000 for point in history("counters/env_step")}
    spent = history("speed/evaluation_seconds")
    points = []
    for point in sorted(history(f"evaluation/{metric}"), key=lambda point: point.step):
        evaluating = sum(each.value for each in spent if each.step <= point.step)
        points.append(Point(point.step, (logged[point.step] - begun - evaluating) / 60, point.value))
    return points


def table(runs: Mapping[str, Mapping[int, Mapping[str, float]]]) -> list[str]:
    """Lines with the minutes of every run, the median of each configuration, and the ratio of the medians.

    Args:
        runs: by configuration and seed, the minutes by baseline.
    """
    lines = [f"{'minutes to stay below':<24}{'seed':>8}" + "".join(f"{name:>18}" for name in BASELINES)]
    medians = {}
    for name, of_seed in runs.items():
        lines += [_line(name, str(seed), [minutes[b] for b in BASELINES]) for seed, minutes in of_seed.items()]
        medians[name] = [median(minutes[b] for minutes in of_seed.values()) for b in BASELINES]
        lines.append(_line(name, "median", medians[name]))
    if len(medians) == 2:
        own, other = medians.values()
        ratios = [a / b if max(a, b) < inf else inf for a, b in zip(own, other, strict=True)]
        lines.append(_line(" / ".join(medians)[:24], "ratio", ratios, "{:.2f}"))
    return [*lines, f"not: it does not stay below until the end of the run. {NOTE}."]


def _line(name: str, seed: str, values: Sequence[float], form: str = "{:.1f}") -> str:
    return f"{name:<24}{seed:>8}" + "".join(f"{'not' if v == inf else form.format(v):>18}" for v in values)


def main() -> None:
    """Train every seed of both configurations in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2", help="default: %(default)s")
    parser.add_argument("--every", type=int, default=100, help="decisions from one evaluation to the next")
    parser.add_argument("--json", type=Path, help="where every evaluation goes, written after each run")
    parser.add_argument("options", nargs="*", metavar="key=value", help="of both configurations")
    chosen = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # inherited by everything that is started here
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    levels = {name: baselines(file, chosen.options) for name, file in CONFIGURATIONS.items()}
    points: dict[str, dict[int, list[Point]]] = {name: {} for name in CONFIGURATIONS}
    for seed in map(int, chosen.seeds.split(",")):
        for name, file in CONFIGURATIONS.items():
            metric, level = levels[name]
            points[name][seed] = train(file, seed, chosen.every, chosen.options, metric)
            last = points[name][seed][-1]
            texts = [f"{baseline} {value:.1f}" for baseline, value in level.items()]
            print(f"{name}, seed {seed}: {metric} {last.value:.1f} after {last.minutes:.1f} min; {', '.join(texts)}")
            if chosen.json is not None:
                chosen.json.write_text(json.dumps({"baselines": levels, "points": points}, indent=1) + "\n")
    runs = {
        name: {
            seed: {b: minutes_below(found, levels[name][1][b]) for b in BASELINES} for seed, found in of_seed.items()
        }
        for name, of_seed in points.items()
    }
    print(*table(runs), sep="\n")


if __name__ == "__main__":
    main()
