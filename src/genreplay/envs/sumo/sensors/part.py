"""Parts of an observation, and what is common to all kinds of sensors.

Shapes: N rows, E places of a part, C entries that call, L controlled lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

COUNT_LIMIT = 2.0
"""Vehicles are counted up to this many times the capacity of a place (short vehicles stand closer)."""
STANDING = 0.1
"""Slower vehicles and people stand, m/s (SUMO's own limit)."""


@dataclass(frozen=True, eq=False)
class Part:
    """One quantity at several places. An entry is min(value, limit) / scale, or the square root of that."""

    quantity: str
    """Such as `time_loss`."""
    unit: str
    places: tuple[str, ...]
    scales: np.ndarray
    """Values whose entry is 1, `[E]`."""
    reach: float = 1.0
    """The limit, as a multiple of the scale."""
    grid: float = 0.0
    """Values are multiples of this; 0 where every value is possible."""
    is_root: bool = False
    """Whether entries are square roots: fine where it matters, bounded in a jam."""

    @property
    def limits(self) -> np.ndarray:
        """Larger values count as these, `[E]`."""
        return self.scales * self.reach

    @property
    def high(self) -> float:
        """The largest entry; the smallest is 0."""
        return self.reach**0.5 if self.is_root else self.reach

    def entries(self, values: np.ndarray) -> np.ndarray:
        """Entries of an observation from values, `[E]`."""
        linear = np.minimum(values, self.limits) / self.scales
        return np.sqrt(linear) if self.is_root else linear


class Detector(NamedTuple):
    """A detector that SUMO needs."""

    element: str
    """Its element in an additional file."""
    attributes: dict[str, str]


class Reader(Protocol):
    """Reads sensors in a running simulation, second by second."""

    def clear(self) -> None:
        """Begin a decision."""

    def record(self) -> object:
        """Record the second just simulated."""

    def values(self) -> Sequence[np.ndarray]:
        """Values of the parts, over the recorded seconds, each `[E]`."""

    def calling(self) -> np.ndarray:
        """Above 0 where somebody is seen, `[C]`."""


class Sensors(Protocol):
    """A kind of sensors at one intersection."""

    parts: tuple[Part, ...]
    """Of the observation, in order; the signal's come after them."""
    called_by: tuple[str, ...]
    """Quantities that call stages wherever they are above 0; their places are sections."""
    detectors: tuple[Detector, ...]
    how_to_read: str
    """For the card."""

    def read(self, sumo: Any, failed: np.ndarray) -> Reader | None:
        """A reader for an episode; None where the simulator counts everything anyway.

        Args:
            sumo: the connection.
            failed: whether the detectors of each controlled lane have failed, `[L]`.
        """
