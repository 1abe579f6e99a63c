"""Every baseline by name. A new one is a function in `rules` or `programmes`, and a line in `BASELINES`."""

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


BASELINES: dict[str, Callable[[EpisodeContext], Programme | Rule | None]] = {
    FIXED_PLAN: lambda episode: None,
    "webster": lambda episode: programmes.constant(
        episode.intersection, webster_greens(episode.intersection, episode.flows(), episode.timing)
    ),
    CONSTANT_PLAN: lambda episode: programmes.constant(episode.intersection, episode.settings["greens"]),
    "actuated": lambda episode: programmes.actuated(episode.timing),
    "delay_based": lambda episode: programmes.delay_based(episode.timing),
    "max_pressure": lambda episode: rules.max_pressure(episode.intersection),
    "longest_queue": lambda episode: rules.longest_queue(episode.intersection),
    "random": lambda episode: rules.random_phase(episode.timing, derive_seed(episode.seed, "random")),
}
"""The controller of each baseline, built for one episode; None for the map's own programme."""
