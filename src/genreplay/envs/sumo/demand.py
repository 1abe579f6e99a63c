"""The traffic of one episode, drawn from the episode's seed and written as a SUMO route file."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from sumolib.miscutils import parseTime

from genreplay.envs.sumo.config import DemandConfig
from genreplay.envs.sumo.intersection import Intersection, Movement
from genreplay.envs.sumo.scenarios import Scenario
from genreplay.errors import UserError
from genreplay.seeding import derive_seed

COPY_JITTER = 30.0
"""A vehicle added by scaling departs up to this much before or after the one it copies, s."""

_RATE_ATTRIBUTES = ("vehsPerHour", "perHour", "probability", "number")
_LARGEST = {"probability": 1.0}


class Vehicle(NamedTuple):
    """One arrival of random traffic."""

    depart: float
    """s"""
    movement: int
    """Index in `Intersection.movements`."""


class Demand:
    """Draws and writes the traffic of episodes.

    Args:
        config: what to draw from.
        scenario: the route file to scale (None: random traffic) and the time to fill.
        intersection: movements of random traffic.
    """

    def __init__(self, config: DemandConfig, scenario: Scenario, intersection: Intersection):
        self.config, self.scenario, self.intersection = config, scenario, intersection
        self._template = None if scenario.route_file is None else _read(scenario.route_file)

    def write(self, seed: int, evaluation: bool, path: Path) -> dict[str, float]:
        """Write the episode's traffic to `path`; its level: `demand_flow` (vehicles/h) or `demand_scale`."""
        rng = np.random.default_rng(derive_seed(seed, "demand"))
        begin, end = self.scenario.begin_time, self.scenario.begin_time + self.scenario.episode_seconds
        if self._template is None:
            flow = _level(self.config.flow_range, self.config.evaluation_flows, seed, evaluation, rng)
            shares = draw_shares(self.intersection.movements, self.config, rng)
            root = vehicles_to_xml(self.intersection.movements, draw_vehicles(flow * shares, begin, end, rng))
            level = {"demand_flow": flow}
        else:
            scale = _level(self.config.scale_range, self.config.evaluation_scales, seed, evaluation, rng)
            root = scale_routes(self._template, scale, begin, end, rng)
            level = {"demand_scale": scale}
        ElementTree.ElementTree(root).write(path, encoding="unicode")
        return level


def draw_shares(movements: Sequence[Movement], config: DemandConfig, rng: np.random.Generator) -> np.ndarray:
    """Each movement's share of the total flow, `[M]`, sum 1. Nobody turns back where another way is open."""
    shares = np.zeros(len(movements))
    approaches = sorted({movement.approach for movement in movements})
    low, high = config.approach_weight_range
    weights = rng.uniform(low, high, size=len(approaches))
    for approach, weight in zip(approaches, weights / weights.sum(), strict=True):
        left, right = _uniform(rng, config.left_share_range), _uniform(rng, config.right_share_range)
        wanted = {"left": left, "right": right, "straight": 1.0 - left - right, "turn": 0.0}
        mine = [i for i, movement in enumerate(movements) if movement.approach == approach]
        turns = [movements[i].turn for i in mine]
        parts = np.array([wanted[turn] / turns.count(turn) for turn in turns])
        parts = parts if parts.sum() > 0 else np.ones(len(mine))
        shares[mine] = weight * parts / parts.sum()
    return shares


def draw_vehicles(flows: np.ndarray, begin: float, end: float, rng: np.random.Generator) -> list[Vehicle]:
    """Poisson arrivals of `flows` `[M]` (vehicles/h) in [begin, end), by time of departure."""
    counts = rng.poisson(flows * (end - begin) / 3600.0)
    vehicles = [
        Vehicle(math.floor(time * 100.0) / 100.0, movement)
        for movement, count in enumerate(counts)
        for time in rng.uniform(begin, end, size=count)
    ]
    return sorted(vehicles)


def vehicles_to_xml(movements: Sequence[Movement], vehicles: Sequence[Vehicle]) -> Element:
    """A route file of these vehicles."""
    root = Element("routes")
    for i, movement in enumerate(movements):
        ElementTree.SubElement(root, "route", id=f"m{i}", edges=f"{movement.from_edge} {movement.to_edge}")
    for i, vehicle in enumerate(vehicles):
        ElementTree.SubElement(
            root,
            "vehicle",
            id=f"v{i}",
            route=f"m{vehicle.movement}",
            depart=f"{vehicle.depart:.2f}",
            departSpeed="max",
            departPos="base",
            departLane="best",
        )
    return root


def scale_routes(template: Element, scale: float, begin: float, end: float, rng: np.random.Generator) -> Element:
    """A route file with `scale` times the vehicles of `template` that depart in [begin, end).

    Trips and vehicles are dropped or doubled at random (SUMO's own `--scale` does not always repeat); the rates of
    flows are multiplied. Definitions and persons stay as they are.
    """
    definitions: list[Element] = []
    timed: list[tuple[float, Element]] = []
    for element in template:
        if element.tag == "flow":
            timed.append((_time(element, "begin") or begin, _scale_flow(element, scale, end)))
            continue
        depart = _time(element, "depart") if element.tag in ("trip", "vehicle") else None
        if depart is None:
            definitions.append(element)
        elif begin <= depart < end:
            num_copies = math.floor(scale) + int(rng.random() < scale - math.floor(scale))
            timed += _copies(element, depart, num_copies, begin, end, rng)
    root = Element("routes")
    root.extend(definitions)
    root.extend(element for _, element in sorted(timed, key=lambda entry: entry[0]))
    return root


def _copies(
    element: Element, depart: float, num_copies: int, begin: float, end: float, rng: np.random.Generator
) -> list[tuple[float, Element]]:
    """The element itself and `num_copies - 1` like it, at times near its own."""
    copies = [(depart, element)] if num_copies > 0 else []
    for i in range(1, num_copies):
        near = rng.uniform(depart - COPY_JITTER, depart + COPY_JITTER)
        time = math.floor(min(max(near, begin), end - 1.0) * 100.0) / 100.0
        another = copy.deepcopy(element)
        another.set("id", f"{element.get('id')}#{i}")
        another.set("depart", f"{time:.2f}")
        copies.append((time, another))
    return copies


def _scale_flow(flow: Element, scale: float, end: float) -> Element:
    scaled = copy.deepcopy(flow)
    for name in _RATE_ATTRIBUTES:
        if name in flow.attrib:
            value = min(float(flow.attrib[name]) * scale, _LARGEST.get(name, math.inf))
            scaled.set(name, str(round(value)) if name == "number" else f"{value:.6f}")
    period = flow.get("period")
    if period is not None and period.startswith("exp("):
        scaled.set("period", f"exp({float(period[4:-1]) * scale:.6f})")
    elif period is not None:
        scaled.set("period", f"{float(period) / scale:.6f}")
    if "number" not in flow.attrib:
        scaled.set("end", str(min(_time(flow, "end") or end, end)))
    return scaled


def _time(element: Element, attribute: str) -> float | None:
    """A time in s; None where it is left out or is a word, such as `triggered`."""
    try:
        return float(parseTime(element.attrib[attribute]))
    except (KeyError, ValueError):
        return None


def _read(path: Path) -> Element:
    try:
        return ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise UserError(f"env.route_file: {path} is no SUMO route file ({error}); write plain XML") from None


def _uniform(rng: np.random.Generator, bounds: list[float]) -> float:
    return float(rng.uniform(bounds[0], bounds[1]))


def _level(drawn: list[float], fixed: list[float], seed: int, evaluation: bool, rng: np.random.Generator) -> float:
    """How heavy the traffic is. Always draws, so that the rest does not depend on `evaluation`."""
    level = _uniform(rng, drawn)
    return float(fixed[seed % len(fixed)]) if evaluation else level
