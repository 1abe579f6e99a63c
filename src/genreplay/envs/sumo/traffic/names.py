"""Names in a route file that neither it, nor the additional files, nor the map defines."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

from genreplay.common.errors import UserError
from genreplay.envs.sumo.traffic.demand import Demand
from genreplay.envs.sumo.traffic.elements import TRAFFIC, VEHICLES
from genreplay.envs.sumo.traffic.ways import ELSEWHERE, FROM, JUNCTIONS, TO, read_net_once

STOPS = ("busStop", "trainStop", "containerStop", "chargingStation", "parkingArea", "overheadWireSegment")
"""Attributes that name a place to stop; elements of additional files of the same name define one."""
ZONES = ("fromTaz", "toTaz")
EDGES = ("from", "to", "via", "edges", "edge")
"""Attributes of traffic, stages and stops that name edges."""


def check_names(where: str, root: Element, demand: Demand) -> None:
    """Find the first name without a definition.

    Args:
        where: how messages begin.
        root: the episode's route file, which SUMO refused.
        demand: its map and additional files.

    Raises:
        UserError: there is one.
    """
    net = read_net_once(demand.scenario.net_file)
    outside = [] if demand.additional is None else list(demand.additional.iter())
    known: dict[str, set[str | None]] = {}
    for element in [*root.iter(), *outside]:
        known.setdefault(element.tag, set()).add(element.get("id"))
    stops = {element.get("id") for element in outside if element.tag in STOPS}
    zones = {element.get("id") for element in outside if element.tag == "taz"}
    for route in root.iter("route"):
        if "id" in route.attrib and "edges" in route.attrib:
            _check_known(f"{where}: route {route.get('id')!r}", route.attrib["edges"].split(), net)
    for element in root:
        if element.tag in TRAFFIC:
            name = f"{where}: {element.tag} {element.get('id')!r}"
            _check_type(name, element, known.get("vType", set()) | known.get("vTypeDistribution", set()))
            if element.tag in VEHICLES:
                _check_route(name, element, known.get("route", set()) | known.get("routeDistribution", set()))
            _check_places(name, element, stops, zones, net)
            for route in element.findall("route"):
                _check_own(name, route.get("edges", "").split())


def _check_type(where: str, element: Element, types: set[str | None]) -> None:
    kind = element.get("type")
    if kind is None or kind in types or kind.startswith("DEFAULT_"):
        return
    raise UserError(
        f'{where} has the type {kind!r}, which the file does not define; copy its <vType id="{kind}"> into the file, '
        "list the file that has it in env.additional_files, or leave the type out for SUMO's default car"
    )


def _check_route(where: str, element: Element, routes: set[str | None]) -> None:
    """Check that a vehicle has a route: its own, one by name, or its ends."""
    name = element.get("route")
    if name is not None and name not in routes:
        raise UserError(f"{where} uses the route {name!r}, which the file does not define; define it first")
    has_own = element.find("route") is not None or element.find("routeDistribution") is not None
    if name is None and not has_own and not {*FROM, *TO, *ELSEWHERE} & set(element.attrib):
        raise UserError(f"{where} has no route; give it one, or the edges from and to")


def _check_own(where: str, edges: Sequence[str]) -> None:
    if not edges:
        raise UserError(f"{where} has no edges; write their ids, separated by spaces")


def _check_places(where: str, element: Element, stops: set[str | None], zones: set[str | None], net: Any) -> None:
    """Check the edges, junctions, zones and stops that an element and its stages name."""
    for part in element.iter():
        for key in STOPS:
            if key in part.attrib and part.attrib[key] not in stops:
                raise UserError(
                    f"{where} names the {key} {part.attrib[key]!r}, which no additional file defines; list the file "
                    "that does, such as env.additional_files=[stops.add.xml]"
                )
        for key in ZONES:
            if key in part.attrib and part.attrib[key] not in zones:
                raise UserError(
                    f"{where} names the zone {part.attrib[key]!r}, which no additional file defines; list the file "
                    "that does, such as env.additional_files=[zones.taz.xml]"
                )
        for key in JUNCTIONS:
            for junction in part.get(key, "").split():
                if junction not in zones and not net.hasNode(junction):
                    raise UserError(
                        f"{where} names the junction {junction!r}, which is not in the map; "
                        f"{_hint(junction, [node.getID() for node in net.getNodes()])}"
                    )
        for key in EDGES:
            _check_known(where, part.get(key, "").split(), net)


def _check_known(where: str, edges: Sequence[str], net: Any) -> None:
    for edge in edges:
        if not net.hasEdge(edge):
            raise UserError(
                f"{where} uses the edge {edge!r}, which is not in the map; "
                f"{_hint(edge, [known.getID() for known in net.getEdges()])} Routes for a piece cut out of a larger "
                "map: see docs/traffic.md"
            )


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "was the route made for another map?"
