"""Names of approaches and movements, the same in every table and picture.

An approach is named by the street, where the net names it, and by the side of the light on which it lies; a movement by
its approach and its turn. Both carry the ids of their edges, so names are distinct.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import sumolib

from genreplay.envs.sumo.network.intersection import Intersection

SIGHT = 50.0
"""Distance before the stop line at which the side of an approach is read, m."""
SIDES = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


class Names(NamedTuple):
    """In the order of the intersection."""

    approaches: tuple[str, ...]
    """Such as `Main Street, north approach (n_in)`."""
    movements: tuple[str, ...]
    """Such as `Main Street, north left (n_in -> e_out)`."""


def read_names(net_file: Path, intersection: Intersection) -> Names:
    """Names of the approaches and movements of an intersection of `net_file`."""
    edges = [approach.name for approach in intersection.approaches]
    labels = _labels(net_file, edges)
    return Names(
        tuple(f"{labels[edge]} approach ({edge})" for edge in edges),
        tuple(
            f"{labels[movement.from_edge]} {movement.turn} ({movement.from_edge} -> {movement.to_edge})"
            for movement in intersection.movements
        ),
    )


def side(shape: list[tuple[float, float]]) -> str:
    """The side of its end from which a line of points (m) comes, such as `north`."""
    end, start, left = shape[-1], shape[-1], SIGHT
    for point in reversed(shape[:-1]):
        length = math.dist(point, start)
        if length >= left:
            share = left / length
            start = (start[0] + share * (point[0] - start[0]), start[1] + share * (point[1] - start[1]))
            break
        start, left = point, left - length
    degrees = math.degrees(math.atan2(start[0] - end[0], start[1] - end[1]))
    return SIDES[round(degrees / 45.0) % len(SIDES)]


def _labels(net_file: Path, edges: Collection[str]) -> dict[str, str]:
    """Street and side of each edge."""
    labels: dict[str, str] = {}
    with sumolib.miscutils.openz(str(net_file), "rb") as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag == "edge":
                if element.get("id") in edges:
                    street = element.get("name", "")
                    lane = element.find("lane")
                    assert lane is not None, "each edge of a network has a lane"
                    points = [point.split(",") for point in lane.attrib["shape"].split()]
                    where = side([(float(point[0]), float(point[1])) for point in points])
                    labels[element.attrib["id"]] = f"{street}, {where}" if street else where
                element.clear()
    return labels
