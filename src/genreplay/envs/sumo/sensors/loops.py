"""Induction loops: at each lane one at the stop line and one upstream.

Shapes: L controlled lanes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from genreplay.envs.sumo.network.intersection import Intersection, Section
from genreplay.envs.sumo.sensors.part import COUNT_LIMIT, Detector, Part
from genreplay.envs.sumo.sensors.people import HOW_TO_READ_BUTTONS, Buttons, button_part
from genreplay.envs.sumo.signals.timing import Timing

LOOPS = {"stop_line": (5.0, 5.0), "upstream": (40.0, 0.0)}
"""Where each loop of a lane begins before the stop line, m, and how long it is, m (0: a point). On a shorter lane it
begins with the lane."""
GAP_LIMIT = 30.0
"""A loop has been empty for at most this long, s."""
HEADWAY = 2.0
"""Time between two vehicles at saturation, which scales counts, s."""
FAILED = (1.0, 1.0, 0.0, 0.0)
"""Values of a loop that has failed: a constant call, nothing counted."""


def _name(loop: str, lane: str) -> str:
    return f"{loop} {lane}"


class Loops:
    """Occupancy, vehicles and gap at both loops of each lane, and push buttons.

    Args:
        intersection: its lanes and crossings.
        timing: the longest decision scales counts.
    """

    called_by: tuple[str, ...] = ("stop_line_occupied", "button")
    how_to_read = (
        "Of the two loops of a lane (see detectors): occupied is 1 while a vehicle is over it, else 0; occupancy is "
        "the share of the seconds of the decision before at whose end one was (0 at the start); counted are the "
        "vehicles that came onto it in that decision; gap are the seconds since one was over it, counted at the end of "
        f"each, {GAP_LIMIT:g} at the start. A loop that is known to have failed reads as "
        f"{', '.join(f'{value:g}' for value in FAILED)}. "
        f"{HOW_TO_READ_BUTTONS}"
    )

    def __init__(self, intersection: Intersection, timing: Timing):
        self._lanes = tuple(section for section in intersection.sections if section.lanes)
        self._crossings = tuple(section for section in intersection.sections if section.crossing)
        names = tuple(section.name for section in self._lanes)
        ones = np.ones(len(names))
        most = ones * math.ceil(timing.longest_decision / HEADWAY)
        self.parts: tuple[Part, ...] = (
            *(
                part
                for loop in LOOPS
                for part in (
                    Part(f"{loop}_occupied", "1 while a vehicle is there", names, ones, grid=1.0),
                    Part(f"{loop}_occupancy", "share of the time", names, ones),
                    Part(f"{loop}_counted", "vehicles", names, most, COUNT_LIMIT, grid=1.0),
                    Part(f"{loop}_gap", "s", names, ones * GAP_LIMIT, grid=1.0),
                )
            ),
            button_part(self._crossings),
        )
        self.detectors = tuple(_detector(loop, section) for loop in LOOPS for section in self._lanes)

    def read(self, sumo: Any, failed: np.ndarray) -> LoopReader:
        """A reader for an episode (see `Sensors`)."""
        loops = [[_name(loop, section.name) for section in self._lanes] for loop in LOOPS]
        return LoopReader(sumo, loops, failed, Buttons(sumo, self._crossings))


def _detector(loop: str, section: Section) -> Detector:
    metres, length = LOOPS[loop]
    return Detector(
        "inductionLoop",
        {
            "id": _name(loop, section.name),
            "lane": section.name,
            "pos": f"{max(section.length - metres, 0.0):.2f}",
            "length": f"{min(length, section.length):.2f}",
            "file": "NUL",
        },
    )


class LoopReader:
    """Reads loops and buttons (see `Reader`).

    Args:
        sumo: the connection.
        loops: ids of the detectors, by kind and lane, `[2][L]`.
        failed: `[L]`
        buttons: of the crossings.
    """

    def __init__(self, sumo: Any, loops: list[list[str]], failed: np.ndarray, buttons: Buttons):
        self._loop, self._names, self._failed, self._buttons = sumo.inductionloop, loops, failed, buttons
        shape = (len(loops), len(failed))
        self._there: list[list[frozenset[str]]] = [[frozenset() for _ in row] for row in loops]
        self._occupied, self._gap = np.zeros(shape), np.full(shape, GAP_LIMIT)
        self.clear()

    def clear(self) -> None:
        """Begin a decision."""
        self._seconds = 0
        self._counted, self._occupied_seconds = np.zeros_like(self._gap), np.zeros_like(self._gap)

    def record(self) -> None:
        """Record the second just simulated."""
        before = self._there
        self._there = [[frozenset(self._loop.getLastStepVehicleIDs(name)) for name in row] for row in self._names]
        self._counted += [
            [len(now - then) for now, then in zip(*rows, strict=True)] for rows in zip(self._there, before, strict=True)
        ]
        since = np.array([[self._loop.getTimeSinceDetection(name) for name in row] for row in self._names])
        self._occupied = (since == 0.0) * 1.0
        self._gap = np.where(since < 1.0, 0.0, np.minimum(self._gap + 1.0, GAP_LIMIT))
        self._occupied_seconds += self._occupied
        self._seconds += 1

    def values(self) -> list[np.ndarray]:
        """Occupied, occupancy, counted and gap of both loops, each `[L]`; then buttons."""
        share = self._occupied_seconds / max(self._seconds, 1)
        read = (self._occupied, share, self._counted, self._gap)
        return [
            *(
                np.where(self._failed, failed, values[loop])
                for loop in range(len(self._names))
                for values, failed in zip(read, FAILED, strict=True)
            ),
            self._buttons.pressed(),
        ]

    def calling(self) -> np.ndarray:
        """Vehicles on the loops at the stop line, and buttons."""
        occupied = np.where(self._failed, FAILED[0], self._occupied[0])
        return np.concatenate([occupied, self._buttons.pressed()])
