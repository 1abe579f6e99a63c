"""The result of an evaluation: episodes of several controllers, and statistics of them over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from genreplay.common.statistics import interquartile_mean, student_interval
from genreplay.envs.episodes import Episode
from genreplay.envs.facets import NamedDemand
from genreplay.envs.world import World
from genreplay.evaluation.episode_pool import POLICY, EpisodeSpec, Part
from genreplay.evaluation.greens import Greens

FOLDER = "evaluation"
"""Of the results, among a run's artifacts."""
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: float(np.mean(values)),
    "median": lambda values: float(np.median(values)),
    "interquartile_mean": interquartile_mean,
}


GROUPS = {"in range": True, "unseen": False}
"""Column headers of the demands inside and outside the range that training draws from."""


class Difference(NamedTuple):
    """A mean over seeds of paired differences, with its 95 % interval (NaN for one seed)."""

    mean: float
    low: float
    high: float


class BaselineComparison(NamedTuple):
    """A baseline that the policy is compared with, on the same demands."""

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
    """None where the incumbent was not played."""
    best: BaselineComparison | None
    """The best of all other baselines; None where none was played."""


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
    parts: Sequence[Sequence[Part]] = ()
    """Of each spec, a row for each part of the environment; empty where there are none."""
    parts_name: str = ""
    """What the parts are, such as `movements`."""
    grade: Callable[[Mapping[str, float | str]], str] = field(default=lambda part: "", compare=False)
    """See `World.grade`."""
    sees: Mapping[str, str] = field(default_factory=dict)
    """What each controller sees, in a few words; empty where all see the same."""
    greens: Sequence[Greens] = ()
    """A row for each controller, demand and stage; empty where the environment has no stages."""

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

    def by_seed(self, controller: str, demands: Iterable[str], metric: str) -> np.ndarray:
        """The mean of a metric over demands, one for each seed, `[S]`."""
        return np.mean([self.values(controller, demand, metric) for demand in demands], axis=0)

    def difference(self, controller: str, demands: Sequence[str], metric: str) -> Difference:
        """The policy's metric minus that of `controller`, on the same seeds."""
        pairs = self.by_seed(POLICY, demands, metric) - self.by_seed(controller, demands, metric)
        return Difference(float(np.mean(pairs)), *student_interval(pairs))

    def part_means(self, controller: str, demand: str) -> list[Part]:
        """Means over seeds of each part's numbers, the texts on which the seeds agree, and the `grade` of the means."""
        rows: dict[str, list[Part]] = {}
        for spec, parts in zip(self.specs, self.parts, strict=True):
            if (spec.controller, spec.demand) == (controller, demand):
                for part in parts:
                    rows.setdefault(str(part["name"]), []).append(part)
        found = []
        for group in rows.values():
            mean: Part = {}
            for key, first in group[0].items():
                if isinstance(first, str):
                    if all(part[key] == first for part in group):
                        mean[key] = first
                else:
                    mean[key] = float(np.mean([float(part[key]) for part in group]))
            found.append({**mean, "grade": self.grade(mean)})
        return found

    def comparisons(self, incumbent: str | None) -> list[GroupComparison]:
        """The policy compared with the baseline `incumbent` and with the best other one; empty without a policy."""
        if POLICY not in self.controllers:
            return []
        best = min if self.minimise else max
        found = []
        for where, names in self.groups().items():
            if where not in GROUPS:
                continue
            comparisons = [self._comparison(name, names) for name in self.controllers if name != POLICY]
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

    def _comparison(self, name: str, demands: Sequence[str]) -> BaselineComparison:
        def mean(controller: str, demand: str) -> float:
            return self.statistic("mean", controller, [demand], self.primary_metric)

        margins = [mean(name, demand) - mean(POLICY, demand) for demand in demands]
        num_beaten = sum(margin > 0 if self.minimise else margin < 0 for margin in margins)
        return BaselineComparison(name, self.statistic("mean", name, demands, self.primary_metric), num_beaten)

    def best_baseline(self) -> str | None:
        """The baseline whose mean primary metric over the range of training is best; None without baselines."""
        demands = [demand.name for demand in self.demands if demand.in_range] or [each.name for each in self.demands]
        return (min if self.minimise else max)(
            (name for name in self.controllers if name != POLICY),
            key=lambda name: self.statistic("mean", name, demands, self.primary_metric),
            default=None,
        )

    def shown_greens(self) -> dict[tuple[str, str], list[Greens]]:
        """Of the policy and the best baseline, at the demands with the best and the worst primary metric (of those in
        the range of training where there are two): light and heavy traffic. By controller and demand, a row a stage.
        """
        names = [demand.name for demand in self.demands if demand.in_range]
        names = names if len(names) > 1 else [demand.name for demand in self.demands]
        best = self.best_baseline()
        controllers = [*([POLICY] if POLICY in self.controllers else []), *([] if best is None else [best])]
        means = {name: self.statistic("mean", controllers[0], [name], self.primary_metric) for name in names}
        ordered = sorted(names, key=lambda name: means[name], reverse=not self.minimise)
        keys = [(name, demand) for name in controllers for demand in dict.fromkeys((ordered[0], ordered[-1]))]
        found = {key: [row for row in self.greens if row[:2] == key] for key in keys}
        return {key: rows for key, rows in found.items() if rows}

    def groups(self) -> dict[str, list[str]]:
        """The demands of each column: one each, then those inside and outside the range of training together."""
        groups = {demand.name if demand.in_range else f"{demand.name}*": [demand.name] for demand in self.demands}
        for header, wanted in GROUPS.items():
            names = [demand.name for demand in self.demands if demand.in_range == wanted]
            if names:
                groups[header] = names
        return groups


def make_result(
    world: World,
    specs: Sequence[EpisodeSpec],
    episodes: Sequence[Episode],
    demands: Sequence[NamedDemand],
    parts: Sequence[Sequence[Part]] = (),
    greens: Sequence[Greens] = (),
) -> EvaluationResult:
    """The result of episodes in `world`, with the metrics that all of them have."""
    shared = set.intersection(*map(set, episodes))
    sees = {**world.evaluation.sees, POLICY: world.evaluation.policy_sees} if world.evaluation.sees else {}
    controllers = list(dict.fromkeys(spec.controller for spec in specs))
    return EvaluationResult(
        specs,
        episodes,
        demands,
        controllers,
        world.primary_metric,
        world.minimise,
        {name: unit for name, unit in world.shown_units.items() if name in shared},
        parts if any(parts) else (),
        world.parts_name,
        world.grade,
        {name: sees[name] for name in controllers if name in sees},
        tuple(greens),
    )
