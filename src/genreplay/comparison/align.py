"""Runs cut to the env steps that all of them were evaluated at. Nothing is interpolated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from genreplay.common.errors import UserError
from genreplay.comparison.runs import ComparedRun, listed

SLACK = 100
"""Most env steps by which an evaluation may be late: several simulators overshoot the step it is due at."""


def align(runs: Sequence[ComparedRun], since: float, until: float) -> tuple[list[ComparedRun], list[str]]:
    """The runs with their common evaluations from env step `since` to `until`, and notes on what was left out.

    Steps that differ by a round of the simulators count as the earliest of them. The steps of each environment are
    its own.

    Raises:
        UserError: a run has no value, there is no common step, or none is left.
    """
    aligned: dict[int, ComparedRun] = {}
    notes: list[str] = []
    for world in dict.fromkeys(run.world for run in runs):
        places = [i for i, run in enumerate(runs) if run.world == world]
        cut, told = _of_world([runs[i] for i in places], since, until)
        aligned |= dict(zip(places, cut, strict=True))
        notes += [f"{world}: {note}" if world and len({run.world for run in runs}) > 1 else note for note in told]
    return [aligned[i] for i in range(len(runs))], notes


def _of_world(runs: Sequence[ComparedRun], since: float, until: float) -> tuple[list[ComparedRun], list[str]]:
    slack = _slack(runs)
    names = _marks(sorted({step for run in runs for step in run.points}), slack)
    notes = []
    named, undefined = [], []
    for run in runs:
        points = {names[step]: point for step, point in run.points.items() if not math.isnan(point.value)}
        if not points:
            raise UserError(f"compare: {run} has no evaluation that is a number; leave it out with --seeds")
        if len(points) < len(run.points):
            undefined.append(f"{run} at {listed(str(s) for s, p in run.points.items() if math.isnan(p.value))}")
        named.append(points)
    if undefined:
        notes.append(f"left out, as a value is not a number: {listed(undefined)}")
    everything = sorted({step for points in named for step in points})
    common = [step for step in everything if all(step in points for points in named)]
    if not common:
        told = "; ".join(f"{run}: {listed(map(str, run.points), 3)}" for run in runs[:3])
        raise UserError(f"compare: there is no env step at which all runs were evaluated ({told}); leave some out")
    last = max(everything)
    short = [f"{run} at {max(points)}" for run, points in zip(runs, named, strict=True) if max(points) < last]
    if short:
        notes.append(f"of unequal length: the longest runs end at env step {last}, {listed(short)}")
    if len(common) < len(everything):
        notes.append(f"compared at the {len(common)} env steps that all runs were evaluated at, of {len(everything)}")
    if common[-1] < since:
        raise UserError(f"--since {since:g}: the last evaluation is at {common[-1]}; name an earlier env step")
    window = [step for step in common if since <= step <= until + slack]
    if not window:
        raise UserError(f"--until {until:g}: the first evaluation is at {common[0]}; name a later env step")
    cut = [replace(run, points={s: points[s] for s in window}) for run, points in zip(runs, named, strict=True)]
    return cut, notes


def _slack(runs: Sequence[ComparedRun]) -> int:
    """At most a third of the usual gap between two evaluations."""
    gaps = [np.median(np.diff(list(run.points))) for run in runs if len(run.points) > 1]
    return int(min([SLACK, *(gap / 3 for gap in gaps)]))


def _marks(steps: Sequence[int], slack: int) -> dict[int, int]:
    """The earliest step of its group for each step."""
    marks: dict[int, int] = {}
    first = -math.inf
    for step in steps:
        if step > first + slack:
            first = step
        marks[step] = int(first)
    return marks
