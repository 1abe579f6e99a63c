"""From an action to phases and green durations, for the simulator and for generated transitions alike.

Shapes: N rows, P phases, K phases shown in one decision (1, or P in the `cycle` mode), A action.

Everything here takes NumPy arrays or torch tensors alike (float64): it uses only operators, `argmax`, `sum`, `cumsum`
and `clip`, which both have. So a derived column equals what the environment returned. Times are whole seconds; the
action's entries lie in [-1, 1].
"""

from __future__ import annotations

from typing import Any, NamedTuple

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import Intersection

Array = Any
"""A NumPy array or a torch tensor, float64."""

SINCE_GREEN_LIMIT = 300
"""A phase's time since its last green is observed up to this, s."""


class Timing(NamedTuple):
    """Bounds on the signal."""

    action_mode: str
    num_phases: int
    min_green: int
    """s"""
    max_green: int
    """s"""
    yellow_time: int
    """s"""
    all_red_time: int
    """After yellow, s."""

    @property
    def intergreen(self) -> int:
        """Yellow and all-red between two different phases, s."""
        return self.yellow_time + self.all_red_time

    @property
    def action_width(self) -> int:
        """A."""
        return {"phase_duration": 1 + self.num_phases, "duration": 1, "cycle": self.num_phases}[self.action_mode]

    @property
    def longest_decision(self) -> int:
        """The longest time a decision can take, s."""
        return (self.max_green + self.intergreen) * (self.num_phases if self.action_mode == "cycle" else 1)


def timing_of(config: SumoConfig, intersection: Intersection) -> Timing:
    """The bounds that `config` sets on the signal of `intersection`; yellow and all-red default to the map's own."""
    return Timing(
        config.action_mode,
        len(intersection.greens),
        config.min_green,
        config.max_green,
        intersection.yellow_time if config.yellow_time is None else config.yellow_time,
        intersection.all_red_time if config.all_red_time is None else config.all_red_time,
    )


class Signal(NamedTuple):
    """State of the signal at the moment of a decision."""

    phase: Array
    """The green shown now, one-hot `[N, P]`."""
    since_green: Array
    """Time since each phase was last green, s, at most `SINCE_GREEN_LIMIT`, `[N, P]`."""
    last_green: Array
    """Length of each phase's last green, s; that of the current one so far, `[N, P]`."""


class Decision(NamedTuple):
    """The phases and greens that one action selects, and the signal state after them."""

    order: Array
    """Number of the phase shown k-th, `[N, K]`."""
    greens: Array
    """Its green, s, `[N, K]`."""
    duration: Array
    """Length of the decision, s, `[N]`."""
    signal: Signal
    """State after the decision."""


def decode_action(timing: Timing, signal: Signal, action: Array) -> Decision:
    """Phases, green durations and the next signal state for actions `[N, A]`.

    A green lies in [min_green, max_green], counted over all decisions that continue it; a phase that could not be
    continued for min_green more is not chosen again.
    """
    action = action.clip(-1.0, 1.0)
    if timing.action_mode == "cycle":
        return _decode_cycle(timing, signal, action)
    numbers = _phase_numbers(signal.phase)
    green_so_far = (signal.phase * signal.last_green).sum(-1)
    if timing.action_mode == "duration":
        number = (signal.phase.argmax(-1) + 1) % timing.num_phases
    else:
        exhausted = (green_so_far + timing.min_green > timing.max_green) * 1.0
        # Saturated policies give equal preferences; the lowest number wins, whatever the library's argmax does.
        preference = action[:, 1:] - numbers * 1e-9 - 10.0 * signal.phase * exhausted[:, None]
        number = preference.argmax(-1)
    chosen = (numbers == number[:, None]) * 1.0
    continued = (chosen * signal.phase).sum(-1)
    room = timing.max_green - green_so_far * continued
    wanted = _green_seconds(timing, action[:, 0])
    green = wanted - (wanted - room).clip(0.0)
    duration = green + timing.intergreen * (1.0 - continued)
    following = Signal(
        chosen,
        ((signal.since_green + duration[:, None]) * (1.0 - chosen)).clip(0.0, SINCE_GREEN_LIMIT),
        signal.last_green * (1.0 - chosen) + chosen * (green + green_so_far * continued)[:, None],
    )
    return Decision(number[:, None], green[:, None], duration, following)


def _decode_cycle(timing: Timing, signal: Signal, action: Array) -> Decision:
    """Every phase once, in order, beginning after the current one."""
    greens = _green_seconds(timing, action)
    slots = greens + timing.intergreen
    numbers = _phase_numbers(signal.phase)
    current = (signal.phase * numbers).sum(-1)
    order = (current[:, None] + 1 + numbers) % timing.num_phases
    place = (numbers - current[:, None] - 1) % timing.num_phases
    is_shown = (order[:, :, None] == numbers[:, None, :]) * 1.0
    is_later = (place[:, None, :] > place[:, :, None]) * 1.0
    since_green = (is_later * slots[:, None, :]).sum(-1).clip(0.0, SINCE_GREEN_LIMIT)
    return Decision(
        order, (is_shown * greens[:, None, :]).sum(-1), slots.sum(-1), Signal(signal.phase, since_green, greens)
    )


def _green_seconds(timing: Timing, entry: Array) -> Array:
    """[-1, 1] -> whole seconds in [min_green, max_green]."""
    return (timing.min_green + (entry + 1.0) / 2.0 * (timing.max_green - timing.min_green) + 0.5) // 1.0


def _phase_numbers(phase: Array) -> Array:
    """0, 1, ..., P - 1 in every row, `[N, P]`."""
    return (phase * 0.0 + 1.0).cumsum(-1) - 1.0
