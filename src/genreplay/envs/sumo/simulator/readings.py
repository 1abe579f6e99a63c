"""Counts of vehicles in a running simulation, second by second.

Shapes: S sections, B approaches, Z zones, G groups of links.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, NamedTuple

import numpy as np

from genreplay.envs.sumo.network.groups import groups_of
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.sensors.full import BACKLOG_LIMIT, DISTANCES
from genreplay.envs.sumo.sensors.part import COUNT_LIMIT
from genreplay.envs.sumo.sensors.people import PeopleAtCrossing
from genreplay.envs.sumo.simulator.detectors import approaching


class Counts(NamedTuple):
    """Vehicles, at a moment or as a mean over time."""

    sections: np.ndarray
    """`[S]`"""
    approaches: np.ndarray
    """Waiting to enter the map, `[B]`."""


class Readings:
    """Standing vehicles, lost time and vehicles that wait to enter, recorded each second until `clear`.

    The reader of `sensors.full.Full`; the reward and the queue rest on it whatever the policy sees.

    Args:
        sumo: the connection.
        intersection: its sections and approaches.
        capacity: standing cars that fit on each section, `[S]`.
    """

    def __init__(self, sumo: Any, intersection: Intersection, capacity: np.ndarray):
        sections, approaches = intersection.sections, intersection.approaches
        places = [
            (
                i,
                name,
                PeopleAtCrossing(sumo, section.crossing)
                if section.crossing
                else sumo.lane
                if section.lanes
                else sumo.edge,
                limit,
            )
            for i, section in enumerate(sections)
            for name, limit in zip(section.lanes or section.edges, section.speed_limits, strict=True)
        ]
        self._halting_reads = [(domain.getLastStepHaltingNumber, name) for _, name, domain, _ in places]
        self._loss_reads = [
            (domain.getLastStepVehicleNumber, domain.getLastStepMeanSpeed, name, 1.0 / limit)
            for _, name, domain, limit in places
        ]
        self._present_reads = [(domain.getLastStepVehicleNumber, name) for _, name, domain, _ in places]
        self._of_vehicles = [sections[i].crossing is None for i, _, _, _ in places]
        self._limits = COUNT_LIMIT * capacity
        # 0-1 matrices that sum lanes and edges by section and approach.
        self._of_section = np.eye(len(sections))[:, [i for i, _, _, _ in places]]
        entries = [(i, name) for i, approach in enumerate(approaches) for name in approach.edges]
        self._pending, self._backlog_reads = sumo.edge.getPendingVehicles, [name for _, name in entries]
        self._of_approach = np.eye(len(approaches))[:, [i for i, _ in entries]]
        self._vehicle, self._light, groups = sumo.vehicle, intersection.light, groups_of(intersection)
        self._group_of = {link: i for i, group in enumerate(groups) for link in group.links}
        self._num_groups = len(groups)
        self.clear()

    def clear(self) -> None:
        """Forget what was recorded."""
        self._halting: list[list[int]] = []
        self._losses: list[list[float]] = []
        self._backlog: list[list[int]] = []

    def record(self) -> int:
        """Record the second just simulated; vehicles that stand or wait to enter, without limits."""
        halting = [read(name) for read, name in self._halting_reads]
        backlog = [len(self._pending(name)) for name in self._backlog_reads]
        self._halting.append(halting)
        self._losses.append(
            [count(name) * max(0.0, 1.0 - speed(name) * slowness) for count, speed, name, slowness in self._loss_reads]
        )
        self._backlog.append(backlog)
        return sum(number for number, counts in zip(halting, self._of_vehicles, strict=True) if counts) + sum(backlog)

    def present(self) -> np.ndarray:
        """Vehicles now, by section, `[S]`."""
        return self._of_section @ np.array([read(name) for read, name in self._present_reads], dtype=np.float64)

    calling = present

    def values(self) -> list[np.ndarray]:
        """Of the parts of `Full`: present, waiting and lost on sections, present by zone, waiting and lost by waiting
        to enter.
        """
        waiting, losing = self.waiting(), self.losing()
        on_sections = (self.present(), waiting.sections, losing.sections)
        return [*on_sections, *self.zones(), waiting.approaches, losing.approaches]

    def zones(self) -> np.ndarray:
        """Vehicles now, by zone before the stop line (see `DISTANCES`) and group of links, `[Z, G]`."""
        counts = np.zeros((len(DISTANCES), self._num_groups))
        for link, metres in approaching(self._vehicle, self._light, DISTANCES[-1]):
            if link in self._group_of:
                counts[bisect_left(DISTANCES, metres), self._group_of[link]] += 1
        return counts

    def waiting(self) -> Counts:
        """Vehicles that stand or wait to enter in the last recorded second; zeros before the first."""
        if not self._halting:
            return Counts(np.zeros(len(self._of_section)), np.zeros(len(self._of_approach)))
        return self._means(self._halting[-1:], self._backlog[-1:])

    def losing(self) -> Counts:
        """Seconds lost in each second on the sections and by waiting to enter, means over the recorded seconds."""
        return self._means(self._losses, self._backlog) if self._losses else self.waiting()

    def _means(self, on_sections: list[list[Any]], backlog: list[list[int]]) -> Counts:
        """Means over seconds, up to the limits of the observation."""
        num_seconds = len(on_sections)
        # Columns are summed in Python: making arrays of short lists of lists takes longer.
        sections = self._of_section @ [sum(column) / num_seconds for column in zip(*on_sections, strict=True)]
        approaches = self._of_approach @ [sum(column) / num_seconds for column in zip(*backlog, strict=True)]
        return Counts(np.minimum(sections, self._limits), np.minimum(approaches, BACKLOG_LIMIT))
