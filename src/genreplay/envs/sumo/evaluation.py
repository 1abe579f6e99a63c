"""Evaluation at the intersection: traffic demands, and the controllers of today's cabinets as baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from genreplay.envs.facets import EvaluationSet, NamedDemand, SearchEpisode, SearchResult
from genreplay.envs.sumo.actions import Timing
from genreplay.envs.sumo.baselines.search import search_plan
from genreplay.envs.sumo.baselines.table import BASELINES, CONSTANT_PLAN
from genreplay.envs.sumo.config import DemandConfig
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.traffic.profiles import default_demands, is_in_range, parse_profile


class TrafficEvaluation(EvaluationSet):
    """Demand profiles by name, and baselines from the fixed plan on.

    Args:
        config: the range of training.
        is_given: whether the traffic comes from a route file or counts rather than from drawn flows.
        intersection: with the greens of its fixed plan.
        timing: limits of the greens that a search may try.
    """

    baselines = tuple(BASELINES)

    def __init__(self, config: DemandConfig, is_given: bool, intersection: Intersection, timing: Timing):
        self.config, self.is_given, self.intersection, self.timing = config, is_given, intersection, timing

    def demands(self, names: Sequence[str] | None = None) -> list[NamedDemand]:
        """The named demands (see `profiles`); those inside and outside the range of training where none is named."""
        if names is None:
            names = default_demands(self.config, self.is_given)
        profiles = {name: parse_profile(name, self.config, self.is_given) for name in names}
        return [NamedDemand(name, is_in_range(p, self.config, self.is_given)) for name, p in profiles.items()]

    def search(
        self,
        name: str,
        play: Callable[[list[SearchEpisode]], list[float]],
        num_episodes: int,
        known: Sequence[Mapping[str, Any]],
    ) -> SearchResult | None:
        """The greens of the best constant plan; no other baseline needs a search."""
        if name != CONSTANT_PLAN:
            return None
        found = search_plan(
            self.intersection.green_seconds,
            self.timing.intergreen,
            self.timing.min_green,
            lambda heats: play(
                [SearchEpisode({"greens": list(heat.plan)}, heat.episode, heat.limit) for heat in heats]
            ),
            num_episodes,
            [tuple(settings["greens"]) for settings in known],
        )
        return SearchResult({"greens": list(found.plan)}, found.num_plans)
