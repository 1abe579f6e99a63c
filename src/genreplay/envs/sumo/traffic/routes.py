"""The traffic of a route file in one episode: cut to its time, scaled, and sorted as SUMO needs it."""

from __future__ import annotations

import copy
import math
from xml.etree.ElementTree import Element

import numpy as np

from genreplay.envs.sumo.traffic.elements import (
    FLOWS,
    HOURLY_RATES,
    TRAFFIC,
    VEHICLES,
    departure,
    end_of,
    seconds_of,
    spacing,
)

COPY_JITTER = 30.0
"""A vehicle added by scaling departs up to this much before or after the one it copies, s."""

RATE_ATTRIBUTES = (*HOURLY_RATES, "probability", "number")
"""Attributes of flows that are proportional to the traffic."""
_LARGEST = {"probability": 1.0}
_NAMING = ("lines", "expected", "expectedContainers", "permitted", "join", "split")
"""Attributes of stages and stops that name vehicles, lines, persons or containers."""


def scale_routes(template: Element, scale: float, begin: float, end: float, rng: np.random.Generator) -> Element:
    """A route file with `scale` times the traffic of `template` that departs in [begin, end).

    Trips, vehicles, persons and containers are dropped or doubled at random (SUMO's own `--scale` does not always
    repeat); the rates of flows are multiplied. Vehicles, persons and containers that others name are not scaled, such
    as the buses of a line in which persons ride, nor are the persons that name a single vehicle.

    SUMO drops what is not sorted by time, so definitions come first and then all traffic by time. What departs upon an
    event keeps its place behind the element before it, or departs with the persons that ride in it.
    """
    linked = _linked(template)
    times = _times(template, begin)
    definitions: list[Element] = []
    timed: list[tuple[float, Element]] = []
    for element in template:
        if element.tag not in TRAFFIC:
            definitions.append(element)
            continue
        time = times[element]
        factor = 1.0 if element in linked else scale
        if element.tag in FLOWS:
            if time < end and (time >= begin or end_of(element) > begin):
                timed += [(time, flow) for flow in _scale_flow(element, factor, begin, end)]
        elif begin <= time < end:
            num_copies = 1 if element in linked else math.floor(scale) + int(rng.random() < scale - math.floor(scale))
            timed += _copies(element, time, num_copies, begin, end, rng)
    root = Element("routes")
    root.extend(definitions)
    root.extend(element for _, element in sorted(timed, key=lambda entry: entry[0]))
    return root


def count_vehicles(root: Element) -> float:
    """Number of vehicles in a route file; infinity if flows leave it open."""
    if root.find("flow") is not None:
        return math.inf
    return float(sum(element.tag in ("trip", "vehicle") for element in root))


def _named(element: Element) -> list[str]:
    """What the stages and stops of an element name."""
    names = [name for part in element.iter() for key in _NAMING for name in part.get(key, "").split()]
    return names + [name.rpartition(".")[0] for name in names if "." in name]  # the i-th vehicle of flow f is f.i


def _linked(root: Element) -> set[Element]:
    """Elements that others name, and persons and containers that name a single vehicle."""
    traffic = [element for element in root if element.tag in TRAFFIC]
    named = {name for element in traffic for name in _named(element)}
    single = {element.get("id") for element in traffic if element.tag in ("trip", "vehicle")}
    return {
        element
        for element in traffic
        if (named and {element.get("id"), element.get("line")} & named)
        or _waits(element)
        or (element.tag not in VEHICLES and any(name in single for name in _named(element)))
    }


def _waits(element: Element) -> bool:
    """Whether it departs upon an event."""
    return departure(element, 0.0) is None


def _times(root: Element, begin: float) -> dict[Element, float]:
    """When each element departs, s; for one that departs upon an event, when that may be."""
    traffic = [element for element in root if element.tag in TRAFFIC]
    if not any(map(_waits, traffic)):
        return {element: departure(element, begin) or 0.0 for element in traffic}
    of_vehicle: dict[str, float] = {}
    of_riders: dict[str, float] = {}
    for element in traffic:
        time = departure(element, begin)
        if time is None:
            continue
        if element.tag in VEHICLES:
            of_vehicle[element.get("id", "")] = time
        for name in _named(element):
            of_riders[name] = min(time, of_riders.get(name, math.inf))
    times: dict[Element, float] = {}
    latest = float(begin)
    for element in traffic:
        time = departure(element, begin)
        if time is None and element.tag in VEHICLES:
            names = (element.get("id", ""), element.get("line", ""))
            time = min((of_riders[name] for name in names if name in of_riders), default=latest)
        elif time is None:
            time = next((of_vehicle[name] for name in _named(element) if name in of_vehicle), latest)
        times[element] = latest = time
    return times


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


def _scale_flow(flow: Element, scale: float, begin: float, end: float) -> list[Element]:
    """The flow with `scale` times its vehicles, cut at `end`; nothing if no vehicle is left, of which SUMO warns."""
    scaled = copy.deepcopy(flow)
    for name in RATE_ATTRIBUTES:
        if name in flow.attrib:
            value = min(float(flow.attrib[name]) * scale, _LARGEST.get(name, math.inf))
            scaled.set(name, str(round(value)) if name == "number" else f"{value:.6f}")
    period = flow.get("period")
    if period is not None and period.startswith("exp("):
        scaled.set("period", f"exp({float(period[4:-1]) * scale:.6f})")
    elif period is not None:
        scaled.set("period", f"{(seconds_of(period) or 0.0) / scale:.6f}")
    if scaled.get("number") == "0":
        return []
    _cut_flow(scaled, begin, end)
    return [scaled]


def _cut_flow(flow: Element, begin: float, end: float) -> None:
    """Let a flow end at `end` (s) at the latest, with the same times of departure before."""
    starts, has_rate = departure(flow, begin), not set(flow.attrib).isdisjoint({*HOURLY_RATES, "probability", "period"})
    if "number" not in flow.attrib:
        flow.set("end", str(min(end_of(flow), end)))
    elif "end" not in flow.attrib and not has_rate:
        flow.set("end", str(end))
    elif starts is not None:
        gap = spacing(flow, starts, end_of(flow))
        if gap is None or starts + gap.seconds * float(flow.attrib["number"]) <= end:
            return
        if gap.is_random:
            del flow.attrib["number"]
            flow.set("end", str(end))
            return
        flow.set("number", str(math.ceil((end - starts) / gap.seconds - 1e-9)))
        if not has_rate:
            del flow.attrib["end"]
            flow.set("period", f"{gap.seconds:.6f}")
