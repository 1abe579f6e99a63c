"""What an evaluation found: statistics over seeds, as tables on the screen and as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from genreplay.common.errors import UserError
from genreplay.envs.episodes import Episode
from genreplay.envs.facets import NamedDemand
from genreplay.envs.world import World
from genreplay.evaluation.episode_pool import POLICY, EpisodeSpec


def interquartile_mean(values: Sequence[float]) -> float:
    """Mean of what is left without the lowest and the highest quarter (rounded down to whole values).

    Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice", section 4.3: steadier
    than the median, and unmoved by a gridlocked episode where the mean is not.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of the mean of `values`; the same at every call."""
    values = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(0).integers(len(values), size=(NUM_RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


FOLDER = "evaluation"
"""Of the results, among a run's artifacts."""
NUM_RESAMPLES = 2_000
"""Of a bootstrap."""
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: float(np.mean(values)),
    "median": lambda values: float(np.median(values)),
    "interquartile_mean": interquartile_mean,
}


GROUPS = {"in range": True, "unseen": False}
"""Demands inside and outside the range that training draws from, by what a column of them is called."""


class BaselineComparison(NamedTuple):
    """A baseline that the policy is held against, on the same demands."""

    name: str
    value: float
    """Its primary metric, mean over demands and seeds."""
    num_beaten: int
    """Demands on which the policy's mean is better."""


class GroupComparison(NamedTuple):
    """The policy on the demands inside, or outside, the range of training."""

    where: str
    num_demands: int
    own: float
    """Its primary metric, mean over demands and seeds."""
    incumbent: BaselineComparison | None
    """The incumbent; None where that was not played."""
    best: BaselineComparison | None
    """The best one among all other baselines; None where none was played."""


@dataclass(frozen=True)
class EvaluationResult:
    """Episodes of several controllers on the same demands and seeds."""

    specs: Sequence[EpisodeSpec]
    episodes: Sequence[Episode]
    """Of each spec."""
    demands: Sequence[NamedDemand]
    controllers: Sequence[str]
    primary_metric: str
    """The metric that counts most."""
    minimise: bool
    units: Mapping[str, str]
    """Of the metrics to show, the primary metric first."""

    @classmethod
    def read(cls, path: Path, world: World) -> EvaluationResult:
        """What `write_episodes` wrote of episodes in a world like `world`; UserError where it is something else."""
        specs, episodes, in_range = [], [], {}
        try:
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    specs.append(EpisodeSpec(row.pop("controller"), row.pop("demand"), int(row.pop("seed"))))
                    in_range[specs[-1].demand] = row.pop("in_range") == "1"
                    episodes.append({name: float(value) for name, value in row.items() if value})
            shared = set.intersection(*map(set, episodes))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: is not what genreplay evaluate wrote; evaluate the run again") from error
        units = {name: unit for name, unit in world.shown_units.items() if name in shared}
        demands = [NamedDemand(name, known) for name, known in in_range.items()]
        controllers = list(dict.fromkeys(spec.controller for spec in specs))
        return cls(specs, episodes, demands, controllers, world.primary_metric, world.minimise, units)

    def values(self, controller: str, demand: str, metric: str) -> list[float]:
        """One for each seed."""
        return [
            episode[metric]
            for spec, episode in zip(self.specs, self.episodes, strict=True)
            if (spec.controller, spec.demand) == (controller, demand)
        ]

    def statistic(self, name: str, controller: str, demands: Iterable[str], metric: str) -> float:
        """A statistic over seeds; its mean over the demands where there are several."""
        return float(np.mean([STATISTICS[name](self.values(controller, demand, metric)) for demand in demands]))

    def tables(self) -> list[Table]:
        """What to print: a table for each statistic, or one where there is but one controller; then all figures."""
        alone = len(self.controllers) == 1
        first = [self.alone_table()] if alone else [self.primary_table(name) for name in STATISTICS]
        return [*first, self.metrics_table()]

    def alone_table(self) -> Table:
        """The primary metric of the one controller, a line for each demand: statistics over seeds and an interval."""
        title = f"{self.controllers[0]}: {self._primary_label()} over seeds"
        table = Table(title=title, title_justify="left", title_style="bold")
        table.add_column("demand", no_wrap=True)
        for name in (*STATISTICS, "95 % of the mean"):
            table.add_column(name.replace("_", " "), justify="right")
        for header, demands in self.groups().items():
            figures = [
                f"{self.statistic(s, self.controllers[0], demands, self.primary_metric):.1f}" for s in STATISTICS
            ]
            by_demand = np.array([self.values(self.controllers[0], demand, self.primary_metric) for demand in demands])
            low, high = interval(by_demand.mean(axis=0))
            table.add_row(header, *figures, f"{low:.1f} to {high:.1f}")
        return table

    def _primary_label(self) -> str:
        return with_unit(self.primary_metric.replace("_", " "), self.units[self.primary_metric])

    def primary_table(self, name: str) -> Table:
        """The primary metric by controller and demand, what is best in bold, the policy beside every baseline."""
        title = f"{name.replace('_', ' ').capitalize()} {self._primary_label()}, over seeds"
        groups = self.groups()
        columns = {header: self._column(name, demands) for header, demands in groups.items()}
        caption = self._beside_the_best(columns)
        table = Table(title=title, title_justify="left", title_style="bold", caption=caption, caption_justify="left")
        table.add_column("controller", no_wrap=True)
        for header in columns:
            table.add_column(header, justify="right")
        compares = POLICY in self.controllers and len(self.controllers) > 1
        summary = next((header for header in GROUPS if header in groups), None)
        if compares and summary:
            table.add_column(f"policy saves\n{summary}", justify="right")
        best = min if self.minimise else max
        for row, controller in enumerate(self.controllers):
            cells = [_marked(values[row], best(values)) for values in columns.values()]
            if compares and summary:
                own = columns[summary][self.controllers.index(POLICY)]
                cells.append("" if controller == POLICY else saved(own, columns[summary][row]))
            table.add_row(controller, *cells, end_section=controller == POLICY)
        return table

    def _beside_the_best(self, columns: Mapping[str, Sequence[float]]) -> str | None:
        """What the policy saves against the baseline that is best over the range of training; None without both."""
        if POLICY not in self.controllers or len(self.controllers) < 2 or "in range" not in columns:
            return None
        values = dict(zip(self.controllers, columns["in range"], strict=True))
        own = values.pop(POLICY)
        name = (min if self.minimise else max)(values, key=lambda controller: values[controller])
        return f"in range: policy {own:.1f}, best baseline {name} {values[name]:.1f}, saved {saved(own, values[name])}"

    def metrics_table(self) -> Table:
        """Every metric by controller: means over all episodes."""
        names = [demand.name for demand in self.demands]
        title = "All figures, means over demands and seeds"
        table = Table(title=title, title_justify="left", title_style="bold")
        table.add_column("controller", no_wrap=True)
        for metric, unit in self.units.items():
            table.add_column(with_unit(metric.replace("_", " "), unit, "\n"), justify="right")
        for controller in self.controllers:
            means = [self.statistic("mean", controller, names, metric) for metric in self.units]
            table.add_row(controller, *(f"{mean:.1f}" for mean in means), end_section=controller == POLICY)
        return table

    def comparisons(self, incumbent: str | None) -> list[GroupComparison]:
        """The policy compared with the baseline `incumbent` and with the best other one; empty without a policy."""
        if POLICY not in self.controllers:
            return []
        best = min if self.minimise else max
        found = []
        for where, names in self.groups().items():
            if where not in GROUPS:
                continue
            comparisons = [self._rival(name, names) for name in self.controllers if name != POLICY]
            others = [comparison for comparison in comparisons if comparison.name != incumbent]
            found.append(
                GroupComparison(
                    where,
                    len(names),
                    self.statistic("mean", POLICY, names, self.primary_metric),
                    next((comparison for comparison in comparisons if comparison.name == incumbent), None),
                    best(others, key=lambda comparison: comparison.value, default=None),
                )
            )
        return found

    def _rival(self, name: str, demands: Sequence[str]) -> BaselineComparison:
        def mean(controller: str, demand: str) -> float:
            return self.statistic("mean", controller, [demand], self.primary_metric)

        margins = [mean(name, demand) - mean(POLICY, demand) for demand in demands]
        num_beaten = sum(margin > 0 if self.minimise else margin < 0 for margin in margins)
        return BaselineComparison(name, self.statistic("mean", name, demands, self.primary_metric), num_beaten)

    def write_episodes(self, path: Path) -> None:
        """One row for each episode, with all its figures."""
        in_range = {demand.name: demand.in_range for demand in self.demands}
        rows = [
            {
                "controller": spec.controller,
                "demand": spec.demand,
                "in_range": int(in_range[spec.demand]),
                "seed": spec.seed,
                **episode,
            }
            for spec, episode in zip(self.specs, self.episodes, strict=True)
        ]
        _write(path, rows)

    def write_summary(self, path: Path) -> None:
        """One row for each controller, demand and metric, with its statistics over seeds."""
        rows = [
            {
                "controller": controller,
                "demand": demand.name,
                "in_range": int(demand.in_range),
                "metric": metric,
                **{name: self.statistic(name, controller, [demand.name], metric) for name in STATISTICS},
            }
            for controller in self.controllers
            for demand in self.demands
            for metric in self.units
        ]
        _write(path, rows)

    def groups(self) -> dict[str, list[str]]:
        """The demands of each column: one each, then those inside and outside the range of training together."""
        groups = {demand.name if demand.in_range else f"{demand.name}*": [demand.name] for demand in self.demands}
        for header, wanted in GROUPS.items():
            names = [demand.name for demand in self.demands if demand.in_range == wanted]
            if names:
                groups[header] = names
        return groups

    def _column(self, name: str, demands: Sequence[str]) -> list[float]:
        return [self.statistic(name, controller, demands, self.primary_metric) for controller in self.controllers]


def _marked(value: float, best: float) -> str:
    return f"[bold]{value:.1f}[/bold]" if value == best else f"{value:.1f}"


def with_unit(name: str, unit: str, between: str = " ") -> str:
    """`name (unit)`, or the name alone where there is no unit."""
    return f"{name}{between}({unit})" if unit else name


def saved(own: float, other: float) -> str:
    """By how much `own` is less than `other`, in percent of it."""
    return "" if other == 0 else f"{100 * (1 - own / other):+.0f} %"


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV file with the columns of all rows, in the order of their first appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
