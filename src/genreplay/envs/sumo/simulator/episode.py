"""An episode in the simulator: its request, running state and traffic light, and the outcome of a decision.

Shapes: O observation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from genreplay.envs.sumo.signals.plan import SignalPlan
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
