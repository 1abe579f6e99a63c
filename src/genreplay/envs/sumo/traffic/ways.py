"""The edges that the vehicles of a route file take: given, by distribution, or found as SUMO finds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from genreplay.envs.sumo.network.net_file import read_net

Edges = tuple[str, ...]
FROM, TO = ("from", "fromTaz", "fromJunction"), ("to", "toTaz", "toJunction")
JUNCTIONS = ("fromJunction", "toJunction", "viaJunctions")
"""Attributes for which SUMO makes a TAZ of every junction."""
ELSEWHERE = ("fromXY", "toXY", "viaXY", "fromLonLat", "toLonLat", "viaLonLat")
"""Attributes that SUMO understands and we do not."""
CAR = "passenger"
DEFAULT_CLASSES = {"DEFAULT_BIKETYPE": "bicycle", "DEFAULT_TAXITYPE": "taxi", "DEFAULT_RAILTYPE": "rail"}
"""Classes of SUMO's own types, other than its car."""
EVERYWHERE = "ignoring"
"""SUMO's class of vehicles that may drive on any lane."""

read_net_once = lru_cache(maxsize=4)(read_net)
"""`read_net`, which keeps the last maps."""


def has_junctions(root: Element) -> bool:
    """Whether trips or walks of a route file begin, end or pass at junctions named by their ids."""
    return any(key in element.attrib for element in root.iter() for key in JUNCTIONS)


class Definitions:
    """Routes, vehicle types and traffic assignment zones (TAZ) by name.

    Args:
        roots: the route file and the additional files.
    """

    def __init__(self, roots: Sequence[Element]):
        everything = [element for root in roots for element in root.iter()]
        self._routes = {
            element.attrib["id"]: tuple(element.get("edges", "").split())
            for element in everything
            if element.tag == "route" and "id" in element.attrib
        }
        self._mixes = {e.attrib["id"]: e for e in everything if e.tag == "routeDistribution" and "id" in e.attrib}
        self._classes = DEFAULT_CLASSES | {
            element.attrib["id"]: element.get("vClass", CAR)
            for element in everything
            if element.tag == "vType" and "id" in element.attrib
        }
        self._type_mixes = {e.attrib["id"]: e for e in everything if e.tag == "vTypeDistribution" and "id" in e.attrib}
        self._zones = {e.attrib["id"]: e for e in everything if e.tag == "taz" and "id" in e.attrib}

    def ways(self, element: Element, net_file: Path) -> list[tuple[Edges, float]] | None:
        """The ways of a trip, vehicle or flow, each with its share, sum 1; None if only SUMO can tell.

        No way for an element without a route, or whose ends no road connects.
        """
        own, mix = element.find("route"), element.find("routeDistribution")
        name = element.get("route")
        if name in self._routes:
            return [(self._routes[name], 1.0)]
        if name in self._mixes:
            return self._mixed(self._mixes[name])
        if own is not None:
            return [(tuple(own.get("edges", "").split()), 1.0)]
        if mix is not None:
            return self._mixed(mix)
        if any(key in element.attrib for key in ELSEWHERE):
            return None
        way = self._found(element, net_file)
        return [] if way is None else [(way, 1.0)]

    def steps(self, element: Element, net_file: Path) -> list[list[str]]:
        """Edges through which a trip must pass, in order: for each step the edges among which SUMO chooses.

        Empty for an element without ends; a step of unknown names is empty.
        """
        if {*FROM, *TO}.isdisjoint(element.attrib):
            return []
        net = read_net_once(net_file)
        steps = [self._ends(element, FROM, "tazSource", net), *([edge] for edge in element.get("via", "").split())]
        for junction in element.get("viaJunctions", "").split():
            steps.append(self._zone(junction, "tazSink", net))
        return [step for step in (*steps, self._ends(element, TO, "tazSink", net)) if step is not None]

    def vehicle_class(self, element: Element) -> str | None:
        """SUMO's class of the element's vehicles; None for several, and for those that drive everywhere."""
        name = element.get("type", "")
        mix = self._type_mixes.get(name)
        types = [name] if mix is None else [*mix.get("vTypes", "").split(), *(e.get("id", "") for e in mix)]
        classes = {self._classes.get(kind, CAR) for kind in types}
        return None if len(classes) != 1 or EVERYWHERE in classes else classes.pop()

    def _ends(self, element: Element, keys: Sequence[str], end: str, net: Any) -> list[str] | None:
        """Edges at which a trip may begin or end; None if it does not say."""
        edge, *zones = (element.get(key) for key in keys)
        if edge is not None:
            return [edge]
        zone = next((zone for zone in zones if zone is not None), None)
        return None if zone is None else self._zone(zone, end, net)

    def _zone(self, name: str, end: str, net: Any) -> list[str]:
        zone = self._zones.get(name)
        if zone is not None:
            return [*zone.get("edges", "").split(), *(part.get("id", "") for part in zone.iter(end))]
        if not net.hasNode(name):
            return []
        node = net.getNode(name)
        return [edge.getID() for edge in (node.getOutgoing() if end == "tazSource" else node.getIncoming())]

    def _mixed(self, mix: Element) -> list[tuple[Edges, float]]:
        """The routes of a distribution with their shares."""
        found = [
            (
                tuple(route.attrib["edges"].split())
                if "edges" in route.attrib
                else self._routes.get(route.get("refId", ""), ()),
                float(route.get("probability", 1.0)),
            )
            for route in mix.iter("route")
        ]
        names, weights = mix.get("routes", "").split(), mix.get("probabilities", "").split()
        found += [
            (self._routes.get(name, ()), float(weight))
            for name, weight in zip(names, weights or ["1"] * len(names), strict=False)
        ]
        total = sum(weight for _, weight in found)
        return [(edges, weight / total) for edges, weight in found] if total > 0 else []

    def _found(self, element: Element, net_file: Path) -> Edges | None:
        """The fastest way through the steps of a trip; None if there is none."""
        steps = self.steps(element, net_file)
        vehicle_class = self.vehicle_class(element)
        if not steps:
            return None
        best: dict[str, tuple[float, Edges]] = {edge: (0.0, (edge,)) for edge in steps[0]}
        for step in steps[1:]:
            best = dict(_cheapest(net_file, vehicle_class, best, step))
        return min(best.values())[1] if best else None


def _cheapest(
    net_file: Path, vehicle_class: str | None, best: dict[str, tuple[float, Edges]], step: Sequence[str]
) -> Iterable[tuple[str, tuple[float, Edges]]]:
    """For each edge of the step the fastest way so far, in s, that goes on to it."""
    for goal in step:
        options = [
            (before + seconds, (*edges[:-1], *way))
            for start, (before, edges) in best.items()
            for seconds, way in fastest_way(net_file, vehicle_class, start, goal)
        ]
        if options:
            yield goal, min(options)


@lru_cache(maxsize=10_000)
def fastest_way(net_file: Path, vehicle_class: str | None, start: str, goal: str) -> tuple[tuple[float, Edges], ...]:
    """The fastest way for vehicles of a class (None: of any) and its seconds, or nothing."""
    net = read_net_once(net_file)
    if not (net.hasEdge(start) and net.hasEdge(goal)):
        return ()
    edges, seconds = net.getOptimalPath(net.getEdge(start), net.getEdge(goal), fastest=True, vClass=vehicle_class)
    return () if edges is None else ((seconds, tuple(edge.getID() for edge in edges)),)
