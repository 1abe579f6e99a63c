"""Metrics of an episode, from SUMO's record of every trip.

Shapes: V vehicles, N people.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from genreplay.envs.sumo.simulator.tripinfo import People, Trips

CAR_OCCUPANCY = 1.7
"""FHWA, Average Vehicle Occupancy Factors for Computing Travel Time Reliability Measures (2018): cars 1.7, buses 10.8,
trucks 1.0 persons. That list has no trams; here they carry twice as many people as a bus."""
OCCUPANCIES: Mapping[str, float] = MappingProxyType(
    {
        "bus": 10.8,
        "coach": 10.8,
        "tram": 21.6,
        "rail_urban": 21.6,
        "truck": 1.0,
        "trailer": 1.0,
        "delivery": 1.0,
        "bicycle": 1.0,
        "motorcycle": 1.0,
        "moped": 1.0,
        "scooter": 1.0,
    }
)
"""People in a vehicle, by SUMO's vehicle class; `CAR_OCCUPANCY` in every other one."""
PEDESTRIAN = "pedestrian"


def vehicle_metrics(trips: Trips) -> dict[str, float]:
    """Means over all vehicles, s; waits (on the road and to enter the map), s; stops; counts of vehicles; with SUMO's
    emission device fuel and CO2, g/km. Zeros without traffic.
    """
    means = {"delay": trips.delay, "waiting_time": trips.waiting_time, "travel_time": trips.travel_time}
    found = {name: _mean(values) for name, values in means.items()}
    waits = trips.waiting_time + trips.depart_delay
    found["wait_p95"] = float(np.percentile(waits, 95)) if len(waits) else 0.0
    found["wait_max"] = float(waits.max(initial=0.0))
    found["stops"] = _mean(trips.stops)
    found["num_vehicles"], found["throughput"] = float(len(trips.delay)), float(trips.arrived.sum())
    is_measured = ~np.isnan(trips.co2)
    metres = trips.distance[is_measured].sum()
    if is_measured.any():
        for name in ("fuel", "co2"):
            found[name] = float(getattr(trips, name)[is_measured].sum() / metres) if metres > 0 else 0.0  # mg/m = g/km
    return found


def delays_by_class(trips: Trips, classes: Mapping[str, str], people: People) -> dict[str, float]:
    """Mean delay by vehicle class and of pedestrians where there is more than one kind, and of all people, s.

    Args:
        trips: of all vehicles.
        classes: SUMO's vehicle class of each vehicle type.
        people: pedestrians; those whose delay is NaN are left out.
    """
    by_class: dict[str, list[float]] = {}
    for delay, vehicle_type in zip(trips.delay, trips.vehicle_type, strict=True):
        by_class.setdefault(classes.get(vehicle_type, "passenger"), []).append(float(delay))
    walked = people.delay[~np.isnan(people.delay)]
    if len(walked):
        by_class[PEDESTRIAN] = walked.tolist()
    sizes = {name: 1.0 if name == PEDESTRIAN else OCCUPANCIES.get(name, CAR_OCCUPANCY) for name in by_class}
    lost = sum(sizes[name] * sum(delays) for name, delays in by_class.items())
    number = sum(sizes[name] * len(delays) for name, delays in by_class.items())
    found = {f"delay_{name}": _mean(np.array(delays)) for name, delays in sorted(by_class.items())}
    return {**(found if len(found) > 1 else {}), "person_delay": lost / number if number else 0.0}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
