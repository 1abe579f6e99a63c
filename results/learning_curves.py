"""Writes the evaluation curves of an MLflow experiment's finished runs as a CSV and a figure.

    python results/learning_curves.py EXPERIMENT FOLDER [--metric delay] [--uri sqlite:///mlruns/mlflow.db]

One row for each run and evaluation: run name, seed, env_step, the metric, and the same metric of the baseline (for SUMO
the map's own fixed plan) on the same episodes.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from mlflow import MlflowClient

FIELDS = ("run_name", "seed", "env_step", "value", "baseline")


def curves(client: MlflowClient, experiment: str, metric: str) -> list[dict[str, str | int | float]]:
    """Every evaluation of every finished run, ordered by seed and step."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise SystemExit(f"there is no experiment {experiment!r} in this store")
    rows: list[dict[str, str | int | float]] = []
    for run in client.search_runs([found.experiment_id], "attributes.status = 'FINISHED'"):
        baseline = run.data.metrics.get(f"baseline/{metric}", float("nan"))
        for point in client.get_metric_history(run.info.run_id, f"evaluation/{metric}"):
            name, seed = run.info.run_name, int(run.data.params["seed"])
            rows.append(
                {"run_name": name, "seed": seed, "env_step": point.step, "value": point.value, "baseline": baseline}
            )
    return sorted(rows, key=lambda row: (row["seed"], row["env_step"]))


def draw(rows: list[dict[str, str | int | float]], metric: str) -> Figure:
    """One thin line a seed, the median over seeds, and the baseline's level."""
    by_seed, by_step = defaultdict(list), defaultdict(list)
    for row in rows:
        by_seed[row["seed"]].append((row["env_step"], row["value"]))
        by_step[row["env_step"]].append(row["value"])
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for seed, points in by_seed.items():
        axes.plot(*zip(*points, strict=True), color="C0", alpha=0.35, linewidth=1, label=f"seed {seed}")
    steps = sorted(by_step)
    axes.plot(steps, [median(by_step[step]) for step in steps], color="C0", linewidth=2.5, label="median")
    axes.axhline(float(rows[0]["baseline"]), color="0.3", linestyle="--", label="fixed plan")
    axes.set(
        xlabel="environment steps (decisions)", ylabel=f"mean {metric} on the evaluation episodes (s)", yscale="log"
    )
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False)
    return figure


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--metric", default="delay")
    parser.add_argument("--uri", default="sqlite:///mlruns/mlflow.db")
    arguments = parser.parse_args()
    rows = curves(MlflowClient(arguments.uri), arguments.experiment, arguments.metric)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with (arguments.folder / "learning_curves.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, arguments.metric).savefig(arguments.folder / "learning_curves.png", dpi=130)


if __name__ == "__main__":
    main()
