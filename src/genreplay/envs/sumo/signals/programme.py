"""Signal programmes and controlled links of a network file, as they are written there.

Shapes: L links of the light.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import sumolib

from genreplay.common.errors import UserError

KINDS = {"static": "fixed", "actuated": "actuated", "delay_based": "delay-based", "NEMA": "NEMA"}
"""Types of SUMO's programmes that are read, with their names in plain English."""


class Phase(NamedTuple):
    """One entry of a programme."""

    state: str
    """One character a link, `[L]`."""
    seconds: float
    """Its duration, s."""
    shortest: float | None = None
    """Attribute `minDur`, s."""
    longest: float | None = None
    """Attribute `maxDur`, s."""
    name: str = ""
    yellow: float = 0.0
    """Yellow of a NEMA phase, s."""
    red: float = 0.0
    """All-red after it, s."""


@dataclass(frozen=True)
class MapProgramme:
    """One programme of a light."""

    light: str
    name: str
    """Attribute `programID`."""
    kind: str
    """SUMO's type: `static`, `actuated`, `delay_based`, `NEMA` or another one."""
    phases: tuple[Phase, ...]
    settings: Mapping[str, str]
    """Its parameters."""


class SignalLink(NamedTuple):
    """A controlled way over a junction, of vehicles or of pedestrians."""

    number: int
    """Position in the signal states."""
    from_lane: str
    """Of a crossing: the lane of the walking area it begins at."""
    to_lane: str
    """Of a crossing: its own lane."""
    is_crossing: bool
    length: float
    """Of a crossing, m; 0 for vehicles."""
    areas: tuple[str, ...] = ()
    """Walking areas at the ends of a crossing; empty for vehicles."""


@dataclass(frozen=True)
class SignalFile:
    """What a network file says of one light."""

    programmes: tuple[MapProgramme, ...]
    links: tuple[SignalLink, ...]
    conflicts: np.ndarray
    """Whether the paths of two links cross or merge, `[L, L]` (bool), from the junctions' right-of-way tables."""
    gives_way: np.ndarray
    """Whether a link (row) gives way to another one where it has no right of way by its light, `[L, L]` (bool), from
    the same tables."""


@lru_cache(maxsize=8)
def read_signal(net_file: Path, light: str) -> SignalFile:
    """Programmes, links and conflicts of the light `light`.

    Source: SUMO's documentation, "Networks / SUMO Road Networks" (tlLogic, connection, request).
    """
    programmes: list[MapProgramme] = []
    connections: list[Element] = []
    junctions: list[Element] = []
    crossings: dict[str, float] = {}
    with sumolib.miscutils.openz(str(net_file), "rb") as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag == "tlLogic" and element.get("id") == light:
                programmes.append(_programme(element))
            elif element.tag == "connection":
                connections.append(element)
            elif element.tag == "junction" and element.get("type") != "internal":
                junctions.append(element)
            elif element.tag == "edge" and element.get("function") == "crossing":
                lanes = element.findall("lane")
                crossings[element.attrib["id"]] = float(lanes[0].attrib["length"]) if lanes else 0.0
    areas = _areas(connections, crossings)
    links = tuple(
        sorted(link for each in connections if each.get("tl") == light for link in _links(each, crossings, areas))
    )
    ways = [each for each in connections if _is_in_table(each, crossings)]
    conflicts = _right_of_way(links, ways, junctions, "foes")
    gives_way = _right_of_way(links, ways, junctions, "response")
    return SignalFile(tuple(programmes), links, conflicts | conflicts.T, gives_way)


def choose_programme(signal: SignalFile, light: str, name: str | None, net_file: Path) -> MapProgramme:
    """The programme `name` of the light; by default the last one in the file, which SUMO runs.

    Raises:
        UserError: the light has no such programme, or none at all.
    """
    names = [programme.name for programme in signal.programmes]
    if not names:
        raise UserError(
            f"env.net_file: the traffic light {light!r} of {net_file} has no programme; make one with: "
            f"netconvert -s {net_file} --tls.rebuild -o one.net.xml"
        )
    if name is None:
        return signal.programmes[-1]
    if name not in names:
        raise UserError(
            f"env.programme: the traffic light {light!r} of {net_file} has no programme {name!r}; choose one of "
            f"{', '.join(map(repr, names))}"
        )
    return signal.programmes[names.index(name)]


def _programme(element: Element) -> MapProgramme:
    def seconds(phase: Element, key: str) -> float | None:
        return float(phase.attrib[key]) if key in phase.attrib else None

    phases = tuple(
        Phase(
            phase.attrib["state"],
            float(phase.get("duration", 0)),
            seconds(phase, "minDur"),
            seconds(phase, "maxDur"),
            phase.get("name", ""),
            seconds(phase, "yellow") or 0.0,
            seconds(phase, "red") or 0.0,
        )
        for phase in element.findall("phase")
    )
    settings = {param.attrib["key"]: param.get("value", "") for param in element.findall("param")}
    return MapProgramme(
        element.attrib["id"], element.get("programID", "0"), element.get("type", "static"), phases, settings
    )


def _areas(connections: Sequence[Element], crossings: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    """The walking areas at the ends of each crossing."""
    found: dict[str, list[str]] = {}
    for each in connections:
        start, end = each.attrib["from"], each.attrib["to"]
        for crossing, area in ((end, start), (start, end)):
            if crossing in crossings:
                found.setdefault(crossing, []).append(area)
    return {crossing: tuple(dict.fromkeys(areas)) for crossing, areas in found.items()}


def _links(
    connection: Element, crossings: Mapping[str, float], areas: Mapping[str, tuple[str, ...]]
) -> list[SignalLink]:
    """The link of a connection; of a crossing with a light at each end, two."""
    edge = connection.attrib["to"]
    from_lane = f"{connection.attrib['from']}_{connection.get('fromLane', 0)}"
    to_lane = f"{edge}_{connection.get('toLane', 0)}"
    numbers = [connection.get(key) for key in ("linkIndex", "linkIndex2")]
    return [
        SignalLink(int(number), from_lane, to_lane, edge in crossings, crossings.get(edge, 0.0), areas.get(edge, ()))
        for number in numbers
        if number is not None
    ]


def _is_in_table(connection: Element, crossings: Mapping[str, float]) -> bool:
    """Whether a junction's right-of-way table has the connection: of pedestrians only those over crossings."""
    return connection.attrib["to"] in crossings or "via" in connection.attrib


def _right_of_way(
    links: Sequence[SignalLink], connections: Sequence[Element], junctions: Sequence[Element], table: str
) -> np.ndarray:
    """The junctions' `foes` or `response`, by links of the light. Links of different junctions do not conflict."""
    order: dict[str, list[tuple[str, str]]] = {}
    for each in connections:
        start = f"{each.attrib['from']}_{each.get('fromLane', 0)}"
        order.setdefault(start, []).append((start, f"{each.attrib['to']}_{each.get('toLane', 0)}"))
    indices: dict[tuple[str, str], list[int]] = {}
    for link in links:
        indices.setdefault((link.from_lane, link.to_lane), []).append(link.number)
    size = max((link.number for link in links), default=-1) + 1
    found = np.zeros((size, size), dtype=bool)
    for junction in junctions:
        ways = [way for lane in junction.get("incLanes", "").split() for way in order.get(lane, [])]
        for request in junction.findall("request"):
            number, foes = int(request.attrib["index"]), request.attrib[table][::-1]
            if number < len(ways):
                for other, is_foe in enumerate(foes):
                    if is_foe == "1" and other < len(ways):
                        for a in indices.get(ways[number], []):
                            found[a, indices.get(ways[other], [])] = True
    return found
