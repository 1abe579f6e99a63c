"""Every baseline by name. A new one is a function in `rules`, `cabinet` or `programmes`, and a line in `BASELINES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.baselines import cabinet, programmes, queue_rule, rules
from genreplay.envs.sumo.baselines.cabinet import ZONE
from genreplay.envs.sumo.baselines.programmes import Programme
from genreplay.envs.sumo.baselines.queue_rule import ActuatedQueue
from genreplay.envs.sumo.baselines.rules import Rule
from genreplay.envs.sumo.baselines.webster import Traffic, webster
from genreplay.envs.sumo.capacity.ways import read_ways
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.sensors import zones
from genreplay.envs.sumo.signals.plan import SignalPlan
from genreplay.envs.sumo.signals.programme import KINDS
from genreplay.envs.sumo.signals.timing import Timing
from genreplay.envs.sumo.traffic.demand import Segment

CONSTANT_PLAN, TIME_OF_DAY = "constant_plan", "time_of_day"


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


@dataclass(frozen=True)
class Baseline:
    """A controller to compare with."""

    build: Callable[[EpisodeContext], Programme | Rule | ActuatedQueue | None]
    """The controller of one episode; None for the map's own programme."""
    sees: str
    """What it sees of the traffic of its episode, in a few words for tables."""
    has_loops: bool = False
    """Whether it reads induction loops (see `cabinet.fully_actuated_loops`)."""


NOTHING, FLOWS = "nothing", "expected flows"
LOOPS, ZONES, LANES = "loops", f"last {ZONE:.0f} m", "lanes"
POLICY_SEES = {"full": "lanes, roads upstream", "zones": f"last {zones.ZONE:.0f} m", "loops": LOOPS}
"""What a policy sees, by `env.sensors`."""


def _webster(episode: EpisodeContext, traffic: Traffic) -> tuple[int, ...]:
    """Webster's greens, `[P]`."""
    plan = episode.timing.plan
    return webster(read_ways(episode.intersection), plan, traffic, plan.max_red).greens


def _time_of_day(episode: EpisodeContext) -> Programme:
    """Webster's plan for each interval of the counts, changed at the end of a cycle."""
    plans = [(part.end, _webster(episode, Traffic(part.flows, part.end - part.begin))) for part in episode.intervals]
    return programmes.by_time(episode.intersection, round(episode.intervals[0].begin), plans)


BASELINES: dict[str, Baseline] = {
    "webster": Baseline(
        lambda episode: programmes.constant(episode.intersection, _webster(episode, Traffic(episode.flows()))), FLOWS
    ),
    TIME_OF_DAY: Baseline(lambda episode: _time_of_day(episode), FLOWS),
    CONSTANT_PLAN: Baseline(
        lambda episode: programmes.constant(episode.intersection, episode.settings["greens"]), NOTHING
    ),
    "actuated": Baseline(lambda episode: programmes.actuated(episode.timing), LOOPS),
    "delay_based": Baseline(lambda episode: programmes.delay_based(episode.timing), "last 200 m"),
    "fully_actuated": Baseline(lambda episode: cabinet.fully_actuated(episode.timing), ZONES),
    "fully_actuated_loops": Baseline(
        lambda episode: cabinet.fully_actuated_loops(episode.timing, episode.intersection), LOOPS, has_loops=True
    ),
    "actuated_queue": Baseline(
        lambda episode: ActuatedQueue(episode.intersection, episode.timing), f"last {queue_rule.METRES:.0f} m"
    ),
    "max_pressure": Baseline(lambda episode: rules.max_pressure(episode.intersection), LANES),
    "longest_queue": Baseline(lambda episode: rules.longest_queue(episode.intersection), LANES),
    "random": Baseline(
        lambda episode: rules.random_phase(episode.timing, derive_seed(episode.seed, "random")), NOTHING
    ),
}
"""The baselines that every light has."""

_INCUMBENT_SEES = {"static": NOTHING, "actuated": LOOPS, "delay_based": "its detectors' range", "NEMA": LOOPS}


def incumbent_name(plan: SignalPlan) -> str:
    """What the map's own programme is called: `fixed_plan`, `actuated_plan`, `delay_based_plan` or `nema_plan`."""
    return f"{KINDS[plan.kind].lower().replace('-', '_')}_plan"


def baselines_of(plan: SignalPlan) -> dict[str, Baseline]:
    """The baselines of a light: the incumbent, which is the map's own programme as SUMO runs it, then `BASELINES`."""
    return {incumbent_name(plan): Baseline(lambda episode: None, _INCUMBENT_SEES[plan.kind]), **BASELINES}
