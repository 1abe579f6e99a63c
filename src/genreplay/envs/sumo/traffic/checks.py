"""Checks of a user's route file, before SUMO fails on it in the middle of an episode."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from sumolib.miscutils import parseTime

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.network.net_file import read_net
from genreplay.envs.sumo.traffic.demand import Demand
from genreplay.envs.sumo.traffic.routes import RATE_ATTRIBUTES, read_routes
from genreplay.envs.sumo.traffic.scenarios import Scenario

TRAFFIC = ("trip", "vehicle", "flow")
DEPART_WORDS = ("triggered", "containerTriggered", "split")
"""Departures that are not times."""


class _Entry(NamedTuple):
    """A trip, vehicle or flow."""

    name: str
    """Its name in messages."""
    element: Element
    begin: float
    """s"""
    end: float
    """s; equal to `begin` for one vehicle."""


def check_traffic(config: SumoConfig, scenario: Scenario, intersection: Intersection) -> Demand:
    """The traffic of the config, checked against the map.

    Raises:
        UserError: the traffic does not fit the map.
    """
    if scenario.route_file is not None and config.net_file is not None:
        check_routes(scenario, intersection)
    elif not any(movement.has_cars for movement in intersection.movements):
        raise UserError(
            f"env.net_file: cars may not cross the light {intersection.light!r} of {scenario.net_file}; "
            "use another map, or allow passenger cars there in netedit"
        )
    return Demand(config.demand, scenario, intersection)


def check_routes(scenario: Scenario, intersection: Intersection) -> None:
    """Check that the route file's traffic can drive on the map, and that some crosses the light in the episode.

    SUMO itself reports what only it can know, such as lanes closed to a vehicle class.

    Raises:
        UserError: it cannot; the message names the first wrong element.
    """
    assert scenario.route_file is not None
    where = f"env.route_file: {scenario.route_file}"
    root, net = read_routes(scenario.route_file), read_net(scenario.net_file)
    begin, end = scenario.begin_time, scenario.end_time
    routes = {route.get("id"): route for route in root.iter("route") if "id" in route.attrib}
    for name, route in routes.items():
        if "edges" in route.attrib:
            _check_edges(f"{where}: route {name!r}", route.attrib["edges"].split(), net)
    for vehicle in root.iter("vehicle"):
        for route in vehicle.findall("route"):
            _check_edges(f"{where}: vehicle {vehicle.get('id')!r}", route.get("edges", "").split(), net)
    entries = [_entry(where, element, begin, end) for element in root if element.tag in TRAFFIC]
    _check_names(where, entries)
    types = {element.get("id") for element in root.iter() if element.tag in ("vType", "vTypeDistribution")}
    for entry in entries:
        _check_type(where, entry, types)
        _check_route(f"{where}: {entry.name}", entry.element, routes, root, net)
    _check_time(where, entries, begin, end)
    if not Demand(DemandConfig(), scenario, intersection).expected()[0].flows.any():
        movement = intersection.movements[0]
        raise UserError(
            f"{where}: no vehicle of the episode crosses the light {intersection.light!r}; a route has to use one "
            f"of its movements, such as edges {movement.from_edge!r} then {movement.to_edge!r}"
        )


def _entry(where: str, element: Element, begin: float, end: float) -> _Entry:
    name = f"{element.tag} {element.get('id', '')!r}"
    if element.tag == "flow":
        first, last = (
            _time(f"{where}: {name}", element, key, fallback) for key, fallback in (("begin", begin), ("end", end))
        )
        _check_rate(f"{where}: {name}", element)
        return _Entry(name, element, first, last)
    if element.get("depart") in DEPART_WORDS:
        return _Entry(name, element, math.inf, math.inf)
    depart = _time(f"{where}: {name}", element, "depart", None)
    return _Entry(name, element, depart, depart)


def _time(where: str, element: Element, key: str, fallback: float | None) -> float:
    text = element.get(key)
    if text is None and fallback is not None:
        return fallback
    try:
        time = parseTime(text or "")
    except ValueError:
        time = None
    if time is None or not 0 <= time < math.inf:
        problem = "has no" if text is None else f"has {text!r} as"
        raise UserError(f'{where} {problem} {key} time; write seconds, such as {key}="25200", or HH:MM:SS')
    return float(time)


def _check_rate(where: str, flow: Element) -> None:
    given = [name for name in (*RATE_ATTRIBUTES, "period") if name in flow.attrib]
    if not given:
        raise UserError(f'{where} does not say how many vehicles; add for example vehsPerHour="300"')
    for name in given:
        text = flow.attrib[name].removeprefix("exp(").removesuffix(")")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf or (name == "period" and value == 0):
            raise UserError(f"{where} has {flow.attrib[name]!r} as {name}; write a number of at least 0")


def _check_names(where: str, entries: Sequence[_Entry]) -> None:
    seen: set[str | None] = set()
    for name, element, *_ in entries:
        if element.get("id") is None:
            raise UserError(f"{where}: a {element.tag} has no id; give each one a unique id")
        if element.get("id") in seen:
            raise UserError(f"{where}: {name} is duplicated; give each one a unique id")
        seen.add(element.get("id"))


def _check_type(where: str, entry: _Entry, types: Iterable[str | None]) -> None:
    kind = entry.element.get("type")
    if kind is None or kind in types or kind.startswith("DEFAULT_"):
        return
    raise UserError(
        f'{where}: {entry.name} has the type {kind!r}, which the file does not define; copy its <vType id="{kind}"> '
        "into the file, or leave the type out for SUMO's default car"
    )


def _check_route(where: str, element: Element, routes: dict[str | None, Element], root: Element, net: Any) -> None:
    """Check that the element has a route: its own, one by name, or two connected edges."""
    name = element.get("route")
    distributions = {distribution.get("id") for distribution in root.iter("routeDistribution")}
    if name is not None and name not in routes and name not in distributions:
        raise UserError(f"{where} uses the route {name!r}, which the file does not define; define it first")
    ends = {"from", "to", "fromTaz", "toTaz", "fromJunction", "toJunction"}
    if name is None and element.find("route") is None and not ends & set(element.attrib):
        raise UserError(f"{where} has no route; give it one, or the edges from and to")
    if "from" in element.attrib and "to" in element.attrib:
        stops = [element.attrib["from"], *element.get("via", "").split(), element.attrib["to"]]
        _check_known(where, stops, net)
        for start, goal in pairwise(stops):
            if net.getOptimalPath(net.getEdge(start), net.getEdge(goal), fastest=True)[0] is None:
                raise UserError(f"{where} goes from {start!r} to {goal!r}, but no road leads there; fix it or the map")


def _check_edges(where: str, edges: Sequence[str], net: Any) -> None:
    if not edges:
        raise UserError(f"{where} has no edges; write their ids, separated by spaces")
    _check_known(where, edges, net)
    for edge, following in pairwise(edges):
        if net.getEdge(following) not in net.getEdge(edge).getOutgoing():
            raise UserError(
                f"{where} goes from edge {edge!r} to {following!r}, which are not connected; fix the route, or "
                "run duarouter --repair"
            )


def _check_known(where: str, edges: Sequence[str], net: Any) -> None:
    for edge in edges:
        if not net.hasEdge(edge):
            close = difflib.get_close_matches(edge, [known.getID() for known in net.getEdges()], n=1)
            hint = f"did you mean {close[0]!r}?" if close else "was the route made for another map?"
            raise UserError(
                f"{where} uses the edge {edge!r}, which is not in the map; {hint} Routes for a piece cut out of a "
                "larger map: see docs/traffic.md"
            )


def _check_time(where: str, entries: Sequence[_Entry], begin: float, end: float) -> None:
    timed = [entry for entry in entries if entry.begin < math.inf]
    if not timed:
        raise UserError(f"{where} has no vehicles; add trips, vehicles or flows with a time to depart")
    if not any(entry.begin < end and entry.end >= begin for entry in timed):
        first, last = min(entry.begin for entry in timed), max(entry.end for entry in timed)
        raise UserError(
            f"{where}: no vehicle departs in the episode, {begin:g} to {end:g} s; the file's vehicles depart from "
            f"{first:g} to {last:g} s, so set env.begin_time={math.floor(first)}"
        )
