"""Every baseline by name. A new one is a function in `rules` or `programmes`, and a line in `BASELINES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.actions import Timing
from genreplay.envs.sumo.baselines import programmes, rules
from genreplay.envs.sumo.baselines.programmes import Programme
from genreplay.envs.sumo.baselines.rules import Rule
from genreplay.envs.sumo.baselines.webster import Traffic, webster
from genreplay.envs.sumo.capacity.ways import read_ways
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.traffic.demand import Segment

FIXED_PLAN, CONSTANT_PLAN, TIME_OF_DAY = "fixed_plan", "constant_plan", "time_of_day"


@dataclass(frozen=True)
class EpisodeContext:
    """What a baseline may know about its episode."""

    intersection: Intersection
    timing: Timing
    flows: Callable[[], np.ndarray]
    """Expected vehicles/h by movement, `[M]`."""
    intervals: Sequence[Segment]
    """Expected flows by interval of the counts; empty without counts."""
    seed: int
    """Seed of the episode."""
    settings: Mapping[str, Any]
    """Result of a search; empty for baselines without one."""


def _webster(episode: EpisodeContext, traffic: Traffic) -> tuple[int, ...]:
    """Webster's greens, `[P]`."""
    plan = episode.timing.plan
    return webster(read_ways(episode.intersection), plan, traffic, plan.max_red).greens


def _time_of_day(episode: EpisodeContext) -> Programme:
    """Webster's plan for each interval of the counts, changed at the end of a cycle."""
    plans = [(part.end, _webster(episode, Traffic(part.flows, part.end - part.begin))) for part in episode.intervals]
    return programmes.by_time(episode.intersection, round(episode.intervals[0].begin), plans)


BASELINES: dict[str, Callable[[EpisodeContext], Programme | Rule | None]] = {
    FIXED_PLAN: lambda episode: None,
    "webster": lambda episode: programmes.constant(episode.intersection, _webster(episode, Traffic(episode.flows()))),
    TIME_OF_DAY: lambda episode: _time_of_day(episode),
    CONSTANT_PLAN: lambda episode: programmes.constant(episode.intersection, episode.settings["greens"]),
    "actuated": lambda episode: programmes.actuated(episode.timing),
    "delay_based": lambda episode: programmes.delay_based(episode.timing),
    "max_pressure": lambda episode: rules.max_pressure(episode.intersection),
    "longest_queue": lambda episode: rules.longest_queue(episode.intersection),
    "random": lambda episode: rules.random_phase(episode.timing, derive_seed(episode.seed, "random")),
}
"""The controller of each baseline, built for one episode; None for the map's own programme."""
