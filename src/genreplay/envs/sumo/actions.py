"""Actions of a signal controller: the stages and greens they select, and the signal state after them.

The simulator, the derived columns of generated transitions and the rules of the baselines all use the functions below,
so every controller obeys the same bounds. Shortest and longest greens belong to the stages. `max_red` bounds how long
somebody waits: an action that would make it impossible to serve everybody in time is replaced.

Shapes: N rows, A action, P stages, R stages of the round that serves everybody, K stages shown in one decision
(1, or P in cycle mode).

Functions take NumPy arrays and torch tensors alike; they use methods that both have. Callers pass float64: lengths are
then whole seconds whatever library computes them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from genreplay.envs.sumo.signals.timing import Timing

Array = Any
"""A NumPy array or a torch tensor; it stays what it is."""

SINCE_GREEN_LIMIT = 300
"""Longer waits of a stage for green count as this long, s."""
FORBIDDEN = 1e3
"""Taken from the preference for a stage that may not be shown next."""


class Signal(NamedTuple):
    """State of the signal at the moment of a decision."""

    phase: Array
    """The stage shown now, one-hot `[N, P]`."""
    since_green: Array
    """Time since each stage was last green, s, at most `SINCE_GREEN_LIMIT`, `[N, P]`."""
    last_green: Array
    """Length of each stage's last green, s; that of the current one so far, `[N, P]`."""
    waited: Array
    """How long somebody may have waited for each stage of the round, s; 0 if nobody does, and for all other stages,
    `[N, P]`."""


class Decision(NamedTuple):
    """The stages and greens that one action selects, and the signal state after them."""

    order: Array
    """Number of the stage shown k-th, `[N, K]`."""
    greens: Array
    """Its green, s, `[N, K]`."""
    duration: Array
    """Length of the decision, s, `[N]`."""
    signal: Signal
    """State after the decision, as if somebody waited wherever green is not shown (see `View.with_calls`)."""


def first_signal(timing: Timing) -> Signal:
    """The state at the beginning of an episode, with the first stage green, of one row."""
    phase = np.eye(timing.num_stages)[:1]
    return Signal(phase, (1.0 - phase) * SINCE_GREEN_LIMIT, phase * 0.0, phase * 0.0)


def decode_action(timing: Timing, signal: Signal, action: Array) -> Decision:
    """Stages, green durations and the next signal state for actions `[N, A]`.

    A green lies within its stage's bounds, counted over all decisions that continue it. See `admit` for who comes next.
    In the mode `actuated` the green is the longest that the action may become (see `ended_after`).
    """
    action = action.clip(-1.0, 1.0)
    if timing.action_mode == "cycle":
        return _decode_cycle(timing, signal, action)
    if timing.action_mode == "duration":
        number = (signal.phase.argmax(-1) + 1) % timing.num_stages
        limit = _like(timing.max_greens, action)[number]
    else:
        shortest = signal.phase * 0.0 + _like(timing.min_greens, action)
        number, limit = admit(timing, signal, action[:, -timing.num_stages :], shortest)
    green = _green_seconds(timing, action[:, 0], number)
    return show(timing, signal, number, green - (green - limit).clip(0.0))


def admit(timing: Timing, signal: Signal, preference: Array, shortest: Array) -> tuple[Array, Array]:
    """The preferred stage `[N]` of those that may be shown next, and the longest green it may have, s `[N]`.

    A stage may be shown if afterwards everybody who waits, or comes at once, can still be served within `max_red`: the
    stages of the round, each for its shortest green, in the order of their deadlines. This order is best for one
    machine (Jackson, 1955), and the changes are counted at their longest, so that a round that fits stays possible
    whatever arrives. The current stage may not go on beyond its longest green while somebody waits for another one.

    Args:
        timing: bounds.
        signal: the current state.
        preference: `[N, P]`; of equals the lowest number wins.
        shortest: the least green that each stage would get, s, `[N, P]`.
    """
    home = list(timing.home)
    numbers = _stage_numbers(signal.phase)
    so_far = (signal.phase * signal.last_green).sum(-1)[:, None]
    max_greens = _like(timing.max_greens, preference)
    satisfied = _like(timing.is_satisfied, preference)[None]
    passed = signal.phase @ _like(timing.intergreen, preference) + shortest
    due = timing.max_red - signal.waited[:, home]
    # After each next stage, the time left to each stage of the round, [N, P, R].
    left = satisfied * timing.max_red + (1.0 - satisfied) * (due[:, None] - passed[:, :, None])
    slack = left - _starts(timing, left)
    spare, worst = _least(slack + satisfied * 1e6), _least(slack)
    is_called = _flag(signal.waited.sum(-1) > 0, signal.phase)[:, None]
    is_exhausted = signal.phase * is_called * _flag(so_far + shortest > max_greens, signal.phase)
    is_allowed = _flag(worst >= 0, signal.phase) * (1.0 - is_exhausted)
    # Where no stage may be shown, which only generated states lead to, the most urgent one.
    urgency = signal.phase * 0.0 - FORBIDDEN
    urgency[:, home] = 0.0 - due
    urgency = urgency - FORBIDDEN * signal.phase
    any_allowed = _flag(is_allowed.sum(-1) > 0, signal.phase)[:, None]
    value = any_allowed * (preference - FORBIDDEN * (1.0 - is_allowed)) + (1.0 - any_allowed) * urgency
    # Saturated policies give equal preferences; the lowest number wins, whatever the library's argmax does.
    number = (value - numbers * 1e-9).argmax(-1)
    chosen = _flag(numbers == number[:, None], signal.phase)
    continued = (chosen * signal.phase).sum(-1) * is_called[:, 0]
    least = (chosen * shortest).sum(-1)
    room = (chosen * max_greens).sum(-1) - so_far[:, 0] * continued
    limit = least + (chosen * spare).sum(-1).clip(0.0)
    limit = limit - (limit - room).clip(0.0)
    return number, limit + (least - limit).clip(0.0)


def _starts(timing: Timing, left: Array) -> Array:
    """When each stage of the round can be green if all are served in the order of `left`, s, `[N, P, R]`."""
    home = list(timing.home)
    reach = _like(timing.intergreen.max(axis=0)[home], left)
    cost = reach + _like(timing.min_greens[home], left)
    ranks = _like(np.arange(len(home)), left)
    ordered = left * 1e3 + ranks  # of equals the first
    is_earlier = _flag(ordered[..., :, None] < ordered[..., None, :], left)
    return (is_earlier * cost[:, None]).sum(-2) + reach


def show(timing: Timing, signal: Signal, number: Array, green: Array) -> Decision:
    """The decision that shows stage `number` `[N]` for `green` s `[N]`, after the transition to it."""
    numbers = _stage_numbers(signal.phase)
    chosen = _flag(numbers == number[:, None], signal.phase)
    continued = (chosen * signal.phase).sum(-1)
    so_far = (signal.phase * signal.last_green).sum(-1)
    duration = green + (signal.phase @ _like(timing.intergreen, green) * chosen).sum(-1)
    length = (green + so_far * continued).clip(0.0, timing.longest_green)
    following = Signal(
        chosen,
        ((signal.since_green + duration[:, None]) * (1.0 - chosen)).clip(0.0, SINCE_GREEN_LIMIT),
        signal.last_green * (1.0 - chosen) + chosen * length[:, None],
        _waits(timing, chosen, signal.waited + duration[:, None]),
    )
    return Decision(number[:, None], green[:, None], duration, following)


def ended_after(timing: Timing, signal: Signal, longest: Decision, duration: Array) -> Decision:
    """The decision that an actuated action has become if it took `duration` s `[N]`, brought into its bounds.

    Args:
        timing: bounds.
        signal: the state before it.
        longest: the decision if its green had not ended by itself (see `decode_action`).
        duration: with the transition; a green shorter than its stage's shortest counts as that long, one above
            `longest` as long as that.
    """
    number, most = longest.order[:, 0], longest.greens[:, 0]
    least = _like(timing.min_greens, most)[number]
    green = (duration - (longest.duration - most) - least).clip(0.0) + least
    return show(timing, signal, number, green - (green - most).clip(0.0))


def _decode_cycle(timing: Timing, signal: Signal, action: Array) -> Decision:
    """Every stage once, in order, beginning after the current one."""
    numbers = _stage_numbers(signal.phase)
    greens = _green_seconds(timing, action, None)
    before = np.roll(timing.intergreen, 1, axis=0).diagonal()  # from stage p - 1 to stage p
    slots = greens + _like(before.copy(), action)
    current = (signal.phase * numbers).sum(-1)
    order = (current[:, None] + 1 + numbers) % timing.num_stages
    place = (numbers - current[:, None] - 1) % timing.num_stages
    is_shown = _flag(order[:, :, None] == numbers[:, None, :], signal.phase)
    is_later = _flag(place[:, None, :] > place[:, :, None], signal.phase)
    since_green = (is_later * slots[:, None, :]).sum(-1).clip(0.0, SINCE_GREEN_LIMIT)
    waited = _waits(timing, signal.phase, since_green)
    return Decision(
        order,
        (is_shown * greens[:, None, :]).sum(-1),
        slots.sum(-1),
        Signal(signal.phase, since_green, greens, waited),
    )


def _waits(timing: Timing, phase: Array, seconds: Array) -> Array:
    """`seconds` `[N, P]`, but 0 for stages outside the round and where the stage shown serves everybody."""
    waits = np.zeros((timing.num_stages, timing.num_stages))
    waits[:, list(timing.home)] = 1.0 - timing.is_satisfied
    return (seconds * (phase @ _like(waits, seconds))).clip(0.0, SINCE_GREEN_LIMIT)


def _green_seconds(timing: Timing, entry: Array, number: Array | None) -> Array:
    """[-1, 1] -> whole seconds between the bounds of stage `number`; both `[N]`, or one entry a stage `[N, P]`."""
    low, high = _like(timing.min_greens, entry), _like(timing.max_greens, entry)
    if entry.ndim == 1:
        low, high = low[number], high[number]
    return (low + (entry + 1.0) / 2.0 * (high - low) + 0.5) // 1.0


def _stage_numbers(phase: Array) -> Array:
    """0, 1, ..., P - 1 in every row, `[N, P]`."""
    return (phase * 0.0 + 1.0).cumsum(-1) - 1.0


def _flag(condition: Array, example: Array) -> Array:
    """1 where the condition holds, else 0, as the same kind of array as `example`."""
    return condition * _like(np.ones(1), example)


def _least(values: Array) -> Array:
    """The minimum over the last dimension."""
    found = values.min(-1)
    return found.values if hasattr(found, "values") else found


def _like(values: np.ndarray, example: Array) -> Array:
    """`values` as the same kind of array as `example`."""
    return example.new_tensor(values) if hasattr(example, "new_tensor") else values.astype(example.dtype)
