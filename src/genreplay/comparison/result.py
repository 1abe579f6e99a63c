"""A whole comparison: the runs, what was planned, the statistics and what a reader must know."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from genreplay.common.errors import UserError
from genreplay.comparison import sources
from genreplay.comparison.align import align
from genreplay.comparison.compare import FEW_SEEDS, Row, rows
from genreplay.comparison.measures import Measure, measures
from genreplay.comparison.plan import Plan
from genreplay.comparison.runs import ComparedRun, Metric, differing, listed


@dataclass(frozen=True)
class Request:
    """What the user asks for; None where the plan, or the runs, decide."""

    items: Sequence[str]
    metric: str | None = None
    better: str | None = None
    baseline: str | None = None
    axis: str = "env_steps"
    since: float | None = None
    until: float | None = None
    threshold: float | None = None
    seeds: Collection[int] = ()
    uri: str | None = None

    def changes(self, plan: Plan | None) -> list[str]:
        """Options that replace what the plan states."""
        if plan is None:
            return []
        stated: dict[str, object] = {
            "metric": plan.config.metric,
            "baseline": plan.config.baseline,
            "since": plan.config.since_env_step,
            "until": plan.config.until_env_step,
        }
        if plan.config.threshold is not None:  # else it adds exploratory measures and changes none
            stated["threshold"] = plan.config.threshold
        given = [name for name, value in stated.items() if getattr(self, name) not in (None, value)]
        return [f"--{name}" for name in (*given, *(["seeds"] if self.seeds and {*self.seeds} != {*plan.seeds} else []))]


@dataclass(frozen=True)
class Comparison:
    """The result."""

    metric: Metric
    baseline: str
    axis: str
    window: tuple[float, float]
    """First and last env step; infinite where it has no end."""
    threshold: float | None
    plan: Plan | None
    changes: list[str]
    """Options that replace what the plan states."""
    everything: list[ComparedRun]
    """The runs with all their points."""
    runs: list[ComparedRun]
    """The runs with the points that are compared."""
    tables: dict[Measure, list[Row]]
    """By measure, the main one first."""
    notes: list[str]
    """What a reader must know, a sentence each."""
    differences: dict[str, list[str]]
    """Options in which each arm differs from the baseline; arms from files are missing."""
    uri: str | None

    @property
    def arms(self) -> list[str]:
        """Names, the baseline first."""
        return [self.baseline, *(arm for arm in dict.fromkeys(run.arm for run in self.runs) if arm != self.baseline)]

    @property
    def worlds(self) -> list[str]:
        """Names of the environments."""
        return list(dict.fromkeys(run.world for run in self.runs))

    @property
    def main(self) -> Measure:
        """The measure that the plan names, else the area."""
        return next(iter(self.tables))

    @property
    def is_planned(self) -> bool:
        """Whether the main measure is what the plan states, over the window and with the baseline that it states."""
        return self.plan is not None and not self.changes

    def standing(self, measure: Measure) -> str:
        """`pre-registered`, `planned, not pre-registered` or `exploratory`."""
        if measure != self.main or not self.is_planned or self.plan is None:
            return "exploratory"
        return "pre-registered" if self.plan.is_registered else "planned, not pre-registered"


def compare(request: Request) -> Comparison:
    """Read, align and compare.

    Raises:
        UserError: see `sources.read` and `align.align`; or there is no such baseline, or no seconds are known.
    """
    found = sources.read(request.items, request.metric, request.better, request.seeds, request.uri)
    plan = None if found.plan is None else found.plan.config
    if plan is not None and plan.metric != found.metric.name:
        plan = None  # its window and threshold are of another metric
    since = request.since if request.since is not None else 0 if plan is None else plan.since_env_step
    end = None if plan is None else plan.until_env_step
    until = request.until if request.until is not None else math.inf if end is None else end
    threshold = request.threshold if request.threshold is not None else None if plan is None else plan.threshold
    runs, notes = align(found.runs, since, until)
    baseline = _baseline(request.baseline, None if found.plan is None else found.plan.config.baseline, runs)
    _check_seconds(request.axis, runs)
    wanted = measures(found.metric, threshold)
    if any(math.isnan(point.seconds) for run in runs for point in run.points.values()):
        wanted = [measure for measure in wanted if measure.name != "seconds_to_threshold"]
    if plan is not None:
        wanted.sort(key=lambda measure: measure.name != plan.measure)
    return Comparison(
        found.metric,
        baseline,
        request.axis,
        (since, until),
        threshold,
        found.plan,
        request.changes(found.plan),
        found.runs,
        runs,
        {measure: rows(runs, measure, found.metric, baseline, threshold) for measure in wanted},
        [*found.notes, *notes, *_about_seeds(runs, baseline), *_about_configs(runs)],
        _differences(runs, baseline),
        found.uri,
    )


def _baseline(asked: str | None, planned: str | None, runs: Sequence[ComparedRun]) -> str:
    """The arm asked for, else the planned one, else the one without synthetic rows, else the first."""
    arms = list(dict.fromkeys(run.arm for run in runs))
    if asked is not None and asked not in arms:
        raise UserError(f"--baseline {asked}: there is no such arm; choose one of {listed(arms, 20)}")
    usual = [name for name in (asked, planned, "real only") if name in arms]
    return str([*usual, *arms][0])


def _check_seconds(axis: str, runs: Sequence[ComparedRun]) -> None:
    if axis == "env_steps":
        return
    unknown = [str(run) for run in runs if any(math.isnan(getattr(point, axis)) for point in run.points.values())]
    if unknown:
        raise UserError(f"--axis {axis}: is not known of {listed(unknown)}; leave it out")


def _about_seeds(runs: Sequence[ComparedRun], baseline: str) -> list[str]:
    seeds: dict[tuple[str, str], set[int]] = defaultdict(set)
    for run in runs:
        seeds[run.arm, run.world].add(run.seed)
    notes, apart = [], []
    several = len({world for _, world in seeds}) > 1
    for (arm, world), own in seeds.items():
        name = f"{arm} in {world}" if several else arm
        if len(own) == 1:
            notes.append(f"{name} has 1 seed: it has no interval")
        elif len(own) < FEW_SEEDS:
            notes.append(f"{name} has {len(own)} seeds: its interval is too narrow to rely on")
        if arm != baseline and own != seeds.get((baseline, world), own):
            apart.append(name)
    if apart:
        notes.append(f"other seeds than {baseline}, so that differences from it are not of pairs: {listed(apart)}")
    return notes


def _about_configs(runs: Sequence[ComparedRun]) -> list[str]:
    notes = []
    for arm, world in dict.fromkeys((run.arm, run.world) for run in runs):
        keys = differing(run for run in runs if (run.arm, run.world) == (arm, world))
        if keys:
            notes.append(f"the runs of {arm} differ in more than their seeds: {listed(keys, 12)}")
    return notes


def _differences(runs: Sequence[ComparedRun], baseline: str) -> dict[str, list[str]]:
    """In the same environment, of the first run of each arm."""
    found: dict[str, list[str]] = {}
    first = {(run.arm, run.world): run for run in reversed(runs)}
    for (arm, world), run in reversed(first.items()):
        other = first.get((baseline, world))
        if arm != baseline and other is not None and run.params and other.params:
            found[arm] = list(dict.fromkeys([*found.get(arm, []), *differing([other, run])]))
    return found
