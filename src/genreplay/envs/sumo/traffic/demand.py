"""The traffic of one episode, sampled from the episode's seed and written as a SUMO route file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from genreplay.common.errors import UserError
from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.config import DemandConfig
from genreplay.envs.sumo.network.intersection import Intersection, Movement
from genreplay.envs.sumo.traffic.counts import clock, read_counts
from genreplay.envs.sumo.traffic.profiles import OTHER_DAY, SURGE, TIDAL, Profile, parse_profile
from genreplay.envs.sumo.traffic.route_flows import route_flows
from genreplay.envs.sumo.traffic.routes import read_routes, scale_routes
from genreplay.envs.sumo.traffic.scenarios import Scenario

APPROACH_WEIGHT_RANGE = (0.5, 1.5)
"""Random traffic: each approach's weight; its share of the total flow is its weight over the sum of weights."""
TIDAL_SHARE = 0.55
"""Share of the total flow on the heavy approach of tidal traffic."""
SURGE_FACTOR = 2.0
"""The flow of a surge, as a multiple of the flow before and after it."""
SURGE_WINDOW = (1 / 3, 1 / 2)
"""Begin and end of a surge, as fractions of the episode."""


class Turns(NamedTuple):
    """Random traffic: ranges of the shares of an approach's vehicles that turn; the rest goes straight on."""

    left_share_range: tuple[float, float]
    right_share_range: tuple[float, float]


TRAINING_TURNS = Turns((0.1, 0.3), (0.1, 0.3))
OTHER_DAY_TURNS = Turns((0.3, 0.5), (0.0, 0.1))
"""More left turns than in training, and fewer right turns."""


class Vehicle(NamedTuple):
    """One arrival of random traffic or of counts."""

    depart: float
    """s"""
    movement: int
    """Index in `Intersection.movements`."""


class Segment(NamedTuple):
    """An interval in which random traffic or counts have constant rates."""

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
    """`demand_flow` (vehicles/h) or, with a route file or counts, `demand_scale`."""
    flows: np.ndarray | None
    """Expected vehicles/h by movement over the whole episode, `[M]`; None with a route file."""


class Demand:
    """Samples the traffic of episodes.

    Args:
        config: ranges of training and levels of evaluation.
        scenario: the route file or the counts to scale (neither: random traffic) and the episode's time.
        intersection: movements of random traffic and of counts.

    Raises:
        UserError: the route file is no XML, or the counts do not fit the light.
    """

    def __init__(self, config: DemandConfig, scenario: Scenario, intersection: Intersection):
        self.config, self.scenario, self.intersection = config, scenario, intersection
        self._template = None if scenario.route_file is None else read_routes(scenario.route_file)
        self.counted = None if scenario.count_file is None else count_segments(scenario, intersection)
        """The expected traffic of counts in the episode; None without counts."""

    def sample(self, seed: int, evaluation: bool, name: str | None = None) -> Traffic:
        """The traffic of the episode of `seed`, at the demand `name` or else at a level of evaluation or training."""
        rng = np.random.default_rng(derive_seed(seed, "demand"))
        begin, end = self.scenario.begin_time, self.scenario.end_time
        is_given = self.scenario.is_given
        (low, high), listed = self.config.levels(is_given)
        level = float(rng.uniform(low, high))  # in evaluation too, so that the rest does not depend on it
        if evaluation:
            level = float(listed[seed % len(listed)])
        profile = Profile(level) if name is None else parse_profile(name, self.config, is_given)
        if self._template is not None:
            root = scale_routes(self._template, profile.level, begin, end, rng)
            return Traffic(root, {"demand_scale": profile.level}, None)
        if self.counted is not None:
            segments = [segment._replace(flows=profile.level * segment.flows) for segment in self.counted]
        else:
            segments = sample_segments(profile, self.intersection.movements, begin, end, rng)
        vehicles = sorted(vehicle for segment in segments for vehicle in sample_vehicles(segment, rng))
        root = vehicles_to_xml(self.intersection, vehicles)
        return Traffic(root, {"demand_scale" if is_given else "demand_flow": profile.level}, mean_flows(segments))

    def expected(self) -> list[Segment]:
        """The flows over the light of a route file or counts at factor 1."""
        if self.counted is not None:
            return self.counted
        assert self._template is not None, "random traffic is sampled anew for each episode"
        begin, end = self.scenario.begin_time, self.scenario.end_time
        root = scale_routes(self._template, 1.0, begin, end, np.random.default_rng(0))
        flows = route_flows(root, self.intersection.movements, self.scenario.net_file, begin, end)
        return [Segment(begin, end, flows)]


def count_segments(scenario: Scenario, intersection: Intersection) -> list[Segment]:
    """The flows of the scenario's counts over its episode, one segment for each interval.

    Raises:
        UserError: the counts do not fit the light, or are all zero in this time.
    """
    assert scenario.count_file is not None
    table = read_counts(scenario.count_file)
    flows = table.flows(intersection)
    found = [Segment(begin, end, flows[i]) for begin, end, i in table.parts(scenario.begin_time, scenario.end_time)]
    if not any(segment.flows.any() for segment in found):
        raise UserError(
            f"env.count_file: {scenario.count_file} counts no vehicles from {clock(scenario.begin_time)} to "
            f"{clock(scenario.end_time)}; fill in the table, or set env.begin_time and env.episode_seconds (s) to when "
            "there is traffic"
        )
    return found


def mean_flows(segments: Sequence[Segment]) -> np.ndarray:
    """Vehicles/h by movement over all segments, `[M]`."""
    seconds = np.array([segment.end - segment.begin for segment in segments])
    return seconds @ np.array([segment.flows for segment in segments]) / seconds.sum()


def sample_segments(
    profile: Profile, movements: Sequence[Movement], begin: float, end: float, rng: np.random.Generator
) -> list[Segment]:
    """The rates of random traffic of this profile in [begin, end)."""
    shares = sample_shares(movements, OTHER_DAY_TURNS if profile.shape == OTHER_DAY else TRAINING_TURNS, rng)
    length = end - begin
    if profile.shape == TIDAL:
        approaches = sorted({movement.approach for movement in movements if movement.has_cars})
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
    """The shares `[M]` with `TIDAL_SHARE` of the total on one approach; the others keep their proportions."""
    heavy = np.array([movement.approach == approach for movement in movements])
    if heavy.all():
        return shares
    return np.where(
        heavy, TIDAL_SHARE * shares / shares[heavy].sum(), (1 - TIDAL_SHARE) * shares / shares[~heavy].sum()
    )


def sample_shares(movements: Sequence[Movement], turns: Turns, rng: np.random.Generator) -> np.ndarray:
    """Each movement's share of the total flow, `[M]`, sum 1. Vehicles turn back only if no other way is open."""
    shares = np.zeros(len(movements))
    approaches = sorted({movement.approach for movement in movements if movement.has_cars})
    weights = rng.uniform(*APPROACH_WEIGHT_RANGE, size=len(approaches))
    for approach, weight in zip(approaches, weights / weights.sum(), strict=True):
        left, right = float(rng.uniform(*turns.left_share_range)), float(rng.uniform(*turns.right_share_range))
        wanted = {"left": left, "right": right, "straight": 1.0 - left - right, "turn": 0.0}
        mine = [i for i, movement in enumerate(movements) if movement.approach == approach and movement.has_cars]
        ways = [movements[i].turn for i in mine]
        parts = np.array([wanted[way] / ways.count(way) for way in ways])
        parts = parts if parts.sum() > 0 else np.ones(len(mine))
        shares[mine] = weight * parts / parts.sum()
    return shares


def sample_vehicles(segment: Segment, rng: np.random.Generator) -> list[Vehicle]:
    """Poisson arrivals of the segment's flows, by time of departure."""
    begin, end, flows = segment
    counts = rng.poisson(flows * (end - begin) / 3600.0)
    vehicles = [
        Vehicle(math.floor(time * 100.0) / 100.0, movement)
        for movement, count in enumerate(counts)
        for time in rng.uniform(begin, end, size=count)
    ]
    return sorted(vehicles)


def vehicles_to_xml(intersection: Intersection, vehicles: Sequence[Vehicle]) -> Element:
    """A route file of these vehicles, which enter the map at the first observed edge of their approach."""
    root = Element("routes")
    for i, movement in enumerate(intersection.movements):
        if movement.has_cars:
            edges = " ".join((*intersection.entries[movement.approach], movement.to_edge))
            ElementTree.SubElement(root, "route", id=f"m{i}", edges=edges)
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
