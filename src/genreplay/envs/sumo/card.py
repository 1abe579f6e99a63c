"""Description of a policy's inputs and outputs for a controller outside of genreplay, as plain JSON.

`examples/drive_sumo.py` is such a controller: it reads only this card and the exported actor.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from genreplay.envs.sumo.actions import SINCE_GREEN_LIMIT
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.observation import BACKLOG_LIMIT, BACKLOG_SCALE, COUNT_LIMIT, View
from genreplay.envs.sumo.traffic.arrivals import APPROACH_WEIGHT_RANGE, TRAINING_TURNS

HOW_TO_READ = (
    "An input is min(value, limit) / scale, or the square root of that where transform is sqrt. Values are read at the "
    "moment of a decision; time_loss and mean_backlog are means over the seconds of the decision before (0 at the "
    "start). Queue are vehicles slower than 0.1 m/s; time_loss adds up vehicles * max(0, 1 - mean speed / speed limit) "
    "over a section's lanes or edges. Of a crossing, people are counted who stand on its walking areas and cross next; "
    "each loses 1 s in each s. Backlog are vehicles that wait to enter the map on the approach's edges."
)
HOW_TO_ACT = {
    "phase_duration": (
        "The stage with the largest preference of those that may be shown is next, for green seconds; of equals the "
        "lowest number. Somebody waits for a stage of the round if one of the sections in calls (by the stage shown, "
        "then by the stage of the round) is not empty; waited counts the seconds. While somebody waits, the current "
        "stage may not go on where its green so far + min_green > max_green. A stage may be shown if, after the "
        "transition to it and its min_green, every stage of the round that it does not satisfy can still be green "
        "within max_red - waited, and every other one within max_red, when all are served in the order of these "
        "deadlines, each after its reach for its min_green. If none may, the most urgent is shown. The green ends "
        "when the first of these deadlines would be missed, and at max_green while somebody waits."
    ),
    "duration": "The next stage in order is shown for green seconds.",
    "cycle": (
        "Every stage is shown once, in order, beginning after the current one, stage p for its own green seconds."
    ),
}
HOW_TO_CHANGE = (
    " Between two stages their transition is shown, step by step. A green entry a in [-1, 1] means "
    "floor(min_green + (a + 1) / 2 * (max_green - min_green) + 0.5) seconds, with the bounds of its stage."
)


def describe(config: SumoConfig, intersection: Intersection, view: View) -> dict[str, Any]:
    """Inputs in the order of the observation, outputs in the order of the action, and their signal."""
    timing = view.timing
    return {
        "how_to_read": HOW_TO_READ,
        "inputs": _inputs(intersection, view),
        "how_to_act": HOW_TO_ACT[timing.action_mode] + HOW_TO_CHANGE,
        "outputs": _outputs(view),
        "signal": _signal(intersection, view),
        "sections": [asdict(section) for section in intersection.sections],
        "approaches": [asdict(approach) for approach in intersection.approaches],
        "training": {
            "scenario": config.scenario,
            "net_file": None if config.net_file is None else Path(config.net_file).name,
            "route_file": None if config.route_file is None else Path(config.route_file).name,
            "count_file": None if config.count_file is None else Path(config.count_file).name,
            "demand": {
                **asdict(config.demand),
                "approach_weight_range": APPROACH_WEIGHT_RANGE,
                "left_share_range": TRAINING_TURNS.left_share_range,
                "right_share_range": TRAINING_TURNS.right_share_range,
            },
        },
    }


def _signal(intersection: Intersection, view: View) -> dict[str, Any]:
    """The stages with their bounds, the transitions, and the round that `max_red` rests on."""
    timing, plan = view.timing, intersection.plan
    names = [section.name for section in intersection.sections]
    return {
        "light": plan.light,
        "action_mode": timing.action_mode,
        "stages": [
            {"state": stage.state, "min_green": int(least), "max_green": int(most)}
            for stage, least, most in zip(plan.stages, timing.min_greens, timing.max_greens, strict=True)
        ],
        "transitions": [[[list(step) for step in steps] for steps in row] for row in plan.transitions],
        "first_stage": 0,
        "max_red": timing.max_red,
        "round": [
            {
                "stage": stage,
                "reach": int(timing.intergreen[:, stage].max()),
                "satisfied_by": [p for p in range(timing.num_stages) if timing.is_satisfied[p, r]],
                "calls": [
                    [name for i, name in enumerate(names) if view.calls[i, shown, stage]]
                    for shown in range(timing.num_stages)
                ],
            }
            for r, stage in enumerate(timing.home)
        ],
        "longest_wait": SINCE_GREEN_LIMIT,
        "time_unit": "s",
    }


def _inputs(intersection: Intersection, view: View) -> list[dict[str, Any]]:
    sections = [(section.name, float(section.capacity)) for section in intersection.sections]
    approaches = [approach.name for approach in intersection.approaches]
    timing = view.timing
    found: list[dict[str, Any]] = []

    def add(quantity: str, of: str, unit: str, limit: float, scale: float, transform: str = "linear") -> None:
        high = (limit / scale) ** (0.5 if transform == "sqrt" else 1.0)
        name = f"{quantity.replace('_', ' ')} {of}"
        found.append(
            {"name": name, "quantity": quantity, "of": of, "unit": unit, "limit": limit, "scale": scale,
             "transform": transform, "low": 0.0, "high": high}
        )  # fmt: skip

    for quantity, unit in (("density", "vehicles"), ("queue", "vehicles"), ("time_loss", "s lost in each s")):
        for name, capacity in sections:
            add(quantity, name, unit, COUNT_LIMIT * capacity, capacity)
    for quantity in ("backlog", "mean_backlog"):
        for name in approaches:
            add(quantity, name, "vehicles", BACKLOG_LIMIT, BACKLOG_SCALE, "sqrt")
    for quantity, unit, limit in (
        ("phase", "1 where it is shown", 1.0),
        ("since_green", "s", float(SINCE_GREEN_LIMIT)),
        ("last_green", "s", timing.longest_green),
        ("waited_for", "s", float(timing.max_red)),
    ):
        for phase in range(timing.num_stages):
            add(quantity, str(phase), unit, limit, limit)
    return found


def _outputs(view: View) -> list[dict[str, Any]]:
    timing = view.timing
    bounds = [
        {"unit": "s", "low": -1.0, "high": 1.0, "low_value": int(least), "high_value": int(most)}
        for least, most in zip(timing.min_greens, timing.max_greens, strict=True)
    ]
    if timing.action_mode == "cycle":
        return [{"name": f"green {p}", "meaning": f"green of stage {p}", **each} for p, each in enumerate(bounds)]
    lowest, highest = int(timing.min_greens.min()), int(timing.longest_green)
    ends = {"low_value": lowest, "high_value": highest}
    green = {"name": "green", "meaning": "green of the next stage, within its bounds", **bounds[0], **ends}
    if timing.action_mode == "duration":
        return [green]
    preferences = [
        {"name": f"preference {p}", "meaning": f"for stage {p} as the next one", "unit": None, "low": -1.0, "high": 1.0}
        for p in range(timing.num_stages)
    ]
    return [green, *preferences]
