"""Intersections of the maps that come with sumo-rl."""

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import Intersection, read_intersection
from genreplay.envs.sumo.traffic.scenarios import resolve


def junction(scenario: str = "2way", upstream_metres: float = 0.0) -> Intersection:
    """The intersection of a scenario."""
    config = SumoConfig(scenario=scenario, upstream_metres=upstream_metres)
    return read_intersection(resolve(config).net_file, config)
