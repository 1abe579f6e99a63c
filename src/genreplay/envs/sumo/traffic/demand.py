"""The traffic of one episode, sampled from the episode's seed and written as a SUMO route file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from genreplay.common.errors import UserError
from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.config import DemandConfig
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.traffic.arrivals import Rates, sample_rates, sample_vehicles, vehicles_to_xml
from genreplay.envs.sumo.traffic.chains import Chains, read_chains
from genreplay.envs.sumo.traffic.counts import clock, read_counts
from genreplay.envs.sumo.traffic.profiles import Profile, parse_profile
from genreplay.envs.sumo.traffic.route_files import read_additional, read_routes
from genreplay.envs.sumo.traffic.route_flows import RouteFlows, route_flows
from genreplay.envs.sumo.traffic.routes import scale_routes
from genreplay.envs.sumo.traffic.scenarios import Scenario


class Segment(NamedTuple):
    """An interval of the traffic that is expected over the light."""

    begin: float
    """s"""
    end: float
    """s"""
    flows: np.ndarray
    """vehicles/h by movement, `[M]`; a vehicle that passes two stop lines of the light counts at both"""
    vehicles: float
    """vehicles/h over the light, each counted once"""


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
        scenario: the route files or the counts to scale (neither: random traffic), additional files, and the episode's
            time.
        intersection: movements of random traffic and of counts.

    Raises:
        UserError: a route file or additional file is no XML, or the counts do not fit the light.
    """

    def __init__(self, config: DemandConfig, scenario: Scenario, intersection: Intersection):
        self.config, self.scenario, self.intersection = config, scenario, intersection
        self.template = read_routes(scenario.route_files) if scenario.route_files else None
        """The content of the route files; None without any."""
        self.additional = read_additional(scenario.additional_files) if scenario.additional_files else None
        """The content of the additional files; None without any."""
        self._chains = read_chains(intersection, scenario.net_file) if self.template is None else None
        self._counted = None if scenario.count_file is None else count_rates(scenario, intersection, self.chains)
        self.counted = None if self._counted is None else [self._segment(each) for each in self._counted]
        """The expected traffic of counts in the episode; None without counts."""

    @property
    def chains(self) -> Chains:
        """The ways of random traffic and of counts."""
        assert self._chains is not None, "the vehicles of a route file have their own ways"
        return self._chains

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
        if self.template is not None:
            root = scale_routes(self.template, profile.level, begin, end, rng)
            return Traffic(root, {"demand_scale": profile.level}, None)
        if self._counted is not None:
            rates = [each._replace(flows=profile.level * each.flows) for each in self._counted]
        else:
            rates = sample_rates(profile, self.chains, begin, end, rng)
        vehicles = sorted(vehicle for each in rates for vehicle in sample_vehicles(each, rng))
        root = vehicles_to_xml(self.chains, self.intersection.entries, vehicles)
        flows = mean_flows([self._segment(each) for each in rates])
        return Traffic(root, {"demand_scale" if is_given else "demand_flow": profile.level}, flows)

    def expected(self) -> list[Segment]:
        """The flows over the light of a route file or counts at factor 1."""
        if self.counted is not None:
            return self.counted
        routed = self.routed(self.unscaled())
        return [Segment(self.scenario.begin_time, self.scenario.end_time, routed.flows, routed.vehicles)]

    def unscaled(self) -> Element:
        """The part of the route file in the episode, at factor 1."""
        assert self.template is not None, "random traffic is sampled anew for each episode"
        begin, end = self.scenario.begin_time, self.scenario.end_time
        return scale_routes(self.template, 1.0, begin, end, np.random.default_rng(0))

    def routed(self, root: Element) -> RouteFlows:
        """The flows over the light of an episode's route file."""
        begin, end = self.scenario.begin_time, self.scenario.end_time
        return route_flows(root, self.intersection.movements, self.scenario.net_file, begin, end, self.additional)

    def mean_flows(self, traffic: Traffic) -> np.ndarray:
        """Expected vehicles/h by movement over the whole episode, `[M]`."""
        return self.routed(traffic.root).flows if traffic.flows is None else traffic.flows

    def intervals(self, traffic: Traffic) -> list[Segment]:
        """Expected flows by interval of the counts; empty without counts."""
        factor = traffic.level.get("demand_scale", 1.0)
        return [s._replace(flows=factor * s.flows, vehicles=factor * s.vehicles) for s in self.counted or ()]

    def _segment(self, rates: Rates) -> Segment:
        return Segment(rates.begin, rates.end, self.chains.flows(rates.flows), float(rates.flows.sum()))


def count_rates(scenario: Scenario, intersection: Intersection, chains: Chains) -> list[Rates]:
    """The flows of the scenario's counts over its episode by way, for each interval.

    Raises:
        UserError: the counts do not fit the light, or are all zero in this time.
    """
    assert scenario.count_file is not None
    table = read_counts(scenario.count_file)
    flows = table.flows(intersection)
    _check_inner(scenario, chains, flows)
    found = [
        Rates(begin, end, chains.of_counts(flows[i]))
        for begin, end, i in table.parts(scenario.begin_time, scenario.end_time)
    ]
    if not any(rates.flows.any() for rates in found):
        raise UserError(
            f"env.count_file: {scenario.count_file} counts no vehicles from {clock(scenario.begin_time)} to "
            f"{clock(scenario.end_time)}; fill in the table, or set env.begin_time and env.episode_seconds (s) to when "
            "there is traffic"
        )
    return found


def _check_inner(scenario: Scenario, chains: Chains, flows: np.ndarray) -> None:
    """Check that vehicles which reach another stop line of the light are counted there too."""
    for approach in sorted(chains.inner):
        mine = [i for i, movement in enumerate(chains.movements) if movement.approach == approach]
        coming = [i for i, following in enumerate(chains.following) if following == approach]
        if flows[:, coming].any() and not flows[:, mine].any():
            movement = chains.movements[mine[0]]
            raise UserError(
                f"env.count_file: {scenario.count_file} counts vehicles that reach the stop line of "
                f"{movement.from_edge!r}, but none that crosses it; add the columns of its movements, such as "
                f"'{movement.from_edge} -> {movement.to_edge}'"
            )


def mean_flows(segments: Sequence[Segment]) -> np.ndarray:
    """Vehicles/h by movement over all segments, `[M]`."""
    seconds = np.array([segment.end - segment.begin for segment in segments])
    return seconds @ np.array([segment.flows for segment in segments]) / seconds.sum()
