"""Recorder of traffic and signals, second by second, for films. Runs in the worker, in filmed episodes only."""

from __future__ import annotations

from typing import Any

from genreplay.envs.sumo.network.intersection import Intersection

KINDS = ("car", "bus", "tram", "lorry", "bicycle", "pedestrian")
"""Who is shown, each in a look of its own."""
KIND_OF_CLASS = {
    **dict.fromkeys(("bus", "coach"), "bus"),
    **dict.fromkeys(("tram", "rail_urban", "rail", "rail_electric", "rail_fast", "subway", "cable_car"), "tram"),
    **dict.fromkeys(("truck", "trailer", "delivery"), "lorry"),
    **dict.fromkeys(("bicycle", "scooter", "moped"), "bicycle"),
}
"""SUMO's vehicle classes; all others look like cars."""
STANDING_SPEED = 0.1
"""Below this somebody stands, m/s (SUMO's limit)."""


class Recorder:
    """Frames of one episode, as plain JSON.

    A frame has

    - `second` (of the episode), `clock` (SUMO's time, s), `state` (of the light), `held` (how long it has lasted, s);
    - `vehicles` as `[x, y, angle, speed, length, width, kind]` (m, degrees clockwise from north, m/s, index in `KINDS`)
      with the middle of the front bumper at x, y;
    - `people` on foot as `[x, y, speed]`;
    - by approach `halting` (standing vehicles) and `backlog` (vehicles that wait to enter);
    - `longest`, who of those that wait now has waited longest in all: `[seconds, kind, approach, x, y]`, with -1 for
      the approach of people, and x and y None outside the map; None where nobody waits.

    Args:
        sumo: the connection.
        intersection: its light and approaches.
        begin: last second before the recording.
        end: last second to record.
    """

    def __init__(self, sumo: Any, intersection: Intersection, begin: int, end: int):
        self._sumo, self._intersection, self._begin, self._end = sumo, intersection, begin, end
        self._second, self._held, self._state = 0, 0, ""
        self._approach_of = {
            edge: number for number, approach in enumerate(intersection.approaches) for edge in approach.edges
        }
        self._stood: dict[str, int] = {}
        self.frames: list[dict[str, Any]] = []

    def record(self) -> None:
        """Record the second just simulated, if it lies between `begin` and `end`."""
        self._second += 1
        state = self._sumo.trafficlight.getRedYellowGreenState(self._intersection.light)
        self._held = self._held + 1 if state == self._state else 1
        self._state = state
        longest = self._longest()
        if not self._begin < self._second <= self._end:
            return
        vehicle, edge = self._sumo.vehicle, self._sumo.edge
        approaches = [approach.edges for approach in self._intersection.approaches]
        self.frames.append(
            {
                "second": self._second,
                "clock": self._sumo.simulation.getTime(),
                "state": state,
                "held": self._held,
                "vehicles": [self._vehicle(name) for name in vehicle.getIDList()],
                "people": [self._person(name) for name in self._walkers()],
                "halting": [sum(edge.getLastStepHaltingNumber(e) for e in edges) for edges in approaches],
                "backlog": [sum(len(edge.getPendingVehicles(e)) for e in edges) for edges in approaches],
                "longest": longest,
            }
        )

    def _vehicle(self, name: str) -> list[float]:
        vehicle = self._sumo.vehicle
        return [
            *(round(value, 2) for value in vehicle.getPosition(name)),
            round(vehicle.getAngle(name), 1),
            round(vehicle.getSpeed(name), 2),
            vehicle.getLength(name),
            vehicle.getWidth(name),
            KINDS.index(KIND_OF_CLASS.get(vehicle.getVehicleClass(name), "car")),
        ]

    def _person(self, name: str) -> list[float]:
        person = self._sumo.person
        return [*(round(value, 2) for value in person.getPosition(name)), round(person.getSpeed(name), 2)]

    def _walkers(self) -> list[str]:
        """People who are on foot, not in a vehicle."""
        person = self._sumo.person
        return [name for name in person.getIDList() if not person.getVehicle(name)]

    def _longest(self) -> list[Any] | None:
        """Count a second of waiting for all who stand or wait to enter; the longest of them."""
        best: list[Any] | None = None
        for name, kind, approach, position in self._waiting():
            self._stood[name] = seconds = self._stood.get(name, 0) + 1
            if best is None or seconds > best[0]:
                best = [seconds, kind, approach, *position]
        return best

    def _waiting(self) -> list[tuple[str, int, int, tuple[float | None, float | None]]]:
        """Name, kind, approach and position of all who stand before the light or wait to enter."""
        vehicle, person, found = self._sumo.vehicle, self._sumo.person, []
        for edge, approach in self._approach_of.items():
            for name in self._sumo.edge.getLastStepVehicleIDs(edge):
                if vehicle.getSpeed(name) < STANDING_SPEED:
                    x, y = vehicle.getPosition(name)
                    kind = KINDS.index(KIND_OF_CLASS.get(vehicle.getVehicleClass(name), "car"))
                    found.append((name, kind, approach, (round(x, 2), round(y, 2))))
            for name in self._sumo.edge.getPendingVehicles(edge):
                kind = KINDS.index(KIND_OF_CLASS.get(vehicle.getVehicleClass(name), "car"))
                found.append((name, kind, approach, (None, None)))
        for name in self._walkers():
            if person.getSpeed(name) < STANDING_SPEED:
                x, y = person.getPosition(name)
                found.append((f"person {name}", KINDS.index("pedestrian"), -1, (round(x, 2), round(y, 2))))
        return found
