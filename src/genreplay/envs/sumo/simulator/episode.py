"""An episode in the simulator: the request, its running state, and the outcome of a decision.

Shapes: O observation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from genreplay.envs.sumo.simulator.camera import Camera
from genreplay.envs.sumo.simulator.readings import Readings


class EpisodeRequest(NamedTuple):
    """Which episode to begin."""

    seed: int
    """Seed of the traffic and of SUMO."""
    evaluation: bool
    """Take the demand levels of evaluation, and end after exactly `episode_seconds`."""
    demand: str | None = None
    """Take this demand instead (see `profiles`)."""
    film: tuple[int, int] | None = None
    """Record what happens between these two seconds; None to record nothing."""


@dataclass
class Episode:
    """The running episode."""

    readings: Readings
    step: Callable[[], None]
    """Simulates one second."""
    camera: Camera | None
    num_seconds: int
    """Length, s."""
    level: dict[str, float]
    """See `Traffic.level`."""
    is_cut: bool = False
    """Whether the last green is cut, so that the episode ends after exactly `num_seconds`."""
    elapsed: int = 0
    """s"""
    queue: float = 0.0
    """Integral of the vehicles that stand or wait to enter, vehicle-seconds."""

    @property
    def is_over(self) -> bool:
        """Whether its time has passed."""
        return self.elapsed >= self.num_seconds

    def run(self, seconds: int) -> None:
        """Simulate so many seconds."""
        if self.is_cut:
            seconds = min(seconds, self.num_seconds - self.elapsed)
        step, record = self.step, self.readings.record
        for _ in range(seconds):
            step()
            self.queue += record()
        self.elapsed += seconds


@dataclass
class Outcome:
    """Result of one decision."""

    observation: list[float]
    """`[O]`, exact float32 values."""
    reward: float
    duration: float
    """s"""
    truncated: bool
    """The episode is over."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Metrics of the episode, once it is over."""
