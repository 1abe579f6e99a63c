"""From an action to phases and green durations: the one definition that simulator and generated rows share.

Shapes: N rows, P phases, K phases shown in one decision (1, or P in the `cycle` mode), A action.

Everything here takes NumPy arrays or torch tensors alike (float64): it uses only operators, `argmax`, `sum`, `cumsum`
and `clip`, which both have. So a derived column is what the environment gave, by construction. Times are whole
seconds; the action's entries lie in [-1, 1].
"""

from __future__ import annotations

from typing import Any, NamedTuple

from genreplay.envs.sumo.config import SumoConfig

Array = Any
"""A NumPy array or a torch tensor, float64."""

SINCE_GREEN_LIMIT = 300
"""A phase's time since its last green is seen up to this, s."""


class Timing(NamedTuple):
    """What bounds the signal."""

    action_mode: str
    num_phases: int
    min_green: int
    """s"""
    max_green: int
    """s"""
    intergreen: int
    """Yellow and all-red between two different phases, s."""

    @property
    def action_width(self) -> int:
        """A."""
        return {"phase_duration": 1 + self.num_phases, "duration": 1, "cycle": self.num_phases}[self.action_mode]

    @property
    def longest_decision(self) -> int:
        """The longest time a decision can take, s."""
        return (self.max_green + self.intergreen) * (self.num_phases if self.action_mode == "cycle" else 1)


def timing_of(config: SumoConfig, num_phases: int, intergreen: int) -> Timing:
    """The bounds that `config` sets on a signal with `num_phases` greens."""
    return Timing(config.action_mode, num_phases, config.min_green, config.max_green, intergreen)


class Signal(NamedTuple):
    """What the controller knows of its signal, at the moment of a decision."""

    phase: Array
    """The green shown now, one-hot `[N, P]`."""
    since_green: Array
    """Time since each phase was last green, s, at most `SINCE_GREEN_LIMIT`, `[N, P]`."""
    last_green: Array
    """Length of each phase's last green, s; that of the current one so far, `[N, P]`."""


class Plan(NamedTuple):
    """What one decision does to the signal."""

    order: Array
    """Number of the phase shown k-th, `[N, K]`."""
    greens: Array
    """How long it is shown k-th, s, `[N, K]`."""
    duration: Array
    """How long the decision takes, s, `[N]`."""
    signal: Signal
    """Where it leads."""


def plan(timing: Timing, signal: Signal, action: Array) -> Plan:
    """Phases, green durations and the next signal state for actions `[N, A]`.

    A green lies in [min_green, max_green], counted over all decisions that continue it; a phase that could not be
    continued for min_green more is not chosen again.
    """
    action = action.clip(-1.0, 1.0)
    if timing.action_mode == "cycle":
        return _plan_cycle(timing, signal, action)
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
    return Plan(number[:, None], green[:, None], duration, following)


def _plan_cycle(timing: Timing, signal: Signal, action: Array) -> Plan:
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
    return Plan(
        order, (is_shown * greens[:, None, :]).sum(-1), slots.sum(-1), Signal(signal.phase, since_green, greens)
    )


def _green_seconds(timing: Timing, entry: Array) -> Array:
    """[-1, 1] -> whole seconds in [min_green, max_green]."""
    return (timing.min_green + (entry + 1.0) / 2.0 * (timing.max_green - timing.min_green) + 0.5) // 1.0


def _phase_numbers(phase: Array) -> Array:
    """0, 1, ..., P - 1 in every row, `[N, P]`."""
    return (phase * 0.0 + 1.0).cumsum(-1) - 1.0
