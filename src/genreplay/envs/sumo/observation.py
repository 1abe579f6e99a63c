"""The observation of an intersection, for the simulator and for generated transitions alike.

Shapes: N rows, P stages, C entries that call, O observation.

Order: the parts of the sensors (`sensors.table.KINDS`), then of the signal: stage one-hot [P], time since each stage
was green [P], length of each stage's last green [P], how long somebody has waited for each stage [P].

As in `actions`, functions take NumPy arrays and torch tensors alike (float64).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genreplay.envs.sumo.actions import SINCE_GREEN_LIMIT, Array, Signal
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.sensors.part import Part, Sensors
from genreplay.envs.sumo.signals.timing import Timing

SIGNAL_PARTS = ("phase", "since_green", "last_green", "waited_for")


class View:
    """Reads and writes observations of one intersection.

    Args:
        intersection: its sections call stages.
        timing: its longest green scales `last_green`.
        sensors: what is seen of the traffic.
    """

    def __init__(self, intersection: Intersection, timing: Timing, sensors: Sensors):
        self.capacity = np.array([float(section.capacity) for section in intersection.sections])
        self.intersection, self.timing, self.sensors = intersection, timing, sensors
        self.parts = (*sensors.parts, *_signal_parts(timing))
        ends = np.cumsum([len(part.places) for part in self.parts]).tolist()
        self.slices = {
            part.quantity: slice(end - len(part.places), end) for part, end in zip(self.parts, ends, strict=True)
        }
        """Positions of the parts in an observation."""
        self.width: int = ends[-1]
        """O."""
        self.high = np.concatenate([np.full(len(part.places), part.high) for part in self.parts], dtype=np.float32)
        """Largest values, `[O]`; the smallest are 0."""
        self.calling = [i for name in sensors.called_by for i in range(self.width)[self.slices[name]]]
        """Positions of the entries that call stages where they are above 0, `[C]`."""
        places = {part.quantity: part.places for part in sensors.parts}
        self.callers = tuple(place for name in sensors.called_by for place in places[name])
        """The sections that these entries stand for, `[C]`."""
        self.calls = _calls(intersection, timing, self.callers)
        """Which entries call which stage of the round while which stage is shown, `[C, P, P]` (0 or 1)."""

    def observe(self, values: Sequence[np.ndarray], signal: Signal) -> np.ndarray:
        """The observation `[O]` (float32).

        Args:
            values: what the sensors read, by part.
            signal: of one row, `[1, P]`.
        """
        seen = (part.entries(value) for part, value in zip(self.sensors.parts, values, strict=True))
        return np.concatenate([*seen, *(part[0] for part in self.signal_entries(signal))], dtype=np.float32)

    def with_calls(self, signal: Signal, calling: Array) -> Signal:
        """The signal state, with nobody waiting for stages that nobody is seen in front of.

        Args:
            signal: state after a decision, `[N, P]`.
            calling: entries that call, any scale, `[N, C]`.
        """
        num_stages = self.timing.num_stages
        flat = self.calls.reshape(len(self.calls), -1)
        calls = calling.new_tensor(flat) if hasattr(calling, "new_tensor") else flat
        present = (calling @ calls).reshape((-1, num_stages, num_stages))  # stage shown, stage called
        is_called = (present * signal.phase[:, :, None]).sum(1) > 0
        return signal._replace(waited=signal.waited * is_called)

    def signal_entries(self, signal: Signal) -> tuple[Array, Array, Array, Array]:
        """The last four parts of the observation, each `[N, P]`."""
        return (
            signal.phase,
            signal.since_green / SINCE_GREEN_LIMIT,
            signal.last_green / self.timing.longest_green,
            signal.waited.clip(0.0, self.timing.max_red) / self.timing.max_red,
        )

    def signal(self, observation: Array) -> Signal:
        """The signal state in observations `[N, O]`, in whole seconds."""
        phase, since_green, last_green, waited = (observation[:, self.slices[name]] for name in SIGNAL_PARTS)
        return Signal(
            phase,
            (since_green * SINCE_GREEN_LIMIT + 0.5) // 1.0,
            (last_green * self.timing.longest_green + 0.5) // 1.0,
            (waited * self.timing.max_red + 0.5) // 1.0,
        )


def _signal_parts(timing: Timing) -> list[Part]:
    stages = tuple(str(p) for p in range(timing.num_stages))
    scales = (1.0, float(SINCE_GREEN_LIMIT), timing.longest_green, float(timing.max_red))
    units = ("1 where it is shown", "s", "s", "s")
    return [
        Part(name, unit, stages, np.full(len(stages), scale), grid=1.0)
        for name, unit, scale in zip(SIGNAL_PARTS, units, scales, strict=True)
    ]


def _calls(intersection: Intersection, timing: Timing, callers: Sequence[str]) -> np.ndarray:
    """See `View.calls`.

    A section calls if a link that it waits for has no green, and belongs to a group that the stage stands for.
    """
    num_stages, plan = timing.num_stages, intersection.plan
    links_of = {s.name: links for s, links in zip(intersection.sections, intersection.section_links, strict=True)}
    found = np.zeros((len(callers), num_stages, num_stages))
    for i, name in enumerate(callers):
        for group in {plan.serving(link) for link in links_of[name] if link not in plan.always_green}:
            for shown in range(num_stages):
                for stage, groups in timing.home.items():
                    if group in groups and shown not in group:
                        found[i, shown, stage] = 1.0
    return found
