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
    "over a section's lanes or edges; backlog are vehicles that wait to enter the map on the approach's edges."
)
HOW_TO_ACT = {
    "phase_duration": (
        "The phase with the largest preference is shown next, for green seconds; of equals the lowest number. The "
        "phase shown now is left out where its green so far + min_green > max_green; where it goes on, its green so "
        "far + green is at most max_green. Between two different phases come yellow_time and all_red_time."
    ),
    "duration": (
        "The next phase in order is shown for green seconds. Between two phases come yellow_time and all_red_time."
    ),
    "cycle": (
        "Every phase is shown once, in order, beginning after the current one, phase p for its own green seconds. "
        "Between two phases come yellow_time and all_red_time."
    ),
}


def describe(config: SumoConfig, intersection: Intersection, view: View) -> dict[str, Any]:
    """Inputs in the order of the observation, outputs in the order of the action, and their signal."""
    timing = view.timing
    return {
        "how_to_read": HOW_TO_READ,
        "inputs": _inputs(intersection, view),
        "how_to_act": HOW_TO_ACT[timing.action_mode]
        + " A green entry a in [-1, 1] means floor(min_green + (a + 1) / 2 * (max_green - min_green) + 0.5) seconds.",
        "outputs": _outputs(view),
        "signal": {
            "light": intersection.light,
            "action_mode": timing.action_mode,
            "phases": list(intersection.greens),
            "first_phase": 0,
            "min_green": timing.min_green,
            "max_green": timing.max_green,
            "yellow_time": timing.yellow_time,
            "all_red_time": timing.all_red_time,
            "time_unit": "s",
        },
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
        ("last_green", "s", float(timing.max_green)),
    ):
        for phase in range(timing.num_phases):
            add(quantity, str(phase), unit, limit, limit)
    return found


def _outputs(view: View) -> list[dict[str, Any]]:
    timing = view.timing
    seconds = {"unit": "s", "low": -1.0, "high": 1.0, "low_value": timing.min_green, "high_value": timing.max_green}
    if timing.action_mode == "cycle":
        return [{"name": f"green {p}", "meaning": f"green of phase {p}", **seconds} for p in range(timing.num_phases)]
    green = {"name": "green", "meaning": "green of the next phase", **seconds}
    if timing.action_mode == "duration":
        return [green]
    preferences = [
        {"name": f"preference {p}", "meaning": f"for phase {p} as the next one", "unit": None, "low": -1.0, "high": 1.0}
        for p in range(timing.num_phases)
    ]
    return [green, *preferences]
