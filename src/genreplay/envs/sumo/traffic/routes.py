"""Route files: reading one, and scaling its traffic."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from sumolib.miscutils import parseTime

from genreplay.common.errors import UserError

COPY_JITTER = 30.0
"""A vehicle added by scaling departs up to this much before or after the one it copies, s."""

RATE_ATTRIBUTES = ("vehsPerHour", "perHour", "probability", "number")
"""Attributes of flows that are proportional to the traffic."""
_LARGEST = {"probability": 1.0}


def scale_routes(template: Element, scale: float, begin: float, end: float, rng: np.random.Generator) -> Element:
    """A route file with `scale` times the vehicles of `template` that depart in [begin, end).

    Trips and vehicles are dropped or doubled at random (SUMO's own `--scale` does not always repeat); the rates of
    flows are multiplied. Definitions and persons stay as they are.
    """
    definitions: list[Element] = []
    timed: list[tuple[float, Element]] = []
    for element in template:
        if element.tag == "flow":
            timed.append((_time(element, "begin") or begin, _scale_flow(element, scale, end)))
            continue
        depart = _time(element, "depart") if element.tag in ("trip", "vehicle") else None
        if depart is None:
            definitions.append(element)
        elif begin <= depart < end:
            num_copies = math.floor(scale) + int(rng.random() < scale - math.floor(scale))
            timed += _copies(element, depart, num_copies, begin, end, rng)
    root = Element("routes")
    root.extend(definitions)
    root.extend(element for _, element in sorted(timed, key=lambda entry: entry[0]))
    return root


def count_vehicles(root: Element) -> float:
    """Number of vehicles in a route file; infinity if flows leave it open."""
    if root.find("flow") is not None:
        return math.inf
    return float(sum(element.tag in ("trip", "vehicle") for element in root))


def _copies(
    element: Element, depart: float, num_copies: int, begin: float, end: float, rng: np.random.Generator
) -> list[tuple[float, Element]]:
    """The element and `num_copies - 1` copies, at times near its own."""
    copies = [(depart, element)] if num_copies > 0 else []
    for i in range(1, num_copies):
        near = rng.uniform(depart - COPY_JITTER, depart + COPY_JITTER)
        time = math.floor(min(max(near, begin), end - 1.0) * 100.0) / 100.0
        another = copy.deepcopy(element)
        another.set("id", f"{element.get('id')}#{i}")
        another.set("depart", f"{time:.2f}")
        copies.append((time, another))
    return copies


def _scale_flow(flow: Element, scale: float, end: float) -> Element:
    scaled = copy.deepcopy(flow)
    for name in RATE_ATTRIBUTES:
        if name in flow.attrib:
            value = min(float(flow.attrib[name]) * scale, _LARGEST.get(name, math.inf))
            scaled.set(name, str(round(value)) if name == "number" else f"{value:.6f}")
    period = flow.get("period")
    if period is not None and period.startswith("exp("):
        scaled.set("period", f"exp({float(period[4:-1]) * scale:.6f})")
    elif period is not None:
        scaled.set("period", f"{float(period) / scale:.6f}")
    if "number" not in flow.attrib:
        scaled.set("end", str(min(_time(flow, "end") or end, end)))
    return scaled


def _time(element: Element, attribute: str) -> float | None:
    """A time in s; None if it is missing or a word, such as `triggered`."""
    try:
        return float(parseTime(element.attrib[attribute]))
    except (KeyError, ValueError):
        return None


def read_routes(path: Path) -> Element:
    """The root of a route file.

    Raises:
        UserError: the file is not XML, or has another content.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise UserError(f"env.route_file: {path} is not a SUMO route file ({error}); write plain XML") from None
    if root.tag not in ("routes", "additional"):
        raise UserError(
            f"env.route_file: {path} is not a SUMO route file but one of <{root.tag}>; use a .rou.xml with <routes>, "
            "as duarouter and jtrrouter write it"
        )
    return root
