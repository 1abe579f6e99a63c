"""Evaluations of several training seeds and arms beside those of the baselines, on the same episodes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from genreplay.common.errors import UserError
from genreplay.common.files import read_csv
from genreplay.common.statistics import student_interval
from genreplay.evaluation.ratios import LIMIT

Episodes = Mapping[tuple[str, str], float]
"""A metric by demand and evaluation seed."""
TRAINED = re.compile(r"evaluation_(?:(?P<arm>\w+?)_)?seed_(?P<seed>\d+)\.csv")


class Evaluations(NamedTuple):
    """What a folder holds."""

    trained: Mapping[str, Mapping[int, Episodes]]
    """By arm (`policy` where the files name none) and training seed."""
    baselines: Mapping[str, Episodes]
    """By name."""
    demands: Mapping[str, bool]
    """Whether training draws each, in the order of the files."""
    minimise: bool
    """Whether the metric is better where it is lower."""

    def best(self, demands: Sequence[str]) -> str:
        """The best baseline by its mean over these demands."""
        choose = min if self.minimise else max
        return choose(self.baselines, key=lambda name: _mean(self.baselines[name], demands))


def controllers_tables(folder: Path, metric: str, minimise: bool = True) -> list[str]:
    """Markdown lines of a metric by controller and demand, from a folder with a CSV file for each evaluation.

    `evaluation_seed_*.csv` are the `episodes.csv` of each training seed, `evaluation_ARM_seed_*.csv` those of a study's
    arms, and `evaluation_baselines*.csv` those of the baselines, which depend on no training seed. `range` is the mean
    over the demands that training draws. The tables, each mean over evaluation seeds and then over training seeds:

    - the metric, with the smallest and largest training seed;
    - the difference from the best baseline of the column, on the same episodes, with Student's 95 % interval over
      training seeds;
    - the difference from the first arm, training seed by training seed, likewise;
    - each arm's worst ratio to the best baseline of the same episode.

    Raises:
        UserError: an episode has no such metric, or the baselines lack an episode of a policy.
    """
    found = read(folder, metric, minimise)
    columns = {name if known else f"{name}*": [name] for name, known in found.demands.items()}
    columns["range"] = [name for name, known in found.demands.items() if known]
    values = {name: list(by_seed.values()) for name, by_seed in found.trained.items()}
    values |= {name: [episodes] for name, episodes in found.baselines.items()}
    lines = _table("controller", columns, values, _spread)
    if found.baselines and found.trained:
        lines += ["", *_against_baselines(found, columns)]
    if len(found.trained) > 1:
        lines += ["", *_against_first_arm(found, columns)]
    if found.baselines and found.trained:
        lines += ["", *(worst_ratio(found, arm) for arm in found.trained)]
    return lines


def read(folder: Path, metric: str, minimise: bool) -> Evaluations:
    """Every episode's metric. Arms and baselines have the order of the files' names."""
    trained: dict[str, dict[int, dict[tuple[str, str], float]]] = defaultdict(dict)
    baselines: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    demands: dict[str, bool] = {}
    for path in sorted(folder.glob("evaluation_*.csv")):
        name = TRAINED.fullmatch(path.name)
        if name is None and not path.name.startswith("evaluation_baselines"):
            continue
        for row in read_csv(path):
            demands[row["demand"]] = row["in_range"] == "1"
            place, value = (row["demand"], row["seed"]), metric_of(row, metric)
            if name is None:
                baselines[row["controller"]][place] = value
            else:
                trained[name["arm"] or row["controller"]].setdefault(int(name["seed"]), {})[place] = value
    return Evaluations({arm: dict(sorted(of.items())) for arm, of in trained.items()}, baselines, demands, minimise)


def metric_of(row: Mapping[str, str], metric: str) -> float:
    """The metric of an episode.

    Raises:
        UserError: it has none.
    """
    if not row.get(metric):
        raise UserError(f"--metric {metric}: an episode does not have it; choose one of {', '.join(row)}")
    return float(row[metric])


def worst_ratio(found: Evaluations, arm: str) -> str:
    """A sentence: the arm's largest ratio to the best baseline of an episode, and how many are above `LIMIT`."""
    choose = min if found.minimise else max
    ratios: list[tuple[float, str, str, int]] = []
    for seed, episodes in found.trained[arm].items():
        for (demand, evaluation_seed), value in episodes.items():
            best = choose(_at(found, name, (demand, evaluation_seed)) for name in found.baselines)
            ratio = value / best if found.minimise else best / value
            ratios.append((ratio, demand, evaluation_seed, seed))
    ratio, demand, evaluation_seed, seed = max(ratios)
    above = sum(each[0] > LIMIT for each in ratios)
    return (
        f"{arm}: at worst {ratio:.2f} times the best baseline of an episode ({demand}, seed {evaluation_seed}, "
        f"training seed {seed}); {above} of {len(ratios)} above {LIMIT:g} times"
    )


def _at(found: Evaluations, baseline: str, place: tuple[str, str]) -> float:
    if place not in found.baselines[baseline]:
        raise UserError(
            f"evaluation_baselines*.csv: {baseline} has no episode of demand {place[0]} with seed {place[1]}; evaluate "
            "the baselines on the policies' demands and seeds"
        )
    return found.baselines[baseline][place]


def _against_baselines(found: Evaluations, columns: Mapping[str, Sequence[str]]) -> list[str]:
    best = [found.best(demands) for demands in columns.values()]
    lines = [f"| less the best baseline | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 1)]
    lines.append(f"| best baseline | {' | '.join(best)} |")
    for arm, by_seed in found.trained.items():
        cells = []
        for name, demands in zip(best, columns.values(), strict=True):
            gaps = [{at: value - _at(found, name, at) for at, value in each.items()} for each in by_seed.values()]
            cells.append(_interval([_mean(gap, demands) for gap in gaps]))
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _against_first_arm(found: Evaluations, columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Over the training seeds that both arms have."""
    (first, base), *others = found.trained.items()
    values = {
        arm: [
            {place: value - base[seed][place] for place, value in episodes.items() if place in base[seed]}
            for seed, episodes in by_seed.items()
            if seed in base
        ]
        for arm, by_seed in others
    }
    return _table(f"less {first}", columns, values, _interval)


def _table(
    head: str,
    columns: Mapping[str, Sequence[str]],
    rows: Mapping[str, Sequence[Episodes]],
    cell: Callable[[Sequence[float]], str],
) -> list[str]:
    lines = [f"| {head} | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 1)]
    for name, runs in rows.items():
        cells = [cell([_mean(episodes, demands) for episodes in runs]) for demands in columns.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _mean(episodes: Episodes, demands: Sequence[str]) -> float:
    """Over the demands, of the means over evaluation seeds."""
    return mean(mean(value for (demand, _), value in episodes.items() if demand == each) for each in demands)


def _spread(values: Sequence[float]) -> str:
    """The mean over training seeds, and their range where there are several."""
    text = f"{mean(values):.1f}"
    return f"{text} ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else text


def _interval(values: Sequence[float]) -> str:
    """The mean over training seeds, and its interval where there are several."""
    low, high = student_interval(values)
    return f"{mean(values):+.2f} ({low:+.2f} to {high:+.2f})" if len(values) > 1 else f"{mean(values):+.2f}"
