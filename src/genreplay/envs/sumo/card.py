"""Description of a policy's inputs and outputs for a controller outside of genreplay, as plain JSON.

`examples/drive_sumo.py` is such a controller: it reads only this card and the exported actor.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from genreplay.envs.sumo.actions import SINCE_GREEN_LIMIT
from genreplay.envs.sumo.actuated import REACH_FACTOR
from genreplay.envs.sumo.baselines.cabinet import ZONE
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.groups import groups_of
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.signals.timing import WITH_CHOICE
from genreplay.envs.sumo.traffic.arrivals import APPROACH_WEIGHT_RANGE, TRAINING_TURNS

HOW_TO_READ = (
    "An input is min(value, limit) / scale, or the square root of that where transform is sqrt. Values are read at the "
    "moment of a decision; "
)
BOUNDS = (
    "Somebody waits for a stage of the round if an input in called_by is above 0 for one of the sections in calls (of "
    "a stage of the round, by the stage shown); waited_for counts the seconds. While somebody waits, the current stage "
    "may not go on where its green so far + min_green > max_green. A stage may be shown if, after the transition to it "
    "and its min_green, every stage of the round that it does not satisfy can still be green within max_red - "
    "waited_for, and every other one within max_red, when all are served in the order of these deadlines, each after "
    "its reach for its min_green. If none may, the most urgent is shown. The green ends when the first of these "
    "deadlines would be missed, and at max_green while somebody waits."
)
ONE_HOT = "Of the stages that may be shown the one whose entry is largest is next, for "
HOW_TO_ACT = {
    "actuated": (
        f"{ONE_HOT}longest green seconds at most; of equals the lowest number. From its min_green on the green ends in "
        "the second in which no vehicle within reach metres of the stop line takes a link next that the stage serves "
        "and another stage does not, while a vehicle within zone_metres takes a link next that another stage serves "
        "and it does not, or somebody waits at one of the crossings, whose links count likewise. A stage serves a link "
        f"whose character in its state is G, g, o, O or s. {BOUNDS}"
    ),
    "stage_duration": f"{ONE_HOT}green seconds; of equals the lowest number. {BOUNDS}",
    "phase_duration": (
        "The stage with the largest preference of those that may be shown is next, for green seconds; of equals the "
        f"lowest number. {BOUNDS}"
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
        "how_to_read": HOW_TO_READ + view.sensors.how_to_read,
        "inputs": _inputs(view),
        "how_to_act": HOW_TO_ACT[timing.action_mode] + HOW_TO_CHANGE,
        "outputs": _outputs(view),
        "signal": _signal(intersection, view),
        "sensors": config.sensors,
        "detectors": [detector._asdict() for detector in view.sensors.detectors],
        "sections": [asdict(section) for section in intersection.sections],
        "approaches": [asdict(approach) for approach in intersection.approaches],
        "groups": [{"name": group.name, "links": list(group.links)} for group in groups_of(intersection)],
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
        "called_by": list(view.sensors.called_by),
        "round": [
            {
                "stage": stage,
                "reach": int(timing.intergreen[:, stage].max()),
                "satisfied_by": [p for p in range(timing.num_stages) if timing.is_satisfied[p, r]],
                "calls": [
                    [name for i, name in enumerate(view.callers) if view.calls[i, shown, stage]]
                    for shown in range(timing.num_stages)
                ],
            }
            for r, stage in enumerate(timing.home)
        ],
        "longest_wait": SINCE_GREEN_LIMIT,
        "time_unit": "s",
        **(_actuation(intersection) if timing.action_mode == "actuated" else {}),
    }


def _actuation(intersection: Intersection) -> dict[str, Any]:
    """What decides whether an actuated green goes on."""
    links_of = zip(intersection.sections, intersection.section_links, strict=True)
    return {
        "zone_metres": ZONE,
        "reach_factor": REACH_FACTOR,
        "crossings": {section.name: list(links) for section, links in links_of if section.crossing},
    }


def _inputs(view: View) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{part.quantity.replace('_', ' ')} {place}",
            "quantity": part.quantity,
            "of": place,
            "unit": part.unit,
            "limit": float(limit),
            "scale": float(scale),
            "transform": "sqrt" if part.is_root else "linear",
            "low": 0.0,
            "high": part.high,
        }
        for part in view.parts
        for place, limit, scale in zip(part.places, part.limits, part.scales, strict=True)
    ]


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
    with_choice = timing.action_mode in WITH_CHOICE
    stages = [
        {"name": f"{'stage' if with_choice else 'preference'} {p}", "meaning": f"for stage {p} as the next one",
         "unit": None, "low": 0.0 if with_choice else -1.0, "high": 1.0}
        for p in range(timing.num_stages)
    ]  # fmt: skip
    if timing.action_mode != "actuated":
        return [green, *stages]
    reach = {
        "name": "reach",
        "meaning": "how far before the stop line a vehicle prolongs the green: entry a means zone_metres * "
        "reach_factor ** a",
        **{"unit": "m", "low": -1.0, "high": 1.0, "low_value": ZONE / REACH_FACTOR, "high_value": ZONE * REACH_FACTOR},
    }
    return [{**green, "name": "longest green", "meaning": f"longest {green['meaning']}"}, reach, *stages]
