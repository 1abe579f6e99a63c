"""Elements of route files: their names, times and rates, as SUMO reads them."""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.etree.ElementTree import Element

from sumolib.miscutils import parseTime

VEHICLES = ("trip", "vehicle", "flow")
PERSONS = ("person", "personFlow")
CONTAINERS = ("container", "containerFlow")
FLOWS = ("flow", "personFlow", "containerFlow")
TRAFFIC = (*VEHICLES, *PERSONS, *CONTAINERS)
"""Elements with a time of departure; all others are definitions."""
DEPART_WORDS = ("triggered", "containerTriggered", "split", "now")
"""Departures that are not times."""
BEGIN_WORD = "begin"
"""Departure when the simulation begins."""
HOURLY_RATES = ("vehsPerHour", "perHour", "personsPerHour", "containersPerHour")


class Spacing(NamedTuple):
    """When the vehicles or persons of a flow depart."""

    seconds: float
    """Mean time from one to the next, s."""
    is_random: bool


def seconds_of(text: str | None) -> float | None:
    """A time in s, from seconds or HH:MM:SS; None if it is missing or a word, such as `triggered`."""
    try:
        time = parseTime(text or "")
    except ValueError:
        return None
    return None if time is None else float(time)


def departure(element: Element, begin: float) -> float | None:
    """When the element departs or its flow begins, s; None for a word, such as `triggered`.

    Args:
        element: one of `TRAFFIC`.
        begin: when the episode begins, s.
    """
    text = element.get("begin", BEGIN_WORD) if element.tag in FLOWS else element.get("depart")
    return float(begin) if text == BEGIN_WORD else seconds_of(text)


def end_of(flow: Element) -> float:
    """When a flow ends, s; infinity if the flow does not say that."""
    end = seconds_of(flow.get("end"))
    return math.inf if end is None else end


def spacing(flow: Element, begin: float, end: float) -> Spacing | None:
    """The spacing of a flow that lasts from `begin` to `end` (s); None if it has no valid rate."""
    try:
        return _spacing(flow, begin, end)
    except (ValueError, ZeroDivisionError):
        return None


def _spacing(flow: Element, begin: float, end: float) -> Spacing | None:
    for name in HOURLY_RATES:
        if name in flow.attrib:
            return Spacing(3600.0 / float(flow.attrib[name]), is_random=False)
    if "probability" in flow.attrib:
        return Spacing(1.0 / float(flow.attrib["probability"]), is_random=True)
    period = flow.get("period")
    if period is not None and period.startswith("exp("):
        return Spacing(1.0 / float(period[4:-1]), is_random=True)
    if period is not None:
        return Spacing(seconds_of(period) or math.nan, is_random=False)
    if "number" in flow.attrib:
        return Spacing((end - begin) / float(flow.attrib["number"]), is_random=False)
    return None


def expected_number(flow: Element, begin: float, end: float) -> float:
    """Expected vehicles or persons of a flow in [begin, end), s."""
    starts = departure(flow, begin)
    if starts is None:
        return 0.0
    stops = min(end_of(flow), math.inf if "end" in flow.attrib else end)
    gap = spacing(flow, starts, stops)
    if gap is None or not gap.seconds > 0:
        return 0.0
    last = starts + gap.seconds * float(flow.get("number", math.inf))
    return max(0.0, min(last, stops, end) - max(starts, begin)) / gap.seconds
