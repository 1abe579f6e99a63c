"""Expected flows by movement of a route file, as input of Webster's plan.

Shapes: M movements.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from genreplay.envs.sumo.network.intersection import Movement
from genreplay.envs.sumo.traffic.elements import FLOWS, VEHICLES, expected_number
from genreplay.envs.sumo.traffic.ways import Definitions


class RouteFlows(NamedTuple):
    """Expected traffic over the light."""

    flows: np.ndarray
    """vehicles/h by movement, `[M]`; a vehicle that passes two stop lines of the light counts at both"""
    vehicles: float
    """vehicles/h over the light, each counted once"""
    is_complete: bool
    """Whether the way of every vehicle is known."""


def route_flows(
    root: Element,
    movements: Sequence[Movement],
    net_file: Path,
    begin: float,
    end: float,
    additional: Element | None = None,
) -> RouteFlows:
    """The flows over [begin, end) of a route file whose vehicles all depart in that time.

    Trips are assumed to take the fastest way, and between zones or junctions the fastest of all pairs of edges, as in
    SUMO. Vehicles that do not cross the light are not counted.
    """
    definitions = Definitions([root] if additional is None else [root, additional])
    crossing = {(movement.from_edge, movement.to_edge): i for i, movement in enumerate(movements)}
    counts, vehicles, is_complete = np.zeros(len(movements)), 0.0, True
    for element in root:
        if element.tag not in VEHICLES:
            continue
        ways = definitions.ways(element, net_file)
        is_complete = is_complete and ways is not None
        number = expected_number(element, begin, end) if element.tag in FLOWS else 1.0
        for edges, share in ways or ():
            passed = [crossing[pair] for pair in pairwise(edges) if pair in crossing]
            for i in passed:
                counts[i] += share * number
            vehicles += share * number if passed else 0.0
    hourly = 3600.0 / (end - begin)
    return RouteFlows(counts * hourly, vehicles * hourly, is_complete)
