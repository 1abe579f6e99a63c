"""The traffic of one episode, drawn from the episode's seed and written as a SUMO route file."""

from __future__ import annotations

import copy
import dataclasses
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
from genreplay.envs.sumo.profiles import OTHER_DAY, SURGE, TIDAL, Profile, parse_profile
from genreplay.envs.sumo.scenarios import Scenario
from genreplay.errors import UserError
from genreplay.seeding import derive_seed

COPY_JITTER = 30.0
"""A vehicle added by scaling departs up to this much before or after the one it copies, s."""

TIDAL_SHARE = 0.55
"""Share of the total flow that the heavy approach of tidal traffic brings."""
SURGE_FACTOR = 2.0
"""The flow of a surge, as a multiple of the flow before and after it."""
SURGE_WINDOW = (1 / 3, 1 / 2)
"""When a surge begins and ends, as parts of the episode."""
OTHER_DAY_MARGIN = 0.2
"""How far beyond their training range the left-turning shares of another day lie."""

_RATE_ATTRIBUTES = ("vehsPerHour", "perHour", "probability", "number")
_LARGEST = {"probability": 1.0}


class Vehicle(NamedTuple):
    """One arrival of random traffic."""

    depart: float
    """s"""
    movement: int
    """Index in `Intersection.movements`."""


class Segment(NamedTuple):
    """A time during which random traffic has constant rates."""

    begin: float
    """s"""
    end: float
    """s"""
    flows: np.ndarray
    """vehicles/h by movement, `[M]`"""


class Traffic(NamedTuple):
    """One episode's traffic."""

    root: Element
    """The route file."""
    level: dict[str, float]
    """`demand_flow` (vehicles/h) or `demand_scale`."""
    flows: np.ndarray | None
    """Expected vehicles/h by movement over the whole episode, `[M]`; None with a route file."""


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

    def draw(self, seed: int, evaluation: bool, name: str | None = None) -> Traffic:
        """The traffic of the episode of `seed`: the demand of that name, or what `evaluation` or training takes."""
        rng = np.random.default_rng(derive_seed(seed, "demand"))
        begin, end = self.scenario.begin_time, self.scenario.begin_time + self.scenario.episode_seconds
        has_routes = self._template is not None
        drawn, fixed = (
            (self.config.scale_range, self.config.evaluation_scales)
            if has_routes
            else (self.config.flow_range, self.config.evaluation_flows)
        )
        level = _level(drawn, fixed, seed, evaluation, rng)
        profile = Profile(level) if name is None else parse_profile(name, self.config, has_routes)
        if self._template is not None:
            root = scale_routes(self._template, profile.level, begin, end, rng)
            return Traffic(root, {"demand_scale": profile.level}, None)
        movements = self.intersection.movements
        segments = draw_segments(profile, movements, self.config, begin, end, rng)
        vehicles = sorted(vehicle for segment in segments for vehicle in draw_vehicles(segment, rng))
        flows = sum(((s.end - s.begin) * s.flows for s in segments), np.zeros(len(movements))) / (end - begin)
        return Traffic(vehicles_to_xml(movements, vehicles), {"demand_flow": profile.level}, flows)


def draw_segments(
    profile: Profile,
    movements: Sequence[Movement],
    config: DemandConfig,
    begin: float,
    end: float,
    rng: np.random.Generator,
) -> list[Segment]:
    """The rates of random traffic of this profile in [begin, end)."""
    shares = draw_shares(movements, _other_day(config) if profile.shape == OTHER_DAY else config, rng)
    length = end - begin
    if profile.shape == TIDAL:
        approaches = sorted({movement.approach for movement in movements})
        first, second = rng.permutation(approaches)[:2] if len(approaches) > 1 else (approaches * 2)
        middle = begin + length / 2
        return [
            Segment(begin, middle, profile.level * tilt(shares, movements, int(first))),
            Segment(middle, end, profile.level * tilt(shares, movements, int(second))),
        ]
    flows = profile.level * shares
    if profile.shape == SURGE:
        rises, falls = (begin + part * length for part in SURGE_WINDOW)
        return [Segment(begin, rises, flows), Segment(rises, falls, SURGE_FACTOR * flows), Segment(falls, end, flows)]
    return [Segment(begin, end, flows)]


def tilt(shares: np.ndarray, movements: Sequence[Movement], approach: int) -> np.ndarray:
    """The shares `[M]` with `TIDAL_SHARE` of everything on one approach, and the rest as it was among itself."""
    heavy = np.array([movement.approach == approach for movement in movements])
    if heavy.all():
        return shares
    return np.where(
        heavy, TIDAL_SHARE * shares / shares[heavy].sum(), (1 - TIDAL_SHARE) * shares / shares[~heavy].sum()
    )


def _other_day(config: DemandConfig) -> DemandConfig:
    """More left turns than training shows, and fewer right turns."""
    left, right = config.left_share_range[1], config.right_share_range[0]
    return dataclasses.replace(
        config,
        left_share_range=[left, max(left, min(left + OTHER_DAY_MARGIN, 1.0 - right))],
        right_share_range=[0.0, min(right, 1.0 - left)],
    )


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


def draw_vehicles(segment: Segment, rng: np.random.Generator) -> list[Vehicle]:
    """Poisson arrivals of the segment's flows, by time of departure."""
    begin, end, flows = segment
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
