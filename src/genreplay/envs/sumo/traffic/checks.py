"""Checks of a user's traffic, before SUMO fails on it in the middle of an episode.

SUMO itself says whether it takes the files; the checks here then name the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.traffic.ask_sumo import Answer, ask_sumo
from genreplay.envs.sumo.traffic.demand import Demand
from genreplay.envs.sumo.traffic.elements import BEGIN_WORD, DEPART_WORDS, FLOWS, TRAFFIC, VEHICLES, seconds_of
from genreplay.envs.sumo.traffic.names import check_names
from genreplay.envs.sumo.traffic.routes import RATE_ATTRIBUTES
from genreplay.envs.sumo.traffic.scenarios import Scenario
from genreplay.envs.sumo.traffic.ways import CAR, Definitions, fastest_way, read_net_once


class _Entry(NamedTuple):
    """An element with a time of departure."""

    element: Element
    begin: float
    """s; infinity where it departs upon an event."""
    end: float
    """s; equal to `begin` for one vehicle."""


def check_traffic(config: SumoConfig, scenario: Scenario, intersection: Intersection) -> Demand:
    """The traffic of the config, checked against the map.

    Raises:
        UserError: the traffic does not fit the map.
    """
    demand = Demand(config.demand, scenario, intersection)
    if scenario.route_files and config.net_file is not None:
        check_routes(demand)
    elif not any(movement.has_cars for movement in intersection.movements):
        raise UserError(
            f"env.net_file: cars may not cross the light {intersection.light!r} of {scenario.net_file}; "
            "use another map, or allow passenger cars there in netedit"
        )
    elif demand.additional is not None:
        answer = ask_sumo(demand, Element("routes"), is_simulated=False)
        if answer.error:
            raise UserError(f"env.additional_files: SUMO cannot read them: {answer.error}")
    return demand


def check_routes(demand: Demand) -> None:
    """Check that the route file's traffic can drive on the map, and that some crosses the light in the episode.

    What SUMO sees only while it simulates, such as a lane that does not exist, is reported by the first episode.

    Raises:
        UserError: it cannot; the message names the first wrong element.
    """
    scenario, template = demand.scenario, demand.template
    assert template is not None
    where = f"env.route_file: {', '.join(map(str, scenario.route_files))}"
    entries = [_entry(where, element, scenario.begin_time) for element in template if element.tag in TRAFFIC]
    root = demand.unscaled()
    if ask_sumo(demand, root, is_simulated=False).error:
        _check_ids(where, root)
        check_names(where, root, demand)
        answer = simulate(demand)  # there are errors after which it goes on
        if answer.error:
            raise UserError(f"{where}: SUMO cannot read it: {answer.error}")
    _check_time(where, entries, scenario.begin_time, scenario.end_time)
    _check_roads(where, root, demand)
    routed = demand.routed(root)
    if routed.is_complete and not routed.flows.any():
        light, movement = demand.intersection.light, demand.intersection.movements[0]
        raise UserError(
            f"{where}: no vehicle of the episode crosses the light {light!r}; a route has to use one "
            f"of its movements, such as edges {movement.from_edge!r} then {movement.to_edge!r}"
        )


def simulate(demand: Demand) -> Answer:
    """SUMO's answer after an episode of the route file under the map's plan."""
    return ask_sumo(demand, demand.unscaled(), is_simulated=True)


def _entry(where: str, element: Element, begin: float) -> _Entry:
    name = f"{where}: {element.tag} {element.get('id', '')!r}"
    if element.tag not in FLOWS:
        depart = _time(name, element, "depart", None)
        return _Entry(element, depart, depart)
    first, last = _time(name, element, "begin", begin), _time(name, element, "end", math.inf)
    _check_rate(name, element)
    return _Entry(element, first, last)


def _time(where: str, element: Element, key: str, fallback: float | None) -> float:
    """A time in s; infinity for a departure upon an event."""
    text = element.get(key)
    if text is None and fallback is not None:
        return fallback
    if key != "end" and text in DEPART_WORDS:
        return math.inf
    time = 0.0 if key != "end" and text == BEGIN_WORD else seconds_of(text)
    if time is None or not 0 <= time < math.inf:
        problem = "has no" if text is None else f"has {text!r} as"
        raise UserError(f'{where} {problem} {key} time; write seconds, such as {key}="25200", or HH:MM:SS')
    return time


def _check_rate(where: str, flow: Element) -> None:
    given = [name for name in (*RATE_ATTRIBUTES, "period") if name in flow.attrib]
    if not given:
        raise UserError(f'{where} does not say how many vehicles; add for example vehsPerHour="300"')
    for name in given:
        text = flow.attrib[name]
        value = seconds_of(text) if name == "period" else None
        try:
            value = float(text.removeprefix("exp(").removesuffix(")")) if value is None else value
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf or (value == 0 and name != "number"):
            raise UserError(f"{where} has {text!r} as {name}; write a number above 0")
        if name == "probability" and value > 1:
            raise UserError(f"{where} has {text!r} as {name}; write a number above 0 and at most 1, for each second")


def _check_ids(where: str, root: Element) -> None:
    seen: set[tuple[bool, str]] = set()
    for element in root:
        if element.tag not in TRAFFIC:
            continue
        name = element.get("id")
        if name is None:
            raise UserError(f"{where}: a {element.tag} has no id; give each one a unique id")
        if (element.tag in VEHICLES, name) in seen:
            raise UserError(f"{where}: {element.tag} {name!r} is duplicated; give each one a unique id")
        seen.add((element.tag in VEHICLES, name))


def _check_time(where: str, entries: Sequence[_Entry], begin: float, end: float) -> None:
    timed = [entry for entry in entries if entry.element.tag in VEHICLES and entry.begin < math.inf]
    if not timed:
        raise UserError(f"{where} has no vehicles; add trips, vehicles or flows with a time to depart")
    if not any(entry.begin < end and entry.end >= begin for entry in timed):
        first, last = min(entry.begin for entry in timed), max(entry.end for entry in timed)
        raise UserError(
            f"{where}: no vehicle departs in the episode, {begin:g} to {end:g} s; the file's vehicles depart from "
            f"{first:g} to {last:g} s, so set env.begin_time={math.floor(first)}"
        )


def _check_roads(where: str, root: Element, demand: Demand) -> None:
    """Check that routes have no gaps and that roads connect the ends of each trip; SUMO looks when they depart."""
    net_file = demand.scenario.net_file
    definitions = Definitions([root] if demand.additional is None else [root, demand.additional])
    for element in root:
        if element.tag not in VEHICLES:
            continue
        name = f"{where}: {element.tag} {element.get('id')!r}"
        ways = definitions.ways(element, net_file)
        for edges, _ in ways or ():
            _check_gaps(name, edges, net_file)
        if ways != []:
            continue
        steps, kind = definitions.steps(element, net_file), definitions.vehicle_class(element)
        for before, after in pairwise(steps):
            if not any(fastest_way(net_file, kind, start, goal) for start in before for goal in after):
                raise UserError(
                    f"{name} goes from {' or '.join(map(repr, before))} to "
                    f"{' or '.join(map(repr, after))}, but no road{_for_class(kind)} leads there; fix it or the map"
                )


def _check_gaps(where: str, edges: Sequence[str], net_file: Path) -> None:
    net = read_net_once(net_file)
    for edge, following in pairwise(edges):
        if net.getEdge(following) not in net.getEdge(edge).getOutgoing():
            raise UserError(
                f"{where} goes from edge {edge!r} to {following!r}, which are not connected; fix the route, or "
                "run duarouter --repair"
            )


def _for_class(kind: str | None) -> str:
    return "" if kind in (CAR, None) else f" for the vehicle class {kind!r}"
