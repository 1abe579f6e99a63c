"""Delay and other metrics of an episode, from SUMO's record of every trip."""

from __future__ import annotations

import os
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np


class Trips(NamedTuple):
    """One entry for each of V vehicles, including unfinished and undeparted ones; all `[V]`, float64."""

    delay: np.ndarray
    """timeLoss + departDelay, s."""
    waiting_time: np.ndarray
    """Time at standstill on the road, s."""
    travel_time: np.ndarray
    """Time on the road, s."""
    arrived: np.ndarray
    """1 if the vehicle reached its destination."""


def read_trips(path: str | os.PathLike[str]) -> Trips:
    """Every vehicle in a tripinfo file written with `write-unfinished` and `write-undeparted`.

    SUMO writes vehicles that never entered with `depart="-1"`, no loss, and the wait so far as `departDelay`.
    """
    rows = [
        (
            float(trip.attrib["timeLoss"]) + float(trip.attrib["departDelay"]),
            float(trip.attrib["waitingTime"]),
            float(trip.attrib["duration"]),
            float(float(trip.attrib["arrival"]) >= 0),
        )
        for _, trip in ElementTree.iterparse(path)
        if trip.tag == "tripinfo"
    ]
    return Trips(*np.array(rows, dtype=np.float64).reshape(-1, 4).T)


def summary(trips: Trips) -> dict[str, float]:
    """Means over all vehicles, s, and counts of vehicles; zeros without traffic."""
    means = {
        "delay": trips.delay,
        "waiting_time": trips.waiting_time,
        "travel_time": trips.travel_time,
    }
    return {
        **{name: float(values.mean()) if len(values) else 0.0 for name, values in means.items()},
        "num_vehicles": float(len(trips.delay)),
        "throughput": float(trips.arrived.sum()),
    }
