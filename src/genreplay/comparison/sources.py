"""From what the user names to the runs that are compared."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from genreplay.common.errors import UserError
from genreplay.comparison.plan import Plan, plan_of
from genreplay.comparison.runs import PRIMARY, ComparedRun, Metric, listed, read_points, without_repeats
from genreplay.config import shipped
from genreplay.runs import labels, store
from genreplay.runs.curves import NAN, PREFIX, Reader, StoredRun
from genreplay.studies import study as studies
from genreplay.studies.study import Study

LOWER, HIGHER = "lower", "higher"


@dataclass
class Source:
    """What one WHAT names: runs of the store, or points of a file."""

    what: str
    arm: str | None = None
    """The only arm to take; None for all."""
    new_name: str | None = None
    """Of the arm; None to keep its own."""
    study: Study | None = None
    stored: list[StoredRun] = field(default_factory=list)
    points: list[ComparedRun] = field(default_factory=list)
    metric: Metric | None = None
    """Of the points, where their file says so."""
    is_one_run: bool = False


@dataclass(frozen=True)
class Runs:
    """The runs to compare, in the order of their arms."""

    runs: list[ComparedRun]
    metric: Metric
    notes: list[str]
    plan: Plan | None
    uri: str | None
    """The store that runs were read from; None where all came from files."""


def read(items: Sequence[str], metric: str | None, better: str | None, seeds: Collection[int], uri: str | None) -> Runs:
    """The runs that `items` name, each as `WHAT`, `WHAT:ARM` or `NAME=` one of these.

    WHAT is a CSV file, a study, an experiment, or the id or the name of a run.

    Args:
        items: at least one.
        metric: None for the one that the study plans, else the primary one of the runs' environment.
        better: `lower` or `higher`; None for what is known of the metric.
        seeds: training seeds to keep; none for all.
        uri: of the store; None for the study's, else the default one.

    Raises:
        UserError: something is not there, no run is finished or has the metric, or arms cannot be told apart.
    """
    sources = [_source(item, uri) for item in items]
    stored = [run for source in sources for run in source.stored]
    study_list = {source.study.name: source.study for source in sources if source.study is not None}
    plan = None
    if len(study_list) == 1:
        start = min((run.start for source in sources if source.study for run in source.stored), default=None)
        plan = plan_of(next(iter(study_list.values())), start)
    name = metric or _metric_name(plan, sources, stored)
    notes: list[str] = []
    from_files = all(source.points for source in sources)
    reader = None if from_files else Reader(_uri([source for source in sources if not source.points], uri))
    runs = [_runs(source, name, seeds, reader, notes) for source in sources]
    _keep_apart(sources, runs)
    found, repeats = without_repeats([run for of_source in runs for run in of_source])
    order = dict.fromkeys(run.arm for of_source in runs for run in of_source)
    found.sort(key=lambda run: (list(order).index(run.arm), run.world, run.seed))
    chosen = _metric(name, better, plan, sources, stored)
    return Runs(found, chosen, [*notes, *repeats], plan, None if reader is None else reader.uri)


# What is named -------------------------------------------------------------------------------------------------------


def _source(item: str, uri: str | None) -> Source:
    name, equals, what = item.partition("=")
    if not equals or Path(item).is_file():
        name, what = "", item
    if not what or (equals and not name and not Path(item).is_file()):
        raise UserError(f"{item}: write WHAT or NAME=WHAT")
    source = _found(what, uri)
    if source is None and ":" in what:
        whole, _, arm = what.rpartition(":")
        source = _found(whole, uri)
        if source is not None:
            source.arm = arm
    if source is None:
        raise UserError(_unknown(what, uri))
    source.new_name = name or None
    if not source.points and all(run.status != "FINISHED" for run in source.stored):
        raise UserError(f"compare: no run of {source.what!r} is finished")
    return source


def _found(what: str, uri: str | None) -> Source | None:
    file, ending, arm = what.partition(".csv")
    if ending:
        runs, metric = read_points(Path(file + ending))
        return Source(what, arm.removeprefix(":") or None, points=runs, metric=metric)
    place = shipped.find_study(what)
    if Path(place).is_file():
        study = studies.load(what)
        reader = Reader(uri or study.uri)
        runs_of_study = reader.experiment(study.experiment, study.name)
        return Source(what, study=study, stored=runs_of_study or [])
    reader = Reader(store.store_uri(uri))
    found = reader.experiment(what)
    if found is not None:
        return Source(what, stored=found)
    of_name = reader.run(what)
    if len(of_name) > 1:
        ids = listed(run.run_id for run in of_name)
        raise UserError(f"compare: {len(of_name)} runs have the name {what!r}; give the id of one: {ids}")
    return Source(what, stored=of_name, is_one_run=True) if of_name else None


def _unknown(what: str, uri: str | None) -> str:
    place = store.store_uri(uri)
    names = Reader(place).experiments()
    close = difflib.get_close_matches(what, names, n=3)
    told = f"did you mean {' or '.join(close)}?" if close else f"its experiments are {listed(names, 20)}"
    return f"compare: there is no study file {what!r}, and {place} has no experiment and no run of this name; {told}"


def _uri(sources: Sequence[Source], uri: str | None) -> str:
    uris = {uri or source.study.uri if source.study is not None else store.store_uri(uri) for source in sources}
    if len(uris) > 1:
        raise UserError(f"compare: the studies are in several stores ({listed(sorted(uris))}); compare one at a time")
    return next(iter(uris))


# The metric ----------------------------------------------------------------------------------------------------------


def _metric_name(plan: Plan | None, sources: Sequence[Source], stored: Sequence[StoredRun]) -> str:
    """The metric that the plan, a file or the runs name."""
    if plan is not None:
        return plan.config.metric
    primary = {_primary(run) for run in stored} | {source.metric.name for source in sources if source.metric}
    primary.discard(None)
    if len(primary) != 1:
        told = f"the runs have {listed(sorted(map(str, primary)))}" if primary else "the runs do not say"
        raise UserError(f"--metric: is needed, such as --metric return ({told})")
    return str(primary.pop())


def _metric(
    name: str, better: str | None, plan: Plan | None, sources: Sequence[Source], stored: Sequence[StoredRun]
) -> Metric:
    """The metric with its unit and direction: as asked, else as the runs, a file or the plan say."""
    unit, minimise = PRIMARY.get(name, ("", None))
    for known in (source.metric for source in sources if source.metric is not None):
        if known.name != name:
            raise UserError(f"--metric {name}: a file has another one, {known.name}; leave the file or the option out")
        unit, minimise = known.unit, known.minimise
    for run in stored:
        unit = units(run.tags).get(name, unit)
        if run.tags.get("primary_metric") == name:
            minimise = run.tags.get("better") == LOWER
    if minimise is None and plan is not None and name == plan.config.metric and "threshold" not in plan.config.measure:
        minimise = plan.config.expected == LOWER
    if better is not None:
        minimise = better == LOWER
    if minimise is None:
        raise UserError(f"--metric {name}: say which values are better, with --better lower or --better higher")
    return Metric(name, unit, minimise)


def units(tags: Mapping[str, str]) -> dict[str, str]:
    """Units of a run's metrics, as its tags say."""
    try:
        return dict(json.loads(tags.get("metric_units", "{}")))
    except (ValueError, TypeError):
        return {}


def _primary(run: StoredRun) -> str | None:
    return run.tags.get("primary_metric") or next(
        (name for name in ("delay", "sparse_return", "return") if PREFIX + name in run.metrics), None
    )


# Runs ----------------------------------------------------------------------------------------------------------------


def _runs(
    source: Source, metric: str, seeds: Collection[int], reader: Reader | None, notes: list[str]
) -> list[ComparedRun]:
    runs = source.points or [_named(source, run) for run in source.stored]
    if source.study is not None:
        runs = _of_study(source.study, runs, notes)
    known = sorted({run.seed for run in runs})
    runs = [run for run in runs if not seeds or run.seed in seeds]
    if known and not runs:
        raise UserError(f"--seeds: {source.what!r} has none of these seeds; it has {listed(map(str, known), 20)}")
    names = list(dict.fromkeys(run.arm for run in runs))
    if source.arm is not None:
        if source.arm not in names:
            raise UserError(f"{source.what}: has no arm {source.arm!r}; choose one of {listed(names, 20)}")
        runs = [run for run in runs if run.arm == source.arm]
    elif source.new_name is not None and len(names) > 1:
        raise UserError(
            f"{source.new_name}={source.what}: holds several arms; choose one as WHAT:ARM of {listed(names, 20)}"
        )
    if reader is not None and not source.points:
        runs = _with_points(source, runs, metric, reader, notes)
    return [replace(run, arm=source.new_name or run.arm) for run in runs]


def _named(source: Source, run: StoredRun) -> ComparedRun:
    """The run without points: its arm by its tags, else by its method."""
    several = len({other.tags["study"] for other in source.stored if "study" in other.tags}) > 1
    arm = run.tags.get("arm") or run.tags.get("method") or labels.method(run.params)
    if several and "study" in run.tags:
        arm = f"{run.tags['study']}/{arm}"
    world = run.tags.get("world") or labels.world(run.params)
    seed = int(run.params.get("seed", 0))
    return ComparedRun(arm, world, seed, {}, run.run_id, run.name, run.start, run.params)


def _with_points(
    source: Source, runs: Sequence[ComparedRun], metric: str, reader: Reader, notes: list[str]
) -> list[ComparedRun]:
    by_id = {run.run_id: run for run in source.stored}
    ended = [run for run in runs if by_id[run.run_id].status == "FINISHED"]
    unfinished = [f"{run} ({by_id[run.run_id].status})" for run in runs if run not in ended]
    if unfinished:
        notes.append(f"{source.what}: not finished, and left out: {listed(unfinished)}")
    if not ended:
        raise UserError(f"compare: no run of {source.what!r} is finished")
    having = [run for run in ended if PREFIX + metric in by_id[run.run_id].metrics]
    if not having:
        known = sorted({k.removeprefix(PREFIX) for r in ended for k in by_id[r.run_id].metrics if PREFIX in k})
        close = difflib.get_close_matches(metric, known, n=1)
        told = f"did you mean {close[0]}? choose" if close else "choose"
        raise UserError(
            f"--metric {metric}: no finished run of {source.what!r} has it; {told} one of {listed(known, 20)}"
        )
    if len(having) < len(ended):
        notes.append(f"without {metric}, and left out: {listed(str(run) for run in ended if run not in having)}")
    if source.study is not None and source.arm is None:
        having.sort(key=lambda run: _place(source.study, run.arm))
        _note_missing(source.study, having, notes)
    return [
        replace(
            run,
            points=reader.curve(by_id[run.run_id], metric),
            incumbent=by_id[run.run_id].metrics.get(f"baseline/{metric}", NAN),
        )
        for run in having
    ]


def _place(study: Study | None, arm: str) -> int:
    names = [] if study is None else list(study.config.arms)
    return names.index(arm) if arm in names else len(names)


def _of_study(study: Study, runs: Sequence[ComparedRun], notes: list[str]) -> list[ComparedRun]:
    """Those that are cells of the study as its file states it now."""
    others = [str(run) for run in runs if (run.arm, run.seed) not in study.experiments]
    if others:
        notes.append(f"{study.name}: not in the study file, and left out: {listed(others)}")
    return [run for run in runs if (run.arm, run.seed) in study.experiments]


def _note_missing(study: Study, runs: Sequence[ComparedRun], notes: list[str]) -> None:
    there = {(run.arm, run.seed) for run in runs}
    missing = [str(cell) for cell in study.experiments if cell not in there]
    if missing:
        notes.append(f"{study.name}: planned, but not there: {listed(missing)}")


def _keep_apart(sources: Sequence[Source], runs: Sequence[list[ComparedRun]]) -> None:
    """Name arms of several experiments or files after these where they have the same name."""
    owners: dict[str, set[str]] = {}
    for source, of_source in zip(sources, runs, strict=True):
        for run in of_source:
            if source.new_name is None and not source.is_one_run:
                owners.setdefault(run.arm, set()).add(source.what)
    for source, of_source in zip(sources, runs, strict=True):
        for run in of_source:
            if source.new_name is None and len(owners.get(run.arm, ())) > 1:
                run.arm = f"{source.what}: {run.arm}"
