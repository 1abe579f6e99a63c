"""An episode in the simulator: its request, running state and traffic light, and the outcome of a decision.

Shapes: O observation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from genreplay.envs.sumo.sensors.part import Reader
from genreplay.envs.sumo.signals.plan import SignalPlan
from genreplay.envs.sumo.simulator.meter import Meter
from genreplay.envs.sumo.simulator.movements import Row
from genreplay.envs.sumo.simulator.readings import Readings
from genreplay.envs.sumo.simulator.recorder import Recorder


class EpisodeRequest(NamedTuple):
    """Which episode to begin."""

    seed: int
    """Seed of the traffic and of SUMO."""
    evaluation: bool
    """Take the demand levels of evaluation, end at exactly the episode's time, and measure everything."""
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
    detectors: Reader | None
    """What the controller sees, where it does not see everything."""
    recorder: Recorder | None
    num_seconds: int
    """Length, s."""
    level: dict[str, float]
    """See `Traffic.level`."""
    is_cut: bool = False
    """Whether the last green is cut, so that the episode ends at exactly its time."""
    meter: Meter | None = None
    """Measures each second of an evaluation episode."""
    watch: Callable[[], None] = lambda: None
    """Called after each second (see `Guard`)."""
    warmup: int = 0
    """Seconds at the beginning that are not measured."""
    runout: int = 0
    """Seconds for which the episode goes on after `num_seconds`, unless the map is empty before."""
    is_empty: Callable[[], bool] = lambda: True
    """Whether nobody is on the map or will come."""
    elapsed: int = 0
    """s"""
    is_over: bool = False
    """Whether its time has passed, with its run-out."""
    movements: list[Row] = field(default_factory=list)
    """Once it is over, a row for each movement (see `movement_rows`)."""
    queue: float = 0.0
    """Integral of the vehicles that stand or wait to enter, between warm-up and run-out, vehicle-seconds."""

    @property
    def sensors(self) -> Reader:
        """What the controller sees."""
        return self.detectors or self.readings

    def clear(self) -> None:
        """Begin a decision: forget what was read."""
        self.readings.clear()
        self.sensors.clear()

    @property
    def measured_seconds(self) -> int:
        """Seconds so far between warm-up and run-out."""
        last = min(self.elapsed, self.num_seconds) if self.runout else self.elapsed
        return max(0, last - self.warmup)

    def run(self, seconds: int) -> None:
        """Simulate so many seconds."""
        for _ in range(seconds):
            if self.is_cut and self.is_over:
                return
            self.step()
            self.elapsed += 1
            queue = self.readings.record()
            if self.elapsed > self.warmup and (self.elapsed <= self.num_seconds or not self.runout):
                self.queue += queue
            if self.detectors is not None:
                self.detectors.record()
            if self.meter is not None:
                self.meter.record()
            if self.recorder is not None:
                self.recorder.record()
            self.watch()
            if self.elapsed >= self.num_seconds:
                self.is_over = self.elapsed >= self.num_seconds + self.runout or self.is_empty()


class Light:
    """The traffic light of an episode without a programme: the first stage, then those of `switch`."""

    def __init__(self, sumo: Any, plan: SignalPlan):
        self._sumo, self._plan = sumo, plan
        self.shown = 0
        """Number of the stage shown."""
        self._show(plan.stages[0].state)

    def switch(self, number: int, run: Callable[[int], None]) -> None:
        """Show stage `number`, after the transition to it; `run` simulates seconds."""
        if number == self.shown:
            return
        for state, seconds in self._plan.transitions[self.shown][number]:
            self._show(state)
            run(seconds)
        self._show(self._plan.stages[number].state)
        self.shown = number

    def _show(self, state: str) -> None:
        self._sumo.trafficlight.setRedYellowGreenState(self._plan.light, state)


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
