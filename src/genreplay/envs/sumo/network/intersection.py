"""The controlled light of a network file: its plan, lanes, crossings, approaches and movements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import sumolib

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.net_file import chosen_light, read_net, reading
from genreplay.envs.sumo.signals.build import read_plan
from genreplay.envs.sumo.signals.plan import SignalPlan
from genreplay.envs.sumo.signals.programme import SignalFile, SignalLink, read_signal

VEHICLE_SPACE = 7.5
"""Length of a standing car with its gap, m."""
CROSSING_CAPACITY = 10
"""People who wait for a crossing at which its section counts as full."""
TURNS = {"l": "left", "L": "left", "r": "right", "R": "right", "s": "straight", "t": "turn", "T": "turn"}
"""SUMO's directions; `T` is a turnaround on left-hand maps, and `invalid` counts as straight on."""


@dataclass(frozen=True)
class Section:
    """A place whose vehicles are counted together, or whose people: a controlled lane, all edges upstream of an
    approach, or the two ends of a crossing.
    """

    name: str
    lanes: tuple[str, ...]
    """The controlled lane; empty for other sections."""
    edges: tuple[str, ...]
    """The upstream edges, or the walking areas at the ends of a crossing; empty for a controlled lane."""
    speed_limits: tuple[float, ...]
    """Of the lane, or of each edge, m/s."""
    capacity: int
    """Standing cars that fit on it, at least 1; of a crossing `CROSSING_CAPACITY`."""
    crossing: str | None = None
    """The crossing's edge; None on a road."""
    length: float = 0.0
    """Of the controlled lane, m; 0 for other sections."""


@dataclass(frozen=True)
class Approach:
    """A road that leads to the light, with the roads upstream of it."""

    name: str
    edges: tuple[str, ...]
    """The controlled edge, then the observed edges upstream."""


@dataclass(frozen=True)
class Movement:
    """A way over the intersection, from edge to edge."""

    approach: int
    """Index in `Intersection.approaches`."""
    from_edge: str
    to_edge: str
    turn: str
    """`left`, `straight`, `right` or `turn` (back)."""
    has_cars: bool = True
    """Whether cars may go this way."""


@dataclass(frozen=True)
class Link:
    """A way from lane to lane over the intersection."""

    index: int
    """Index of its light in the signal states."""
    from_lane: str
    to_lane: str
    movement: int
    """Index in `Intersection.movements`."""
    has_cars: bool = True
    """Whether cars may go this way."""
    gives_way: frozenset[int] = frozenset()
    """Links, of pedestrians too, that it gives way to where its light gives it no right of way."""


@dataclass(frozen=True)
class Intersection:
    """One signalised intersection."""

    light: str
    plan: SignalPlan
    sections: tuple[Section, ...]
    approaches: tuple[Approach, ...]
    movements: tuple[Movement, ...]
    entries: tuple[tuple[str, ...], ...]
    """For each approach the edges of random traffic: from upstream straight on to the light."""
    links: tuple[Link, ...]
    """Of vehicles."""
    section_links: tuple[tuple[int, ...], ...]
    """For each section the links, by position in the signal states, that those counted there wait for; empty for
    upstream sections."""
    is_left_hand: bool
    """Whether traffic keeps to the left."""


def read_intersection(net_file: Path, config: SumoConfig) -> Intersection:
    """The intersection of `net_file` whose light `config` names, or its only one.

    Args:
        net_file: a SUMO network.
        config: names the light and its programme, bounds the greens, and says how far upstream edges are observed.

    Raises:
        UserError: the file is not a network, has not the light, or the light cannot be controlled safely.
    """
    with reading(net_file):
        return _intersection(net_file, config)


def _intersection(net_file: Path, config: SumoConfig) -> Intersection:
    net = read_net(net_file)
    light = chosen_light(net, net_file, config.light)
    plan = read_plan(net_file, light.getID(), config)
    numbered = [
        (index, connection)
        for in_lane, out_lane, index in sorted(light.getConnections(), key=lambda link: link[2])
        for connection in in_lane.getOutgoing()
        if connection.getToLane() is out_lane
    ]
    connections = [connection for _, connection in numbered]
    lanes = list(dict.fromkeys(connection.getFromLane() for connection in connections))
    edges = list(dict.fromkeys(lane.getEdge() for lane in lanes))
    movements = [_movement(connection, edges, connections) for connection in connections]
    distinct = tuple(dict.fromkeys(movements))
    upstream = _upstream(edges, {connection.getTo() for connection in connections}, config.upstream_metres)
    signal = read_signal(net_file, light.getID())
    crossings = [link for link in signal.links if link.is_crossing]
    sections = (*_sections(lanes, edges, upstream), *_crossings(crossings))
    return Intersection(
        light.getID(),
        plan,
        sections,
        tuple(Approach(edge.getID(), tuple(e.getID() for e in (edge, *upstream[edge]))) for edge in edges),
        distinct,
        tuple(_entry(edge, upstream[edge]) for edge in edges),
        tuple(
            _link(index, connection, distinct.index(movement), signal)
            for (index, connection), movement in zip(numbered, movements, strict=True)
        ),
        tuple(_links_of(section, numbered, crossings) for section in sections),
        _is_left_hand(net_file),
    )


def _upstream(edges: list[Any], exits: set[Any], metres: float) -> dict[Any, list[Any]]:
    """For each controlled edge, the edges that lead to it, nearest first; each edge belongs to one approach only.

    Edges that leave the intersection are left out: they are upstream only of vehicles that turn back.
    """
    found: dict[Any, list[Any]] = {edge: [] for edge in edges}
    seen = set(edges) | exits
    frontier = [(edge.getLength(), edge, edge) for edge in edges]
    while frontier:
        frontier.sort(key=lambda entry: (entry[0], entry[1].getID()))
        distance, edge, approach = frontier.pop(0)
        if distance >= metres:
            continue
        for incoming in sorted(edge.getIncoming(), key=lambda e: e.getID()):
            if incoming in seen or incoming.isSpecial():
                continue
            seen.add(incoming)
            found[approach].append(incoming)
            frontier.append((distance + incoming.getLength(), incoming, approach))
    return found


def _sections(lanes: list[Any], edges: list[Any], upstream: dict[Any, list[Any]]) -> tuple[Section, ...]:
    sections = [
        Section(
            lane.getID(), (lane.getID(),), (), (lane.getSpeed(),), _capacity([lane]), length=float(lane.getLength())
        )
        for lane in lanes
    ]
    for edge in edges:
        if upstream[edge]:
            roads = [lane for e in upstream[edge] for lane in e.getLanes() if lane.allows("passenger")]
            names = tuple(e.getID() for e in upstream[edge])
            limits = tuple(e.getSpeed() for e in upstream[edge])
            sections.append(Section(f"upstream of {edge.getID()}", (), names, limits, _capacity(roads)))
    return tuple(sections)


def _crossings(links: Sequence[SignalLink]) -> tuple[Section, ...]:
    """The people who wait at either end of each crossing."""
    areas = {link.to_lane.rpartition("_")[0]: link.areas for link in links}
    return tuple(
        Section(f"crossing {name}", (), ends, (1.0,) * len(ends), CROSSING_CAPACITY, name)
        for name, ends in areas.items()
    )


def _links_of(
    section: Section, numbered: Sequence[tuple[int, Any]], crossings: Sequence[SignalLink]
) -> tuple[int, ...]:
    if section.crossing is not None:
        found = [link.number for link in crossings if link.to_lane.rpartition("_")[0] == section.crossing]
    else:
        found = [index for index, connection in numbered if connection.getFromLane().getID() in section.lanes]
    return tuple(sorted(set(found)))


@lru_cache(maxsize=8)
def _is_left_hand(net_file: Path) -> bool:
    with sumolib.miscutils.openz(str(net_file), "rb") as file:
        _, root = next(ElementTree.iterparse(file, events=("start",)))
    return root.get("lefthand", "false") in ("true", "1")


def _capacity(lanes: list[Any]) -> int:
    return max(1, sum(math.ceil(lane.getLength() / VEHICLE_SPACE) for lane in lanes))


def _movement(connection: Any, edges: list[Any], connections: list[Any]) -> Movement:
    start, end = connection.getFrom(), connection.getTo()
    has_cars = any(_has_cars(other) for other in connections if (other.getFrom(), other.getTo()) == (start, end))
    return Movement(
        edges.index(start), start.getID(), end.getID(), TURNS.get(connection.getDirection(), "straight"), has_cars
    )


def _link(index: int, connection: Any, movement: int, signal: SignalFile) -> Link:
    lanes = connection.getFromLane().getID(), connection.getToLane().getID()
    gives_way = frozenset(np.flatnonzero(signal.gives_way[index]).tolist())
    return Link(index, *lanes, movement, _has_cars(connection), gives_way)


def _has_cars(connection: Any) -> bool:
    return connection.getFromLane().allows("passenger") and connection.getToLane().allows("passenger")


def _entry(edge: Any, upstream: list[Any]) -> tuple[str, ...]:
    """Edges in the order of travel, ending with `edge`: straight on along the observed road upstream."""
    route = [edge]
    while True:
        straight = [
            connection.getFrom()
            for connections in route[0].getIncoming().values()
            for connection in connections
            if connection.getDirection() == "s" and connection.getFrom() in upstream and _has_cars(connection)
        ]
        ahead = [candidate for candidate in straight if candidate not in route]
        if not ahead:
            return tuple(step.getID() for step in route)
        route.insert(0, min(ahead, key=lambda candidate: candidate.getID()))
