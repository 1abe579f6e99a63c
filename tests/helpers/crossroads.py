"""A made-up crossing of one-lane roads, with links in one letter each, and a map's ways."""

from pathlib import Path

import numpy as np

from genreplay.envs.sumo.capacity.ways import Ways, read_ways
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import Intersection, read_intersection
from tests.helpers.signals import MAPS


def ways_of(lanes: list[int], gives_way: dict[int, set[int]] | None = None) -> Ways:
    """Way i belongs to lane `lanes[i]`, has the light i and is movement i; `gives_way` names those before it."""
    size = len(lanes)
    yields = np.array([[j in (gives_way or {}).get(i, set()) for j in range(size)] for i in range(size)])
    names = tuple(f"lane_{k}" for k in sorted(set(lanes)))
    numbers = np.arange(size)
    return Ways(numbers, np.array(lanes), numbers, yields, np.zeros((size, size), dtype=bool), size, names)


def map_ways(name: str) -> tuple[Intersection, Ways]:
    """One of the maps in tests/data/signals."""
    path = Path(MAPS, f"{name}.net.xml")
    intersection = read_intersection(path, SumoConfig(net_file=str(path)))
    return intersection, read_ways(intersection)


def turn_flows(intersection: Intersection, **flows: float) -> np.ndarray:
    """Vehicles/h by movement, the same on each approach, by the turn."""
    return np.array([flows.get(movement.turn, 0.0) * movement.has_cars for movement in intersection.movements])
