"""The observation of an intersection, for the simulator and for generated transitions alike.

Shapes: N rows, S sections (lanes, upstream roads, crossings), B approaches, P stages, O observation = 3 S + 2 B + 4 P.

Order: density [S], queue [S], time loss [S], backlog [B], mean backlog [B], stage one-hot [P], time since each stage
was green [P], length of each stage's last green [P], how long somebody has waited for each stage [P]. At a crossing
people are counted who wait for it, and each loses one second a second.

As in `actions`, functions take NumPy arrays and torch tensors alike (float64).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genreplay.envs.sumo.actions import SINCE_GREEN_LIMIT, Array, Signal, Timing
from genreplay.envs.sumo.network.intersection import Intersection

COUNT_LIMIT = 2.0
"""Vehicles on a section are counted up to this many times its capacity (short vehicles stand closer)."""
BACKLOG_SCALE = 100.0
"""Backlog whose entry is 1, vehicles. Entries are square roots of counts: fine where it matters, bounded in a jam."""
BACKLOG_LIMIT = 300.0
"""Backlog is counted up to this, vehicles an approach."""


class Slices(NamedTuple):
    """Positions of the parts of an observation."""

    density: slice
    queue: slice
    time_loss: slice
    backlog: slice
    mean_backlog: slice
    phase: slice
    since_green: slice
    last_green: slice
    waited: slice


class Counts(NamedTuple):
    """Vehicles, at a moment or as a mean over time."""

    sections: Array
    """`[S]`"""
    approaches: Array
    """Waiting to enter the map, `[B]`."""


class View:
    """Reads and writes observations of one intersection.

    Args:
        intersection: sections and approaches, in the order of the entries.
        timing: its longest green scales `last_green`.
    """

    def __init__(self, intersection: Intersection, timing: Timing):
        self.capacity = np.array([float(section.capacity) for section in intersection.sections])
        self.timing = timing
        widths = [len(self.capacity)] * 3 + [len(intersection.approaches)] * 2 + [timing.num_stages] * 4
        ends = np.cumsum(widths).tolist()
        self.slices = Slices(*(slice(end - width, end) for end, width in zip(ends, widths, strict=True)))
        self.width: int = ends[-1]
        """O."""
        self.high = np.ones(self.width, dtype=np.float32)
        """Largest values, `[O]`; the smallest are 0."""
        self.calls = _calls(intersection, timing)
        """Which sections call which stage of the round while which stage is shown, `[S, P, P]` (0 or 1)."""
        for part in self.slices[:3]:
            self.high[part] = COUNT_LIMIT
        for part in self.slices[3:5]:
            self.high[part] = (BACKLOG_LIMIT / BACKLOG_SCALE) ** 0.5

    def observe(self, present: Array, waiting: Counts, losing: Counts, signal: Signal) -> np.ndarray:
        """The observation `[O]` (float32).

        Args:
            present: vehicles on each section now, `[S]`.
            waiting: halting on each section, and waiting to enter, now; up to the limits.
            losing: seconds lost in each second, on each section and by waiting to enter; means over the last decision.
            signal: of one row, `[1, P]`.
        """
        return np.concatenate(
            [
                np.minimum(present / self.capacity, COUNT_LIMIT),
                waiting.sections / self.capacity,
                losing.sections / self.capacity,
                np.sqrt(waiting.approaches / BACKLOG_SCALE),
                np.sqrt(losing.approaches / BACKLOG_SCALE),
                *(part[0] for part in self.signal_entries(signal)),
            ],
            dtype=np.float32,
        )

    def with_calls(self, signal: Signal, density: Array) -> Signal:
        """The signal state, with nobody waiting for stages that nobody on a section is in front of.

        Args:
            signal: state after a decision, `[N, P]`.
            density: vehicles and people on each section, any scale, `[N, S]`.
        """
        num_stages = self.timing.num_stages
        flat = self.calls.reshape(len(self.calls), -1)
        calls = density.new_tensor(flat) if hasattr(density, "new_tensor") else flat
        present = (density @ calls).reshape((-1, num_stages, num_stages))  # stage shown, stage called
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
        s = self.slices
        return Signal(
            observation[:, s.phase],
            (observation[:, s.since_green] * SINCE_GREEN_LIMIT + 0.5) // 1.0,
            (observation[:, s.last_green] * self.timing.longest_green + 0.5) // 1.0,
            (observation[:, s.waited] * self.timing.max_red + 0.5) // 1.0,
        )


def _calls(intersection: Intersection, timing: Timing) -> np.ndarray:
    """See `View.calls`.

    A section calls if a link that it waits for has no green, and belongs to a group that the stage stands for.
    """
    num_stages, plan = timing.num_stages, intersection.plan
    found = np.zeros((len(intersection.sections), num_stages, num_stages))
    for i, links in enumerate(intersection.section_links):
        for group in {plan.serving(link) for link in links if link not in plan.always_green}:
            for shown in range(num_stages):
                for stage, groups in timing.home.items():
                    if group in groups and shown not in group:
                        found[i, shown, stage] = 1.0
    return found
