"""Every baseline by name. A new one is a function here and its line in `BASELINES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.actions import Timing
from genreplay.envs.sumo.baselines import programmes, rules
from genreplay.envs.sumo.baselines.programmes import Programme
from genreplay.envs.sumo.baselines.rules import Rule
from genreplay.envs.sumo.baselines.webster import webster_greens
from genreplay.envs.sumo.network.intersection import Intersection

FIXED_PLAN, CONSTANT_PLAN = "fixed_plan", "constant_plan"


@dataclass(frozen=True)
class EpisodeContext:
    """What a baseline may know about its episode."""

    intersection: Intersection
    timing: Timing
    flows: Callable[[], np.ndarray]
    """Expected vehicles/h by movement, `[M]`."""
    seed: int
    """Seed of the episode."""
    settings: Mapping[str, Any]
    """Result of a search; empty for baselines without one."""


def _fixed_plan(context: EpisodeContext) -> None:
    return None


def _webster(context: EpisodeContext) -> Programme:
    greens = webster_greens(context.intersection, context.flows(), context.timing)
    return programmes.constant(context.intersection, context.timing, greens)


def _constant_plan(context: EpisodeContext) -> Programme:
    return programmes.constant(context.intersection, context.timing, context.settings["greens"])


def _actuated(context: EpisodeContext) -> Programme:
    return programmes.actuated(context.intersection, context.timing)


def _delay_based(context: EpisodeContext) -> Programme:
    return programmes.delay_based(context.intersection, context.timing)


def _max_pressure(context: EpisodeContext) -> Rule:
    return rules.max_pressure(context.intersection)


def _longest_queue(context: EpisodeContext) -> Rule:
    return rules.longest_queue(context.intersection)


def _random(context: EpisodeContext) -> Rule:
    return rules.random_phase(context.intersection, context.timing, derive_seed(context.seed, "random"))


BASELINES: dict[str, Callable[[EpisodeContext], Programme | Rule | None]] = {
    FIXED_PLAN: _fixed_plan,
    "webster": _webster,
    CONSTANT_PLAN: _constant_plan,
    "actuated": _actuated,
    "delay_based": _delay_based,
    "max_pressure": _max_pressure,
    "longest_queue": _longest_queue,
    "random": _random,
}
"""The controller of each baseline, built for one episode; None for the map's own programme."""
