"""Every baseline by name. A new one is a function here and its line in `BASELINES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.baselines import programmes, rules
from genreplay.envs.sumo.baselines.programmes import Changes, Programme
from genreplay.envs.sumo.baselines.rules import Rule
from genreplay.envs.sumo.baselines.webster import webster_greens
from genreplay.envs.sumo.network.intersection import Intersection

FIXED_PLAN, CONSTANT_PLAN = "fixed_plan", "constant_plan"


@dataclass(frozen=True)
class Site:
    """What a baseline may know of its episode."""

    intersection: Intersection
    changes: Changes
    min_green: int
    """s"""
    max_green: int
    """s"""
    flows: Callable[[], np.ndarray]
    """Expected vehicles/h by movement, `[M]`."""
    seed: int
    """Of the episode."""
    settings: Mapping[str, Any]
    """What a search found; empty for baselines without one."""

    @property
    def intergreen(self) -> int:
        """Yellow and all-red between two greens, s."""
        return self.changes.yellow_time + self.changes.all_red_time


def _fixed_plan(site: Site) -> None:
    return None


def _webster(site: Site) -> Programme:
    greens = webster_greens(site.intersection, site.flows(), site.intergreen, site.min_green)
    return programmes.constant(site.intersection, site.changes, greens)


def _constant_plan(site: Site) -> Programme:
    return programmes.constant(site.intersection, site.changes, site.settings["greens"])


def _actuated(site: Site) -> Programme:
    return programmes.actuated(site.intersection, site.changes, site.min_green, site.max_green)


def _delay_based(site: Site) -> Programme:
    return programmes.delay_based(site.intersection, site.changes, site.min_green, site.max_green)


def _max_pressure(site: Site) -> Rule:
    return rules.max_pressure(site.intersection)


def _longest_queue(site: Site) -> Rule:
    return rules.longest_queue(site.intersection)


def _random(site: Site) -> Rule:
    return rules.random_phase(site.intersection, site.min_green, site.max_green, derive_seed(site.seed, "random"))


BASELINES: dict[str, Callable[[Site], Programme | Rule | None]] = {
    FIXED_PLAN: _fixed_plan,  # None: the map's own programme
    "webster": _webster,
    CONSTANT_PLAN: _constant_plan,
    "actuated": _actuated,
    "delay_based": _delay_based,
    "max_pressure": _max_pressure,
    "longest_queue": _longest_queue,
    "random": _random,
}
"""From an episode to what controls the light in it."""
