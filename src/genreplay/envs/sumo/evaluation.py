"""Evaluation at the intersection: traffic demands, and conventional signal controllers as baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from genreplay.envs.facets import EvaluationSet, NamedDemand, SearchEpisode, SearchResult
from genreplay.envs.sumo.actuated import REACH_FACTOR
from genreplay.envs.sumo.baselines.cabinet import ZONE
from genreplay.envs.sumo.baselines.search import search_plan
from genreplay.envs.sumo.baselines.table import CONSTANT_PLAN, POLICY_SEES, TIME_OF_DAY, baselines_of
from genreplay.envs.sumo.config import DemandConfig
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.signals.timing import Timing
from genreplay.envs.sumo.traffic.profiles import default_demands, is_in_range, parse_profile


class TrafficEvaluation(EvaluationSet):
    """Demand profiles and baselines by name.

    Args:
        config: ranges of training and levels of evaluation.
        is_given: whether the traffic comes from a route file or counts; else it is random.
        intersection: its fixed plan is the start of a search.
        timing: intergreen and shortest green.
        num_intervals: of the counts in an episode; 0 without counts. Only with several is there `time_of_day`.
        sensors: what a policy sees (`env.sensors`).
    """

    def __init__(
        self,
        config: DemandConfig,
        is_given: bool,
        intersection: Intersection,
        timing: Timing,
        num_intervals: int = 0,
        sensors: str = "full",
    ):
        self.config, self.is_given, self.intersection, self.timing = config, is_given, intersection, timing
        baselines = baselines_of(intersection.plan)
        self.baselines = tuple(name for name in baselines if name != TIME_OF_DAY or num_intervals > 1)
        self.sees = {name: baselines[name].sees for name in self.baselines}
        self.policy_sees = POLICY_SEES[sensors]
        if timing.action_mode == "actuated":
            self.policy_sees += f"; last {ZONE * REACH_FACTOR:.0f} m to end a green"

    def demands(self, names: Sequence[str] | None = None) -> list[NamedDemand]:
        """The named demands (see `profiles`); by default some inside and some outside the range of training."""
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
            [stage.green_seconds for stage in self.intersection.plan.stages],
            self.timing.change_seconds,
            [stage.min_green for stage in self.intersection.plan.stages],
            lambda episodes: play(
                [SearchEpisode({"greens": list(each.plan)}, each.episode, each.limit) for each in episodes]
            ),
            num_episodes,
            [tuple(settings["greens"]) for settings in known],
        )
        return SearchResult({"greens": list(found.plan)}, found.num_plans)
