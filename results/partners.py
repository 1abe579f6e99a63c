"""Joins Overcooked evaluations of several training seeds, and prints returns by partner with intervals over seeds.

    python results/partners.py FOLDER DIR DIR ...

Each DIR is what `genreplay evaluate --output DIR` wrote for one training seed, in the order of the seeds. Writes
FOLDER/partners.csv; without DIRs it reads that file again.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from genreplay.common.statistics import mean_interval as interval

FIELDS = ("training_seed", "demand", "seed", "sparse_return")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("evaluations", nargs="*", type=Path)
    arguments = parser.parse_args()
    path = arguments.folder / "partners.csv"
    if arguments.evaluations:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            for number, folder in enumerate(arguments.evaluations):
                with (folder / "episodes.csv").open(newline="") as episodes:
                    writer.writerows({"training_seed": number, **row} for row in csv.DictReader(episodes))
    returns: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            returns[row["demand"]][row["training_seed"]].append(float(row["sparse_return"]))
    print("| partner/seat of the policy | sparse return | 95 % over training seeds |\n|---|---|---|")
    for demand, by_seed in returns.items():
        means = [float(np.mean(values)) for values in by_seed.values()]
        low, high = interval(means)
        print(f"| {demand} | {np.mean(means):.0f} | {low:.0f} to {high:.0f} |")


if __name__ == "__main__":
    main()
