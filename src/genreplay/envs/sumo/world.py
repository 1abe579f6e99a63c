"""The traffic-signal environment: one signalised intersection in SUMO."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.envs.batched import BatchedEnv, EpisodeSeeds
from genreplay.envs.sumo.actions import timing_of
from genreplay.envs.sumo.baselines.search import search_plan
from genreplay.envs.sumo.baselines.table import BASELINES, CONSTANT_PLAN, FIXED_PLAN
from genreplay.envs.sumo.card import describe
from genreplay.envs.sumo.columns import build_layout
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.env import SumoEnv
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.traffic.checks import check_traffic
from genreplay.envs.sumo.traffic.profiles import default_demands, is_in_range, parse_profile
from genreplay.envs.sumo.traffic.scenarios import resolve
from genreplay.envs.world import NO_SETTINGS, FilmRequest, Found, NamedDemand, SearchEpisode, World

METRIC_UNITS = MappingProxyType(
    {
        "delay": "s",
        "waiting_time": "s",
        "travel_time": "s",
        "mean_queue": "vehicles",
        "throughput": "vehicles",
        "teleports": "vehicles",
    }
)


class SumoWorld(World):
    """One signalised intersection, with continuous green durations (a semi-Markov decision process).

    The reward of a decision is minus the vehicle-seconds lost over it, by driving below the speed limit on the
    approaches and by waiting to enter the map. Episodes are cut off, never terminated.
    """

    primary_metric = "delay"
    primary_unit = "s"
    minimise = True
    discount_period = 30.0
    baselines = tuple(BASELINES)
    metric_units = METRIC_UNITS
    can_overlap = True
    has_film = True

    def __init__(self, config: SumoConfig):
        self.config = config
        scenario = resolve(config)
        self.net_file = scenario.net_file
        self._is_given = scenario.is_given
        self.episode_seconds = scenario.episode_seconds
        intersection = read_intersection(scenario.net_file, config.upstream_metres)
        check_traffic(config, scenario, intersection)
        self.view = View(intersection, timing_of(config, intersection))
        self.intersection = intersection
        self.layout = build_layout(intersection, self.view)

    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> SumoEnv:
        """Simulators in processes of their own; with `evaluation`, at the fixed demand levels."""
        return SumoEnv(self.config, self.view, num_workers, episode_seeds, evaluation)

    def card(self) -> dict[str, Any]:
        """Inputs, outputs and signal, for a controller outside of genreplay."""
        return describe(self.config, self.intersection, self.view)

    @property
    def default_shot(self) -> FilmRequest:
        """Four minutes from the tenth on: there is traffic by then."""
        return FilmRequest(None, 101, 600, 240, 2, None)

    def film(self, policy: TensorDictModule, shot: FilmRequest) -> Iterator[np.ndarray]:
        """Pictures of the intersection, with a baseline beside it where the shot asks for one."""
        if shot.demand is not None:
            self.demands([shot.demand])
        choices = [name for name in BASELINES if name != CONSTANT_PLAN]
        if shot.baseline is not None and shot.baseline not in choices:
            raise UserError(f"--baseline {shot.baseline}: cannot be filmed; choose one of {', '.join(choices)}")
        end = min(shot.begin + shot.seconds, self.episode_seconds)
        if shot.begin >= end:
            raise UserError(f"--begin {shot.begin}: the episode has {self.episode_seconds} s; begin before its end")
        return self._film(policy, shot, end)

    def _film(self, policy: TensorDictModule, shot: FilmRequest, end: int) -> Iterator[np.ndarray]:
        # Here, so that only a film waits for Matplotlib.
        from genreplay.envs.sumo.pictures.film import record
        from genreplay.envs.sumo.pictures.renderer import IntersectionRenderer

        env = self.make_env(1 if shot.baseline is None else 2, lambda worker, index: shot.seed, evaluation=True)
        try:
            episodes = record(env, policy, shot, end)
        finally:
            env.close()
        renderer = IntersectionRenderer(self.net_file, self.intersection, episodes)
        for index in range(0, len(episodes[0].frames), shot.stride):
            yield renderer.render(index)

    def demands(self, names: Sequence[str] | None = None) -> list[NamedDemand]:
        """The named demands (see `profiles`); those inside and outside the range of training where none is named."""
        config = self.config.demand
        if names is None:
            names = default_demands(config, self._is_given)
        profiles = {name: parse_profile(name, config, self._is_given) for name in names}
        return [NamedDemand(name, is_in_range(profile, config, self._is_given)) for name, profile in profiles.items()]

    def baseline(
        self,
        env: BatchedEnv,
        worker_seeds: dict[int, int],
        name: str = FIXED_PLAN,
        settings: Mapping[str, Any] = NO_SETTINGS,
        limit: float = inf,
    ) -> dict[int, dict[str, float]]:
        """Metrics of a baseline, without a name of the map's own fixed plan, on the episodes of these seeds."""
        assert isinstance(env, SumoEnv)
        return env.baseline(name, settings, worker_seeds, limit)

    def search(
        self,
        name: str,
        judge: Callable[[list[SearchEpisode]], list[float]],
        num_episodes: int,
        known: Sequence[Mapping[str, Any]],
    ) -> Found | None:
        """The settings of a baseline that has to be searched for: the greens of the best constant plan."""
        if name != CONSTANT_PLAN:
            return None
        timing = self.view.timing
        found = search_plan(
            self.intersection.green_seconds,
            timing.intergreen,
            timing.min_green,
            lambda episodes: judge(
                [SearchEpisode({"greens": list(each.plan)}, each.episode, each.limit) for each in episodes]
            ),
            num_episodes,
            [tuple(settings["greens"]) for settings in known],
        )
        return Found({"greens": list(found.plan)}, found.num_plans)
