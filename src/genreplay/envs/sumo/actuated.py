"""Actuated greens: an action says which stage comes next, at most how long, and from how far a vehicle prolongs it.

The green ends by itself, as in a street cabinet, so its duration is an outcome of the traffic: an option with its own
end (Sutton, Precup and Singh, 1999).

Shapes: N rows, A action, P stages, O observation.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from genreplay.envs.sumo.actions import Array, Decision, Signal, at_least, show
from genreplay.envs.sumo.baselines.cabinet import ZONE
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.signals.plan import SignalPlan
from genreplay.envs.sumo.signals.timing import Timing

REACH = 1
"""Place of the reach in an action, after the longest green and before the one-hot stage."""
REACH_FACTOR = 3.0
"""The reach is `ZONE` metres at entry 0, so many times as long at 1, and so many times as short at -1."""
RULE_NUMBERS = {"actuated": (0.503, 0.0), "stage_duration": (-0.76,)}
"""The queue rule's numbers, as entries, by action mode: longest green and reach, or the committed green (10 s where
greens last 5 to 45 s). The green is never half a second, which would be rounded by the last digit of a float32."""
RULE_METRES = 50.0
"""The queue rule counts vehicles up to this far before the stop line, m."""


def reach_metres(action: Array) -> Array:
    """From how far before the stop line a vehicle prolongs the green, m, `[N]` from actions `[N, A]`."""
    return ZONE * REACH_FACTOR ** action[:, REACH].clip(-1.0, 1.0)


def goes_on(
    plan: SignalPlan, stage: int, coming: Iterable[tuple[int, float]], walkers: Iterable[int], reach: float
) -> bool:
    """Whether a green goes on that has lasted its shortest time: it is used, or nobody calls another stage.

    Links that every stage serves, such as slip lanes, neither prolong nor call.

    Args:
        plan: of the light.
        stage: shown.
        coming: the link that each approaching vehicle takes next, and its distance to the stop line, m.
        walkers: links of crossings that somebody waits for.
        reach: a vehicle this near prolongs the green, m; one within `ZONE` calls another stage.
    """
    served, coming = plan.served[stage], [(link, metres) for link, metres in coming if not plan.served[:, link].all()]
    if any(metres <= reach and served[link] for link, metres in coming):
        return True
    calling = {link for link, metres in coming if metres <= ZONE} | set(walkers)
    return all(served[link] for link in calling)


def ended_after(timing: Timing, signal: Signal, longest: Decision, duration: Array) -> Decision:
    """The decision that an action becomes if it lasts `duration` s `[N]`.

    Args:
        timing: bounds.
        signal: the state before it.
        longest: the decision if its green does not end by itself (see `actions.decode_action`).
        duration: a green shorter than its stage's shortest, or than `longest` where that is shorter, counts as that
            long, and one above `longest` as `longest`.
    """
    number, most = longest.order[:, 0], longest.greens[:, 0]
    change = longest.duration - most
    least = at_least(timing, number, most)
    green = (duration - change - least).clip(0.0) + least
    return show(timing, signal, number, green - (green - most).clip(0.0))


def queue_preference(view: View) -> np.ndarray | None:
    """Weights of the queue rule, float32 `[O, P]`: observation @ weights is the number of vehicles just before the stop
    line, and of people at crossings, that each stage serves; of equals the first counts a little more. None where the
    sensors do not show it.
    """
    num_stages, parts = view.timing.num_stages, {part.quantity: part for part in view.sensors.parts}
    served: dict[str, np.ndarray] = {}
    for name, part in parts.items():
        if name in ("zone_count", "button"):
            served[name] = view.served_sections(part.places)
        elif name.startswith("within_") and float(name.removeprefix("within_")) <= RULE_METRES:
            served[name] = view.served_groups
        elif name == "density":
            served[name] = view.served_sections(part.places) * view.is_crossing
    if not served.keys() - {"density", "button"}:
        return None
    weights = np.zeros((view.width, num_stages), dtype=np.float32)
    for name, of_stage in served.items():
        weights[view.slices[name]] = (of_stage * parts[name].scales).T
    weights[view.slices["phase"]] = -1e-3 * np.arange(num_stages)
    return weights


def queue_action(weights: np.ndarray, observation: np.ndarray) -> np.ndarray:
    """The queue rule's action `[A]` at an observation `[O]`."""
    stage = int((observation.astype(np.float32) @ weights).argmax())
    return np.concatenate([RULE_NUMBERS["actuated"], np.eye(weights.shape[1])[stage]])
