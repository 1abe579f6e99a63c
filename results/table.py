"""Prints the delay table of a folder of evaluations as Markdown.

    python results/table.py FOLDER [--metric delay]

FOLDER holds `evaluation_seed_*.csv`, the `episodes.csv` of `genreplay evaluate` for each training seed, and
`evaluation_baselines*.csv`, that of the baselines, which depend on no training seed. The policy's row is the mean over
evaluation seeds and training seeds, with the smallest and largest training seed. `range` is the mean over the demands
inside the range of training (without a star).
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from statistics import mean

Values = dict[tuple[str, str], dict[int, list[float]]]
"""By controller and demand, by training seed: one for each evaluation seed."""


def read(folder: Path, metric: str) -> tuple[Values, dict[str, bool]]:
    """Every episode's metric, and the demands with whether training draws them, in the order of the files."""
    values: Values = defaultdict(lambda: defaultdict(list))
    demands: dict[str, bool] = {}
    files = sorted(folder.glob("evaluation_seed_*.csv"))
    if not files:
        raise SystemExit(f"{folder} holds no evaluation_seed_*.csv")
    for path in [*files, *sorted(folder.glob("evaluation_baselines*.csv"))]:
        seed = int(path.stem.split("_")[-1]) if path in files else 0
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                demands[row["demand"]] = row["in_range"] == "1"
                values[row["controller"], row["demand"]][seed].append(float(row[metric]))
    return values, demands


def cell(values: Values, controller: str, demands: list[str]) -> str:
    """The mean over these demands, and the range over training seeds where there are several."""
    seeds = sorted(set.union(*(set(values[controller, demand]) for demand in demands)))
    by_seed = [mean(mean(values[controller, demand][seed]) for demand in demands) for seed in seeds]
    text = f"{mean(by_seed):.1f}"
    return f"{text} ({min(by_seed):.1f} to {max(by_seed):.1f})" if len(seeds) > 1 else text


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--metric", default="delay")
    arguments = parser.parse_args()
    values, demands = read(arguments.folder, arguments.metric)
    known = [demand for demand, in_range in demands.items() if in_range]
    headers = [*(name if in_range else f"{name}*" for name, in_range in demands.items()), "range"]
    print("| controller | " + " | ".join(headers) + " |")
    print("|" + "---|" * (len(headers) + 1))
    for controller in dict.fromkeys(name for name, _ in values):
        cells = [cell(values, controller, [demand]) for demand in demands]
        print(f"| {controller} | " + " | ".join([*cells, cell(values, controller, known)]) + " |")


if __name__ == "__main__":
    main()
