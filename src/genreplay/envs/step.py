"""The outcome of one decision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """The outcome of one decision in one simulator."""

    observation: np.ndarray
    """`[O]`, float32."""
    reward: float
    duration: float
    """Time that passed, in the unit of `World.discount_period`."""
    terminated: bool = False
    """The state is final: the target does not bootstrap."""
    truncated: bool = False
    """The episode was cut off here: the target does bootstrap."""
    failed: bool = False
    """The simulator failed: the row must not be stored; the episode ends."""

    @property
    def ended(self) -> bool:
        """Whether the episode is over, in whatever way."""
        return self.terminated or self.truncated or self.failed
