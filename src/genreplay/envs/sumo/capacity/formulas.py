"""Capacity and delay at a signal, as single formulas.

HCM: Highway Capacity Manual, 6th edition (TRB, 2016), chapters 19 and 31.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

HOUR = 3600.0
"""s"""


class Drivers(NamedTuple):
    """How vehicles use a green."""

    saturation_flow: float
    """Vehicles/h over the stop line of one lane while it has green and a queue."""
    startup_lost: int
    """Lost at the start of a green, s."""
    yellow_used: int
    """Yellow in which vehicles still pass, s."""
    critical_gap: float
    """Shortest gap in the opposing flow that a vehicle accepts, s."""
    follow_up: float
    """Time between two vehicles that use the same gap, s."""
    sneakers: float
    """Vehicles that wait inside the junction and leave when the green ends, each cycle."""

    @property
    def lost(self) -> int:
        """Green that a vehicle cannot use, apart from the intergreen, s."""
        return self.startup_lost - self.yellow_used


HCM = Drivers(1800.0, 2, 2, 4.5, 2.5, 2.0)
"""Permitted left turns of chapter 31."""
SUMO = Drivers(1800.0, 2, 1, 8.0, 2.7, 1.0)
"""SUMO's default car at 50 km/h, measured (`docs/traffic.md`, "Capacity")."""


def gap_flow(opposing: float | np.ndarray, critical_gap: float, follow_up: float) -> np.ndarray:
    """Vehicles/h that find a gap in `opposing` (vehicles/h) while no queue blocks them.

    s = v exp(-v t_c / 3600) / (1 - exp(-v t_f / 3600)), HCM eq. 31-100; 3600 / t_f where v is 0.
    """
    v = np.maximum(np.asarray(opposing, dtype=np.float64), 1e-6) / HOUR
    return HOUR * v * np.exp(-v * critical_gap) / -np.expm1(-v * follow_up)


def pedestrian_factor(pedestrians: float, cycle: float, walk: float) -> float:
    """Share of a turn's saturation flow that is left where it gives way to a crossing.

    HCM eq. 31-76 to 31-84, with one lane to turn into: 1 - v_g / 2000 for v_g up to 1000 pedestrians/h of walk, then
    0.6 - v_g / 10000, at least 0.1.

    Args:
        pedestrians: on the crossing, an hour.
        cycle: s.
        walk: green of the crossing, s.
    """
    flow = min(5000.0, pedestrians * cycle / max(walk, 1.0))
    occupied = flow / 2000.0 if flow <= 1000.0 else min(0.9, 0.4 + flow / 10_000.0)
    return 1.0 - occupied


def passed_before(share: float, room: float, waiting: int = 0) -> float:
    """Vehicles of a lane that pass before one that cannot go holds up the rest.

    Each vehicle is one that cannot go with probability `share`; `waiting` of these find a place out of the way, and do
    not count. HCM eq. 31-104 to 31-110 has a fitted curve for the same.

    Args:
        share: of the lane's vehicles.
        room: vehicles that would pass if none was held up.
        waiting: places out of the way.
    """
    passed, odds = 0.0, np.zeros(waiting + 1)  # odds[k]: k vehicles wait, and nobody is held up
    odds[0] = 1.0
    for left in np.minimum(1.0, room - np.arange(np.ceil(room))):
        passed += float(left * odds.sum()) * (1.0 - share)
        odds = (1.0 - share) * odds + share * np.append(0.0, odds[:-1])
    return passed


def overflow_delay(saturation: float, capacity: float, seconds: float) -> float:
    """Mean delay by random and lasting overflow, s: d2 of HCM eq. 19-26, with k = 0.5 and I = 1.

    Args:
        saturation: volume-to-capacity ratio.
        capacity: vehicles/h.
        seconds: length of the interval.
    """
    hours, excess = seconds / HOUR, saturation - 1.0
    return 900.0 * hours * (excess + sqrt(excess**2 + 4.0 * saturation / (max(capacity, 1.0) * hours)))


def cycle_length(flow_ratio: float, lost_time: float, longest: float) -> float:
    """The cycle with the least delay, s: C0 = (1.5 L + 5) / (1 - Y) (Webster, 1958, eq. 4).

    Args:
        flow_ratio: Y, the sum of the critical flow ratios.
        lost_time: L, seconds of a cycle in which nobody drives.
        longest: upper limit of the result, s; from Y = 1 on the formula has no solution.
    """
    return longest if flow_ratio >= 1.0 else min(longest, (1.5 * lost_time + 5.0) / (1.0 - flow_ratio))
