"""Shapes of the map around a light: roads, stop lines with the turns of each lane, and crossings.

Points are `(x, y)` in m, as the network has them. Left-hand traffic needs no rule of its own: lanes and paths lie where
the network puts them, and turns are sorted by where they lead.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import sumolib

Point = tuple[float, float]
Line = list[Point]

TURNS = {"t": 180.0, "l": 90.0, "L": 45.0, "s": 0.0, "R": -45.0, "r": -90.0, "T": -180.0}
"""Angle of each direction of SUMO's connections, degrees to the left; `t` turns back to the left, `T` to the right."""
SIDEWALK, RAIL, CYCLEWAY, BUS_LANE, ROADWAY = "sidewalk", "rail", "cycleway", "bus lane", "roadway"
RAIL_CLASSES = frozenset(("tram", "rail", "rail_urban", "rail_electric", "rail_fast", "subway", "cable_car"))


class Turn(NamedTuple):
    """A way from a lane over the junction."""

    signal: int
    """Its place in the signal states."""
    angle: float
    """One of the values of `TURNS`."""
    path: Line
    """From the stop line to the road that it leads to."""


class StopLine(NamedTuple):
    """The end of a lane at the light."""

    end: Point
    """The middle of the stop line."""
    heading: Point
    """Unit vector in the direction of travel."""
    width: float
    """Of the lane, m."""
    turns: list[Turn]
    """From the rightmost to the leftmost."""

    def at(self, ahead: float, right: float) -> Point:
        """The point so many metres beyond the stop line and to the right of the middle."""
        (x, y), (dx, dy) = self.end, self.heading
        return x + ahead * dx + right * dy, y + ahead * dy - right * dx


class Crossing(NamedTuple):
    """A pedestrian crossing."""

    signal: int | None
    """Its place in the signal states; None where it has no signal of this light."""
    middle: Line
    """From one side of the road to the other."""
    width: float
    """m"""


class Surface(NamedTuple):
    """A lane."""

    kind: str
    """Who uses it: `roadway`, `bus lane`, `rail`, `cycleway` or `sidewalk`."""
    middle: Line
    width: float
    """m"""


class MapShapes(NamedTuple):
    """Everything that a picture shows of a map."""

    surfaces: list[Surface]
    junctions: list[Line]
    """Outlines."""
    pavements: list[Line]
    """Outlines of the areas where people wait and walk."""
    stop_lines: list[StopLine]
    crossings: list[Crossing]
    edges: dict[str, Line]
    """The middle of each edge, by its id."""


def read_shapes(net_file: Path, light: str) -> MapShapes:
    """The shapes of a network and of one of its lights."""
    net = sumolib.net.readNet(
        str(net_file), withPrograms=True, withInternal=True, withPedestrianConnections=True, withFoes=False
    )
    edges = net.getEdges()
    return MapShapes(
        [
            Surface(_kind(lane), lane.getShape(), lane.getWidth())
            for edge in edges
            if not edge.isSpecial()
            for lane in edge.getLanes()
        ],
        [node.getShape() for node in net.getNodes() if len(node.getShape()) > 2],
        [lane.getShape() for edge in edges if edge.getFunction() == "walkingarea" for lane in edge.getLanes()],
        _stop_lines(net, light),
        _crossings(net, light),
        {edge.getID(): edge.getShape() for edge in edges if not edge.isSpecial()},
    )


def _kind(lane: Any) -> str:
    classes = set(lane.getPermissions())
    if classes and classes <= {"pedestrian", "wheelchair"}:
        return SIDEWALK
    if classes and classes <= RAIL_CLASSES:
        return RAIL
    if classes and classes <= {"bicycle", "scooter", "pedestrian"}:
        return CYCLEWAY
    return BUS_LANE if "bus" in classes and "passenger" not in classes else ROADWAY


def _stop_lines(net: Any, light: str) -> list[StopLine]:
    by_lane: dict[Any, list[Turn]] = {}
    for lane, _, number in sorted(net.getTLS(light).getConnections(), key=lambda connection: connection[2]):
        if lane.getEdge().isSpecial():
            continue
        for connection in lane.getOutgoing():
            if connection.getTLSID() == light and connection.getTLLinkIndex() == number:
                by_lane.setdefault(lane, []).append(_turn(net, connection))
    lines = []
    for lane, turns in by_lane.items():
        (x0, y0), (x1, y1) = lane.getShape()[-2:]
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        heading = ((x1 - x0) / length, (y1 - y0) / length)
        distinct = {turn.signal: turn for turn in turns}.values()
        lines.append(StopLine((x1, y1), heading, lane.getWidth(), sorted(distinct, key=lambda turn: turn.angle)))
    return lines


def _turn(net: Any, connection: Any) -> Turn:
    letter = connection.getDirection()
    angle = TURNS[letter] if letter in TURNS else _nearest_turn(connection)
    return Turn(connection.getTLLinkIndex(), angle, _path(net, connection))


def _path(net: Any, connection: Any) -> Line:
    """Along the lanes inside the junction, of which a turn that waits in the middle has two."""
    start, end = connection.getFromLane().getShape()[-1], connection.getToLane().getShape()[0]
    path, via = [start], connection.getViaLaneID()
    while via:
        lane = net.getLane(via)
        path += lane.getShape()
        via = next((other.getViaLaneID() for other in lane.getOutgoing()), "")
    return [*path, end]


def _nearest_turn(connection: Any) -> float:
    """The direction of a connection that the network calls `invalid`, from the lanes that it joins."""
    (ax, ay), (bx, by) = connection.getFromLane().getShape()[-2:]
    (cx, cy), (dx, dy) = connection.getToLane().getShape()[:2]
    angle = math.degrees(math.atan2(dy - cy, dx - cx) - math.atan2(by - ay, bx - ax))
    return min(TURNS.values(), key=lambda turn: abs(turn - ((angle + 180.0) % 360.0 - 180.0)))


def _crossings(net: Any, light: str) -> list[Crossing]:
    lanes = [lane for edge in net.getEdges() for lane in edge.getLanes()]
    signals = {
        connection.getToLane().getID(): connection.getTLLinkIndex()
        for lane in lanes
        if lane.getEdge().getFunction() == "walkingarea"
        for connection in lane.getOutgoing()
        if connection.getTLSID() == light
    }
    return [
        Crossing(signals.get(lane.getID()), lane.getShape(), lane.getWidth())
        for lane in lanes
        if lane.getEdge().getFunction() == "crossing"
    ]
