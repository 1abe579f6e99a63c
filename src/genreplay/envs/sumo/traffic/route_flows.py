"""Expected flows by movement of a route file, as input of Webster's plan.

Shapes: M movements.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from sumolib.miscutils import parseTime

from genreplay.envs.sumo.network.intersection import Movement
from genreplay.envs.sumo.network.net_file import read_net


def route_flows(root: Element, movements: Sequence[Movement], net_file: Path, begin: float, end: float) -> np.ndarray:
    """Vehicles/h by movement over [begin, end), `[M]`, of a route file whose vehicles all depart in that time.

    Trips are assumed to take the fastest way. Vehicles that do not cross the light are not counted.
    """
    routes = {route.get("id"): route.attrib["edges"].split() for route in root.iter("route") if "edges" in route.attrib}
    crossing = {(movement.from_edge, movement.to_edge): i for i, movement in enumerate(movements)}
    flows = np.zeros(len(movements))
    for element in root:
        if element.tag in ("trip", "vehicle", "flow"):
            edges = _edges(element, routes, net_file)
            for pair in pairwise(edges):
                if pair in crossing:
                    flows[crossing[pair]] += _vehicles(element, begin, end)
    return flows * 3600.0 / (end - begin)


def _edges(element: Element, routes: dict[str | None, list[str]], net_file: Path) -> list[str]:
    own = element.find("route")
    if own is not None and "edges" in own.attrib:
        return own.attrib["edges"].split()
    if "route" in element.attrib:
        return routes.get(element.attrib["route"], [])
    if "from" in element.attrib and "to" in element.attrib:
        stops = (element.attrib["from"], *element.get("via", "").split(), element.attrib["to"])
        return [edge for pair in pairwise(stops) for edge in _way(net_file, *pair)]
    return []


_net = lru_cache(maxsize=4)(read_net)


@lru_cache(maxsize=10_000)
def _way(net_file: Path, start: str, goal: str) -> tuple[str, ...]:
    net = _net(net_file)
    if not (net.hasEdge(start) and net.hasEdge(goal)):
        return ()
    edges, _ = net.getOptimalPath(net.getEdge(start), net.getEdge(goal), fastest=True)
    return () if edges is None else tuple(edge.getID() for edge in edges)


def _vehicles(element: Element, begin: float, end: float) -> float:
    """Number of vehicles of an element in [begin, end)."""
    if element.tag != "flow":
        return 1.0
    if "number" in element.attrib:
        return float(element.attrib["number"])
    start = max(begin, parseTime(element.get("begin", str(begin))))
    seconds = max(0.0, min(end, parseTime(element.get("end", str(end)))) - start)
    return seconds * _rate(element)


def _rate(flow: Element) -> float:
    """Vehicles/s."""
    for name in ("vehsPerHour", "perHour"):
        if name in flow.attrib:
            return float(flow.attrib[name]) / 3600.0
    if "probability" in flow.attrib:
        return float(flow.attrib["probability"])
    period = flow.get("period", "")
    if period.startswith("exp("):
        return float(period[4:-1])
    return 1.0 / float(period) if period else 0.0
