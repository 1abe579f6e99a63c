"""SUMO's record of every trip of vehicles and people in an episode.

Shapes: V vehicles, N people.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np


class Trips(NamedTuple):
    """One entry for each of V vehicles, including unfinished and undeparted ones; all `[V]`, float64 or str."""

    delay: np.ndarray
    """timeLoss + departDelay, s."""
    waiting_time: np.ndarray
    """Time at standstill on the road, s."""
    travel_time: np.ndarray
    """Time on the road, s."""
    arrived: np.ndarray
    """1 if the vehicle reached its destination."""
    time_loss: np.ndarray
    """Time lost on the road, s."""
    depart_delay: np.ndarray
    """Time for which the vehicle waited to enter the map, s."""
    depart: np.ndarray
    """When it entered, s; -1 if it did not."""
    stops: np.ndarray
    """How often it came to a standstill."""
    distance: np.ndarray
    """Way on the road, m."""
    fuel: np.ndarray
    """mg; NaN without SUMO's emission device."""
    co2: np.ndarray
    """mg; NaN without SUMO's emission device."""
    name: np.ndarray
    vehicle_type: np.ndarray

    def scheduled(self, end: float) -> np.ndarray:
        """When each vehicle wanted to enter, s `[V]`; `end` is when the simulation ended, s."""
        return np.where(self.depart >= 0, self.depart, end) - self.depart_delay

    def select(self, chosen: np.ndarray) -> Trips:
        """The vehicles where `chosen` `[V]` is true."""
        return Trips(*(values[chosen] for values in self))


class People(NamedTuple):
    """One entry for each of N people who set off; all `[N]`, float64 or str."""

    delay: np.ndarray
    """Time lost by walking, s; NaN while a walk is unfinished, of which SUMO records no loss."""
    depart: np.ndarray
    """s"""
    name: np.ndarray


def read_trips(path: str | os.PathLike[str]) -> Trips:
    """Every vehicle in a tripinfo file written with `write-unfinished` and `write-undeparted`.

    SUMO writes vehicles that never entered with `depart="-1"`, no loss, and the wait so far as `departDelay`.
    """
    numbers, names = [], []
    for trip in _elements(path, "tripinfo"):
        get = trip.attrib
        loss, depart_delay = float(get["timeLoss"]), float(get["departDelay"])
        emissions = trip.find("emissions")
        numbers.append(
            (
                loss + depart_delay,
                float(get["waitingTime"]),
                float(get["duration"]),
                float(float(get["arrival"]) >= 0),
                loss,
                depart_delay,
                float(get["depart"]),
                float(get["waitingCount"]),
                max(0.0, float(get["routeLength"])),
                *(math.nan if emissions is None else float(emissions.attrib[n]) for n in ("fuel_abs", "CO2_abs")),
            )
        )
        names.append((get["id"], get["vType"]))
    columns = np.array(numbers, dtype=np.float64).reshape(-1, 11).T
    return Trips(*columns, *np.array(names, dtype=np.str_).reshape(-1, 2).T)


def read_people(path: str | os.PathLike[str]) -> People:
    """Every person in a tripinfo file."""
    rows: list[tuple[float, float, str]] = []
    for person in _elements(path, "personinfo"):
        walks = person.findall("walk")
        is_open = any(float(walk.attrib["arrival"]) < 0 for walk in walks)
        lost = math.nan if is_open else sum(float(walk.attrib["timeLoss"]) for walk in walks)
        depart = float(person.attrib["depart"])
        if walks and depart >= 0:
            rows.append((lost, depart, person.attrib["id"]))
    return People(
        np.array([row[0] for row in rows], dtype=np.float64),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.str_),
    )


def _elements(path: str | os.PathLike[str], tag: str) -> Iterator[Element]:
    """Each whole element of a tripinfo file with this tag."""
    for _, element in ElementTree.iterparse(path):
        if element.tag == tag:
            yield element
            element.clear()
