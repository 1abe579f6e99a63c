"""The traffic-signal environment: one signalised intersection in SUMO."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from genreplay.common.errors import UserError
from genreplay.envs.batched import EpisodeSeeds
from genreplay.envs.sumo.camera import IntersectionCamera
from genreplay.envs.sumo.card import describe
from genreplay.envs.sumo.columns import build_layout
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.env import SumoEnv
from genreplay.envs.sumo.evaluation import TrafficEvaluation
from genreplay.envs.sumo.level_of_service import level_of_service
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.sensors.table import KINDS
from genreplay.envs.sumo.signals.timing import timing_of
from genreplay.envs.sumo.simulator.metrics import PEDESTRIAN
from genreplay.envs.sumo.traffic.checks import check_traffic
from genreplay.envs.sumo.traffic.scenarios import resolve
from genreplay.envs.world import World

CLASSES = ("passenger", "bus", "coach", "tram", "rail_urban", "truck", "trailer", "delivery", "taxi", "emergency",
           "motorcycle", "moped", "bicycle", PEDESTRIAN)  # fmt: skip
"""Kinds of traffic whose delay is shown where there are several."""
METRIC_UNITS = MappingProxyType(
    {
        "delay": "s",
        "wait_p95": "s",
        "wait_max": "s",
        f"wait_{PEDESTRIAN}": "s",
        "longest_red": "s",
        **{f"delay_{name}": "s" for name in CLASSES},
        "person_delay": "s",
        "stops": "per vehicle",
        "mean_queue": "vehicles",
        "throughput": "vehicles",
        "fuel": "g/km",
        "co2": "g/km",
        "waiting_time": "s",
        "travel_time": "s",
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
    metric_units = METRIC_UNITS
    parts_name = "movements"
    can_overlap = True

    def __init__(self, config: SumoConfig):
        self.config = config
        scenario = resolve(config)
        self.net_file = scenario.net_file
        self.episode_seconds = scenario.episode_seconds
        if config.warmup_seconds >= self.episode_seconds:
            raise UserError(
                f"env.warmup_seconds: {config.warmup_seconds} s leave nothing of an episode of "
                f"{self.episode_seconds} s to measure; shorten it, or set a longer env.episode_seconds"
            )
        intersection = read_intersection(scenario.net_file, config)
        demand = check_traffic(config, scenario, intersection)
        timing = timing_of(config, intersection.plan)
        self.view = View(intersection, timing, KINDS[config.sensors](intersection, timing))
        self.intersection = intersection
        self.layout = build_layout(self.view)
        self.evaluation = TrafficEvaluation(
            config.demand, scenario.is_given, intersection, timing, len(demand.counted or ()), config.sensors
        )
        self.camera = IntersectionCamera(
            lambda num_workers, seed: self.make_env(num_workers, lambda worker, index: seed, evaluation=True),
            self.evaluation,
            self.episode_seconds,
            self.net_file,
            intersection,
        )

    def grade(self, part: Mapping[str, float | str]) -> str:
        """The level of service of a movement."""
        saturation = part.get("volume_to_capacity")
        return level_of_service(float(part["delay"]), None if saturation is None else float(saturation))

    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> SumoEnv:
        """Simulators in separate processes; with `evaluation`, at the demand levels of evaluation."""
        return SumoEnv(self.config, self.view, num_workers, episode_seeds, evaluation)

    def card(self) -> dict[str, Any]:
        """Inputs, outputs and signal, for a controller outside of genreplay."""
        return describe(self.config, self.intersection, self.view)
