"""The one traffic light of a network file: phases, lanes, approaches, movements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genreplay.common.errors import UserError
from genreplay.envs.sumo.network.net_file import only_light, read_net

VEHICLE_SPACE = 7.5
"""Length of a standing car with its gap, m."""


@dataclass(frozen=True)
class Section:
    """A piece of road whose vehicles are counted together: a controlled lane, or all edges upstream of an approach."""

    name: str
    lanes: tuple[str, ...]
    """The controlled lane; empty for an upstream section."""
    edges: tuple[str, ...]
    """The upstream edges; empty for a controlled lane."""
    speed_limits: tuple[float, ...]
    """Of the lane, or of each edge, m/s."""
    capacity: int
    """Standing cars that fit on it, at least 1."""


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


@dataclass(frozen=True)
class Intersection:
    """One signalised intersection."""

    light: str
    greens: tuple[str, ...]
    """Signal states of the P green phases, in the order of the map's plan."""
    green_seconds: tuple[int, ...]
    """Green of each of them in a cycle of the map's plan, s."""
    yellow_time: int
    """Longest yellow of the map's plan, s."""
    all_red_time: int
    """Longest all-red of the map's plan, s."""
    cycle_seconds: int
    """Cycle of the map's plan, s."""
    sections: tuple[Section, ...]
    approaches: tuple[Approach, ...]
    movements: tuple[Movement, ...]
    entries: tuple[tuple[str, ...], ...]
    """For each approach the edges of random traffic: from upstream straight on to the light."""
    links: tuple[Link, ...]


def read_intersection(net_file: Path, upstream_metres: float) -> Intersection:
    """The one intersection with a light in `net_file`.

    Args:
        net_file: a SUMO network.
        upstream_metres: largest distance from the stop line at which edges belong to an approach.

    Raises:
        UserError: the file is not a network, or does not have exactly one traffic light with at least two green phases.
    """
    light = only_light(read_net(net_file), net_file)
    phases = _phases(light, net_file)
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
    upstream = _upstream(edges, {connection.getTo() for connection in connections}, upstream_metres)
    return Intersection(
        light.getID(),
        *phases,
        _sections(lanes, edges, upstream),
        tuple(Approach(edge.getID(), tuple(e.getID() for e in (edge, *upstream[edge]))) for edge in edges),
        distinct,
        tuple(_entry(edge, upstream[edge]) for edge in edges),
        tuple(
            Link(index, connection.getFromLane().getID(), connection.getToLane().getID(), distinct.index(movement))
            for (index, connection), movement in zip(numbered, movements, strict=True)
        ),
    )


def is_green(state: str) -> bool:
    """Whether a phase has green and no yellow (sumo-rl's rule for the phases it chooses from)."""
    return not set(state) & set("yYu") and not set(state) <= set("rs")


def is_all_red(state: str) -> bool:
    """Whether a phase has only red."""
    return set(state) <= set("rs")


def yellow_state(now: str, following: str) -> str:
    """The state between two greens: yellow for links that lose their green, the rest unchanged (sumo-rl's rule)."""
    return "".join("y" if old in "Gg" and new in "rs" else old for old, new in zip(now, following, strict=True))


def cleared_state(yellow: str) -> str:
    """The all-red state after yellow: red for links that had yellow."""
    return yellow.replace("y", "r")


def _phases(light: Any, net_file: Path) -> tuple[tuple[str, ...], tuple[int, ...], int, int, int]:
    """Green states and their seconds, the longest yellow and all-red, and the cycle (s), of the last programme, which
    is the one that SUMO runs.
    """
    programmes = list(light.getPrograms().values())
    phases = programmes[-1].getPhases() if programmes else []
    greens = tuple(dict.fromkeys(phase.state for phase in phases if is_green(phase.state)))
    if len(greens) < 2:
        raise UserError(
            f"env.net_file: the traffic light {light.getID()!r} of {net_file} has {len(greens)} green phase(s), but "
            "at least two are needed; add phases in netedit, or make a new plan with: "
            f"netconvert -s {net_file} --tls.rebuild -o one.net.xml"
        )
    yellow = [phase.duration for phase in phases if "y" in phase.state.lower()]
    all_red = [phase.duration for phase in phases if is_all_red(phase.state)]
    green_seconds = tuple(round(sum(phase.duration for phase in phases if phase.state == green)) for green in greens)
    cycle = round(sum(phase.duration for phase in phases))
    return greens, green_seconds, math.ceil(max(yellow, default=3)), math.ceil(max(all_red, default=0)), cycle


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
    sections = [Section(lane.getID(), (lane.getID(),), (), (lane.getSpeed(),), _capacity([lane])) for lane in lanes]
    for edge in edges:
        if upstream[edge]:
            roads = [lane for e in upstream[edge] for lane in e.getLanes() if lane.allows("passenger")]
            names = tuple(e.getID() for e in upstream[edge])
            limits = tuple(e.getSpeed() for e in upstream[edge])
            sections.append(Section(f"upstream of {edge.getID()}", (), names, limits, _capacity(roads)))
    return tuple(sections)


def _capacity(lanes: list[Any]) -> int:
    return max(1, sum(math.ceil(lane.getLength() / VEHICLE_SPACE) for lane in lanes))


def _movement(connection: Any, edges: list[Any], connections: list[Any]) -> Movement:
    turns = {"l": "left", "L": "left", "r": "right", "R": "right", "s": "straight", "t": "turn"}
    start, end = connection.getFrom(), connection.getTo()
    has_cars = any(_has_cars(other) for other in connections if (other.getFrom(), other.getTo()) == (start, end))
    return Movement(edges.index(start), start.getID(), end.getID(), turns[connection.getDirection()], has_cars)


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
