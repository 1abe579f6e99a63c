"""Evaluations of one policy's training seeds, joined: a table by demand or partner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from genreplay.common.errors import UserError
from genreplay.common.files import read_csv
from genreplay.common.statistics import mean_interval
from genreplay.evaluation.controllers_tables import metric_of

TRAINING_SEED = "training_seed"


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
        values[row["demand"]][row[TRAINING_SEED]].append(metric_of(row, metric))
    lines = [f"| partner/seat of the policy | {metric.replace('_', ' ')} | 95 % over training seeds |", "|---|---|---|"]
    for demand, by_seed in values.items():
        means = [float(np.mean(of_seed)) for of_seed in by_seed.values()]
        low, high = mean_interval(means)
        lines.append(f"| {demand} | {np.mean(means):.0f} | {low:.0f} to {high:.0f} |")
    return lines, min(len(by_seed) for by_seed in values.values())
