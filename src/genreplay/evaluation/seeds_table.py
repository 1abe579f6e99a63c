"""Evaluations of several training seeds, joined: tables by controller, demand or partner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from genreplay.common.errors import UserError
from genreplay.common.files import read_csv
from genreplay.common.statistics import mean_interval

TRAINING_SEED = "training_seed"

Values = Mapping[tuple[str, str], Mapping[int, Sequence[float]]]
"""By controller and demand, then by training seed: one value for each evaluation seed."""


def join(folders: Sequence[Path]) -> list[dict[str, str | int]]:
    """The episodes of evaluations, one folder for each training seed, with the number of the folder."""
    rows: list[dict[str, str | int]] = []
    for number, folder in enumerate(folders):
        path = folder / "episodes.csv"
        if not path.is_file():
            raise UserError(f"{folder}: holds no episodes.csv; name what genreplay evaluate --output wrote")
        rows += [{TRAINING_SEED: number, **row} for row in read_csv(path)]
    return rows


def partners_table(rows: Sequence[Mapping[str, str]], metric: str) -> tuple[list[str], int]:
    """Markdown lines of one policy's metric by demand with intervals over training seeds, and the number of seeds."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        values[row["demand"]][row[TRAINING_SEED]].append(_number(row, metric))
    lines = [f"| partner/seat of the policy | {metric.replace('_', ' ')} | 95 % over training seeds |", "|---|---|---|"]
    for demand, by_seed in values.items():
        means = [float(np.mean(of_seed)) for of_seed in by_seed.values()]
        low, high = mean_interval(means)
        lines.append(f"| {demand} | {np.mean(means):.0f} | {low:.0f} to {high:.0f} |")
    return lines, min(len(by_seed) for by_seed in values.values())


def controllers_table(folder: Path, metric: str) -> list[str]:
    """Markdown lines of a metric by controller and demand, from a folder with a CSV file for each evaluation.

    `evaluation_seed_*.csv` are the `episodes.csv` of each training seed, `evaluation_baselines*.csv` those of the
    baselines, which depend on no training seed. A cell is the mean over evaluation seeds and training seeds, with the
    smallest and largest training seed; `range` is the mean over the demands that training draws.
    """
    values, demands = _read(folder, metric)
    in_range = [demand for demand, known in demands.items() if known]
    headers = [*(name if known else f"{name}*" for name, known in demands.items()), "range"]
    lines = [f"| controller | {' | '.join(headers)} |", "|" + "---|" * (len(headers) + 1)]
    for controller in dict.fromkeys(name for name, _ in values):
        cells = [_cell(values, controller, names) for names in (*([demand] for demand in demands), in_range)]
        lines.append(f"| {controller} | {' | '.join(cells)} |")
    return lines


def _read(folder: Path, metric: str) -> tuple[Values, dict[str, bool]]:
    """Every episode's metric, and whether training draws each demand, in the order of the files."""
    values: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    demands: dict[str, bool] = {}
    of_policies = sorted(folder.glob("evaluation_seed_*.csv"))
    for path in [*of_policies, *sorted(folder.glob("evaluation_baselines*.csv"))]:
        seed = int(path.stem.split("_")[-1]) if path in of_policies else 0
        for row in read_csv(path):
            demands[row["demand"]] = row["in_range"] == "1"
            values[row["controller"], row["demand"]][seed].append(_number(row, metric))
    return values, demands


def _number(row: Mapping[str, str], metric: str) -> float:
    if not row.get(metric):
        raise UserError(f"--metric {metric}: an episode does not have it; choose one of {', '.join(row)}")
    return float(row[metric])


def _cell(values: Values, controller: str, demands: Sequence[str]) -> str:
    """The mean over these demands, and the range over training seeds where there are several."""
    seeds = sorted(set.union(*(set(values[controller, demand]) for demand in demands)))
    by_seed = [mean(mean(values[controller, demand][seed]) for demand in demands) for seed in seeds]
    text = f"{mean(by_seed):.1f}"
    return f"{text} ({min(by_seed):.1f} to {max(by_seed):.1f})" if len(seeds) > 1 else text
