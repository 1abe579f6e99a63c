"""The queue rule: the stage with most vehicles just before the stop line comes next, in an actuated green.

It is linear in the observation, so a policy can begin as this rule. The baseline `actuated_queue` is the rule alone.

Shapes: O observation, P stages, E places of a part, A action.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from genreplay.envs.sumo.actions import Signal
from genreplay.envs.sumo.network.groups import groups_of
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.sensors.full import WITHIN, Full
from genreplay.envs.sumo.sensors.part import Part
from genreplay.envs.sumo.signals.timing import Timing

NUMBERS = {"actuated": (0.503, 0.0), "stage_duration": (-0.76,)}
"""Entries of the longest green and of the reach, or of the green (of 5 to 45 s: 35 and 10 s), by action mode. None is a
half second where the bounds of a green are less than 100 s apart: float32 and float64 give the same whole seconds."""
METRES = 50.0
"""Vehicles up to this far before the stop line count, m."""
TIE = 1e-3
"""Of stages with equally many vehicles the first counts so many vehicles more than the next."""


def preference(view: View) -> np.ndarray | None:
    """Weights of the rule, float32 `[O, P]`: observation @ weights is the number of vehicles just before the stop line,
    and of people at crossings, that each stage serves. None where the sensors do not show it.
    """
    weights, is_shown = np.zeros((view.width, view.timing.num_stages), dtype=np.float32), False
    for part in view.sensors.parts:
        is_served = _served(view.intersection, part)
        if is_served is not None:
            weights[view.slices[part.quantity]] = is_served * part.scales[:, None]
            is_shown = is_shown or part.quantity not in ("density", "button")
    weights[view.slices["phase"]] = -TIE * np.arange(view.timing.num_stages)
    return weights if is_shown else None


def _served(intersection: Intersection, part: Part) -> np.ndarray | None:
    """Which stages serve the vehicles or people at each place of a part, `[E, P]` (0 or 1); None for other parts.

    Of a lane with links of several groups all vehicles count for each stage that serves one of them.
    """
    links_of: dict[str, tuple[int, ...]] = {}
    if part.quantity.startswith(WITHIN) and float(part.quantity.removeprefix(WITHIN)) <= METRES:
        links_of = {group.name: group.links for group in groups_of(intersection)}
    elif part.quantity in ("zone_count", "button", "density"):
        for section, links in zip(intersection.sections, intersection.section_links, strict=True):
            counts = section.crossing is not None or part.quantity == "zone_count"
            links_of[section.name] = links if counts else ()
    if not links_of:
        return None
    served = intersection.plan.served
    rows = [served[:, list(links_of[place])].any(axis=1) for place in part.places]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(served))


class ActuatedQueue:
    """The rule as a controller that sees what `full` sensors see.

    Args:
        intersection: its light and lanes.
        timing: its bounds, in any action mode.
    """

    def __init__(self, intersection: Intersection, timing: Timing):
        self.timing = replace(timing, action_mode="actuated")
        self._view = View(intersection, self.timing, Full(intersection, self.timing))
        self._weights = preference(self._view)

    def __call__(self, values: Sequence[np.ndarray], signal: Signal) -> np.ndarray:
        """The action `[A]`, of the mode `actuated`.

        Args:
            values: of the parts of `Full`.
            signal: of one row, `[1, P]`.
        """
        stage = int((self._view.observe(values, signal) @ self._weights).argmax())
        return np.concatenate([NUMBERS["actuated"], np.eye(self.timing.num_stages)[stage]])
