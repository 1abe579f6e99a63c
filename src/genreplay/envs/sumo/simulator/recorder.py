"""Recorder of vehicles and signals, second by second, for films. Runs in the worker, in filmed episodes only."""

from __future__ import annotations

from typing import Any

from genreplay.envs.sumo.network.intersection import Intersection


class Recorder:
    """Frames of one episode, as plain JSON.

    A frame has `second` (of the episode), `clock` (SUMO's time, s), `state` (of the light), `held` (how long the state
    has lasted, s), `vehicles` as `[x, y, angle, speed, length, width]` (m, degrees clockwise from north, m/s) with the
    middle of the front bumper at x, y, and by approach `halting` (standing vehicles) and `backlog` (vehicles that wait
    to enter).

    Args:
        sumo: the connection.
        intersection: its light and approaches.
        begin: last second before the recording.
        end: last second to record.
    """

    def __init__(self, sumo: Any, intersection: Intersection, begin: int, end: int):
        self._sumo, self._intersection, self._begin, self._end = sumo, intersection, begin, end
        self._second, self._held, self._state = 0, 0, ""
        self.frames: list[dict[str, Any]] = []

    def record(self) -> None:
        """Record the second just simulated, if it lies between `begin` and `end`."""
        self._second += 1
        state = self._sumo.trafficlight.getRedYellowGreenState(self._intersection.light)
        self._held = self._held + 1 if state == self._state else 1
        self._state = state
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
                "vehicles": [
                    [
                        *(round(value, 2) for value in vehicle.getPosition(name)),
                        round(vehicle.getAngle(name), 1),
                        round(vehicle.getSpeed(name), 2),
                        vehicle.getLength(name),
                        vehicle.getWidth(name),
                    ]
                    for name in vehicle.getIDList()
                ],
                "halting": [sum(edge.getLastStepHaltingNumber(e) for e in edges) for edges in approaches],
                "backlog": [sum(len(edge.getPendingVehicles(e)) for e in edges) for edges in approaches],
            }
        )
