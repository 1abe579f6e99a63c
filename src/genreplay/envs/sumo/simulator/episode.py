"""An episode in the simulator: its request, running state and traffic light, and the outcome of a decision.

Shapes: O observation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from genreplay.envs.sumo.actions import Timing
from genreplay.envs.sumo.network.intersection import Intersection, cleared_state, yellow_state
from genreplay.envs.sumo.simulator.readings import Readings
from genreplay.envs.sumo.simulator.recorder import Recorder


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

    step: Callable[[], None]
    """Simulates one second."""
    readings: Readings
    recorder: Recorder | None
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
        for _ in range(seconds):
            self.step()
            self.queue += self.readings.record()
            if self.recorder is not None:
                self.recorder.record()
        self.elapsed += seconds


class Light:
    """The traffic light of an episode without a programme: the first green, then those of `switch`."""

    def __init__(self, sumo: Any, intersection: Intersection, timing: Timing):
        self._sumo, self._name, self._greens, self._timing = sumo, intersection.light, intersection.greens, timing
        self.shown = 0
        """Number of the green shown."""
        self._show(self._greens[0])

    def switch(self, number: int, run: Callable[[int], None]) -> None:
        """Show green `number`, after yellow and all-red if another one is shown; `run` simulates seconds."""
        if number == self.shown:
            return
        yellow = yellow_state(self._greens[self.shown], self._greens[number])
        self._show(yellow)
        run(self._timing.yellow_time)
        if self._timing.all_red_time > 0:
            self._show(cleared_state(yellow))
            run(self._timing.all_red_time)
        self._show(self._greens[number])
        self.shown = number

    def _show(self, state: str) -> None:
        self._sumo.trafficlight.setRedYellowGreenState(self._name, state)


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
