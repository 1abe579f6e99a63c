"""Every vehicle on the sections and every vehicle that waits to enter the map."""

from __future__ import annotations

from typing import Any

import numpy as np

from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.sensors.part import COUNT_LIMIT, Detector, Part
from genreplay.envs.sumo.signals.timing import Timing

BACKLOG_SCALE = 100.0
"""Backlog whose entry is 1, vehicles."""
BACKLOG_LIMIT = 300.0
"""Backlog is counted up to this, vehicles an approach."""


class Full:
    """Vehicles, standing vehicles and lost time by section; vehicles that wait to enter by approach.

    At a crossing people are counted who wait for it, and each loses one second a second. The reward is computed from
    this observation.

    Args:
        intersection: its sections and approaches.
        timing: as every kind takes it; not used.
    """

    called_by: tuple[str, ...] = ("density",)
    detectors: tuple[Detector, ...] = ()
    how_to_read = (
        "time_loss and mean_backlog are means over the seconds of the decision before (0 at the start). Queue are "
        "vehicles slower than 0.1 m/s; time_loss adds up vehicles * max(0, 1 - mean speed / speed limit) over a "
        "section's lanes or edges. Of a crossing, people are counted who stand on its walking areas and cross next; "
        "each loses 1 s in each s. Backlog are vehicles that wait to enter the map on the approach's edges."
    )

    def __init__(self, intersection: Intersection, timing: Timing):
        sections = tuple(section.name for section in intersection.sections)
        approaches = tuple(approach.name for approach in intersection.approaches)
        capacity = np.array([float(section.capacity) for section in intersection.sections])
        backlog = np.full(len(approaches), BACKLOG_SCALE)
        reach = BACKLOG_LIMIT / BACKLOG_SCALE
        self.parts: tuple[Part, ...] = (
            Part("density", "vehicles", sections, capacity, COUNT_LIMIT, grid=1.0),
            Part("queue", "vehicles", sections, capacity, COUNT_LIMIT, grid=1.0),
            Part("time_loss", "s lost in each s", sections, capacity, COUNT_LIMIT),
            Part("backlog", "vehicles", approaches, backlog, reach, is_root=True),
            Part("mean_backlog", "vehicles", approaches, backlog, reach, is_root=True),
        )

    def read(self, sumo: Any, failed: np.ndarray) -> None:
        """The simulator counts everything anyway, for the reward (see `Readings`)."""
        return
