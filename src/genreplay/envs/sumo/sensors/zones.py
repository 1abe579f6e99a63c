"""Video zones: the vehicles in the last metres of each lane.

Shapes: L controlled lanes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from genreplay.envs.sumo.network.intersection import VEHICLE_SPACE, Intersection
from genreplay.envs.sumo.sensors.part import COUNT_LIMIT, STANDING, Detector, Part
from genreplay.envs.sumo.sensors.people import HOW_TO_READ_BUTTONS, Buttons, button_part
from genreplay.envs.sumo.signals.timing import Timing

ZONE = 50.0
"""Length of a zone before the stop line, m; a shorter lane is seen as a whole."""
FAILED = 1.0
"""Vehicles, and standing vehicles, in a zone that has failed."""


def _name(lane: str) -> str:
    return f"zone {lane}"


class Zones:
    """Vehicles and standing vehicles in a zone of each lane, and push buttons.

    Args:
        intersection: its lanes and crossings.
        timing: as every kind takes it; not used.
    """

    called_by: tuple[str, ...] = ("zone_count", "button")
    how_to_read = (
        "zone_count are the vehicles with any part in the zone of a lane (see detectors), zone_standing those of them "
        f"slower than {STANDING} m/s. A zone that is known to have failed reads as {FAILED:.0f} standing vehicle. "
        f"{HOW_TO_READ_BUTTONS}"
    )

    def __init__(self, intersection: Intersection, timing: Timing):
        self._lanes = tuple(section for section in intersection.sections if section.lanes)
        self._crossings = tuple(section for section in intersection.sections if section.crossing)
        names = tuple(section.name for section in self._lanes)
        capacity = np.array([float(math.ceil(min(s.length, ZONE) / VEHICLE_SPACE)) for s in self._lanes])
        self.parts: tuple[Part, ...] = (
            Part("zone_count", "vehicles", names, capacity, COUNT_LIMIT, grid=1.0),
            Part("zone_standing", "vehicles", names, capacity, COUNT_LIMIT, grid=1.0),
            button_part(self._crossings),
        )
        self.detectors = tuple(
            Detector(
                "laneAreaDetector",
                {
                    "id": _name(section.name),
                    "lane": section.name,
                    "pos": f"{max(section.length - ZONE, 0.0):.2f}",
                    "endPos": f"{section.length:.2f}",
                    "speedThreshold": f"{STANDING:g}",
                    "timeThreshold": "0",
                    "file": "NUL",
                },
            )
            for section in self._lanes
        )

    def read(self, sumo: Any, failed: np.ndarray) -> ZoneReader:
        """A reader for an episode (see `Sensors`)."""
        names = [_name(section.name) for section in self._lanes]
        return ZoneReader(sumo, names, failed, Buttons(sumo, self._crossings))


class ZoneReader:
    """Reads zones and buttons (see `Reader`): what is there now.

    Args:
        sumo: the connection.
        zones: ids of the detectors.
        failed: `[L]`
        buttons: of the crossings.
    """

    def __init__(self, sumo: Any, zones: list[str], failed: np.ndarray, buttons: Buttons):
        self._area, self._zones, self._failed, self._buttons = sumo.lanearea, zones, failed, buttons

    def clear(self) -> None:
        """Begin a decision."""

    def record(self) -> None:
        """Zones remember nothing."""

    def values(self) -> list[np.ndarray]:
        """Vehicles `[L]`, standing vehicles `[L]`, buttons."""
        standing = self._read(self._area.getLastStepHaltingNumber)
        return [self._read(self._area.getLastStepVehicleNumber), standing, self._buttons.pressed()]

    def calling(self) -> np.ndarray:
        """Vehicles and buttons."""
        return np.concatenate([self._read(self._area.getLastStepVehicleNumber), self._buttons.pressed()])

    def _read(self, read: Any) -> np.ndarray:
        return np.where(self._failed, FAILED, [read(name) for name in self._zones])
