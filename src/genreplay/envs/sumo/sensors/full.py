"""Every vehicle on the sections and every vehicle that waits to enter the map."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from genreplay.envs.sumo.network.groups import groups_of
from genreplay.envs.sumo.network.intersection import VEHICLE_SPACE, Intersection
from genreplay.envs.sumo.sensors.part import COUNT_LIMIT, Detector, Part
from genreplay.envs.sumo.signals.timing import Timing

DISTANCES = (20.0, 50.0, 100.0)
"""Where zones before the stop line end, m; each begins where the one before it ends."""
WITHIN = "within_"
"""Quantities of the zones are called so, followed by their end."""
BACKLOG_SCALE = 100.0
"""Backlog whose entry is 1, vehicles."""
BACKLOG_LIMIT = 300.0
"""Backlog is counted up to this, vehicles an approach."""


class Full:
    """Vehicles, standing vehicles and lost time by section; vehicles in the last metres before the stop line by group
    of links that are green together; vehicles that wait to enter by approach.

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
        "each loses 1 s in each s. Of a group of links (see groups), within_20 are the vehicles that take one of them "
        "next and are at most 20 m before the stop line, within_50 those 20 to 50 m before it, within_100 those 50 to "
        "100 m before it. Backlog are vehicles that wait to enter the map on the approach's edges."
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
            *_zones(intersection),
            Part("backlog", "vehicles", approaches, backlog, reach, is_root=True),
            Part("mean_backlog", "vehicles", approaches, backlog, reach, is_root=True),
        )

    def read(self, sumo: Any, failed: np.ndarray) -> None:
        """The simulator counts everything anyway, for the reward (see `Readings`)."""
        return


def _zones(intersection: Intersection) -> list[Part]:
    """Vehicles in each zone before the stop line, by group of links that are green together."""
    groups = groups_of(intersection)
    names, lanes = tuple(group.name for group in groups), np.array([float(group.num_lanes) for group in groups])
    return [
        Part(
            f"{WITHIN}{end:.0f}", "vehicles", names, lanes * math.ceil((end - begin) / VEHICLE_SPACE), COUNT_LIMIT, 1.0
        )
        for begin, end in pairwise((0.0, *DISTANCES))
    ]
