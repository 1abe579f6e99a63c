"""Level of service of signalised intersections.

Highway Capacity Manual, 6th edition (TRB, 2016), Exhibit 19-8: by control delay, and F where demand exceeds capacity.
"""

from __future__ import annotations

LIMITS = {"A": 10.0, "B": 20.0, "C": 35.0, "D": 55.0, "E": 80.0}
"""Largest control delay of each level, s per vehicle; above the last one it is F."""


def level_of_service(delay: float, volume_to_capacity: float | None = None) -> str:
    """The letter of a control delay (s per vehicle); F also where the volume-to-capacity ratio exceeds 1."""
    if volume_to_capacity is not None and volume_to_capacity > 1.0:
        return "F"
    return next((letter for letter, limit in LIMITS.items() if delay <= limit), "F")
