"""What is measured of a finished episode: its metrics and a table of its movements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.network.naming import Names
from genreplay.envs.sumo.signals.plan import SignalPlan
from genreplay.envs.sumo.simulator.episode import Episode
from genreplay.envs.sumo.simulator.meter import Meter
from genreplay.envs.sumo.simulator.metrics import PEDESTRIAN, delays_by_class, vehicle_metrics
from genreplay.envs.sumo.simulator.movements import Row, movement_rows
from genreplay.envs.sumo.simulator.tripinfo import People, read_people, read_trips


def read_results(
    episode: Episode,
    tripinfo: Path,
    begin_time: int,
    classes: Mapping[str, str],
    intersection: Intersection,
    names: Names,
) -> tuple[dict[str, float], list[Row]]:
    """Metrics, and a row for each movement (none in an episode of training).

    Args:
        episode: finished; its simulation is closed.
        tripinfo: what SUMO wrote then.
        begin_time: SUMO's time at which the episode began, s.
        classes: SUMO's vehicle class of each vehicle type.
        intersection: its movements.
        names: of its movements and approaches.
    """
    trips, people = read_trips(tripinfo), read_people(tripinfo)
    first, last = begin_time + episode.warmup, begin_time + episode.num_seconds
    scheduled = trips.scheduled(begin_time + episode.elapsed)
    is_measured = np.full(len(scheduled), True)
    walks = np.full(len(people.depart), True)
    if episode.warmup:
        is_measured, walks = scheduled >= first, people.depart >= first
    if episode.runout:
        is_measured, walks = is_measured & (scheduled < last), walks & (people.depart < last)
    people = People(*(values[walks] for values in people))
    meter, counted = episode.meter, trips.select(is_measured)
    metrics = vehicle_metrics(counted)
    rows: list[Row] = []
    if meter is not None:
        stood = np.array([meter.stood.get(name, 0) for name in people.name], dtype=np.float64)
        people = people._replace(delay=np.where(np.isnan(people.delay), stood, people.delay))
        metrics["longest_red"] = meter.longest_red
        metrics |= green_shares(meter, intersection)
        if len(stood):
            metrics[f"wait_{PEDESTRIAN}"] = float(stood.mean())
        measured = set(counted.name.tolist())
        rows = movement_rows(intersection, names, meter, trips, measured, max(1, episode.measured_seconds))
    metrics |= delays_by_class(counted, classes, people)
    metrics["mean_queue"] = episode.queue / max(1, episode.measured_seconds)
    return metrics, rows


def green_shares(meter: Meter, intersection: Intersection) -> dict[str, float]:
    """Share of the time for which each stage of the plan was green, between 0 and 1; the rest is yellow, all-red and
    pedestrian clearance.
    """
    seconds, shown = max(1, len(meter.states)), Counter(meter.states)
    stages = enumerate(intersection.plan.stages)
    return {f"green_share_{number}": shown[stage.state] / seconds for number, stage in stages}


def greens(states: Sequence[str], plan: SignalPlan) -> list[list[int]]:
    """Lengths of the greens of each stage, s, `[P]` lists in the order in which they were shown.

    A green lasts from the first second of a stage to the last one before the light shows anything else, over all
    decisions that prolong it. Those that the ends of `states` cut have the seconds that are left.

    Args:
        states: of the light, in every second.
        plan: its stages.
    """
    found: list[list[int]] = [[] for _ in plan.stages]
    stages = {stage.state: number for number, stage in enumerate(plan.stages)}
    for state, seconds in groupby(states):
        if state in stages:
            found[stages[state]].append(len(list(seconds)))
    return found
