"""Actuated greens in the simulator against a log of every second: when they end, what is stored, zones, the rule."""

from collections import Counter, defaultdict
from contextlib import closing
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tensordict.nn import TensorDictModule

from genreplay.agents.losses import discount
from genreplay.build import build_agent, build_world
from genreplay.config.reader import from_yaml
from genreplay.envs.sumo.actions import Decision, decode_action
from genreplay.envs.sumo.actuated import reach_metres
from genreplay.envs.sumo.columns import Derive
from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.network.groups import groups_of
from genreplay.envs.sumo.observation import SIGNAL_PARTS
from genreplay.envs.sumo.reward import REWARD_SCALE
from genreplay.envs.sumo.simulator.episode import EpisodeRequest, Outcome
from genreplay.envs.sumo.world import SumoWorld
from genreplay.replay.warmup import random_actions
from genreplay.transitions.keys import ACTION, DURATION, NEXT_OBSERVATION, OBSERVATION, REWARD
from tests.helpers.signals import MAPS
from tests.helpers.simulators import recording_simulator

pytestmark = pytest.mark.slow
ZONES = {"within_20": (0.0, 20.0), "within_50": (20.0, 50.0), "within_100": (50.0, 100.0)}
SERVED = "GgoOs"
JUNCTIONS = {
    "allred_slip": {}, "nema": {}, "ped": {"route_file": str(MAPS / "ped.rou.xml")},
    "tram": {"route_file": str(MAPS / "tram.rou.xml")},
}  # fmt: skip
"""On allred_slip and tram, links that are green in different stages share lanes. Roads are longer than 100 m."""


class Second(NamedTuple):
    """What the test sees after a second."""

    near: list[tuple[frozenset[int], float]]
    """Of each vehicle on a controlled road: the links to its next road, and its distance to the stop line, m."""
    walkers: set[int]
    """Links of the crossings before which somebody stands."""
    lost: float
    """Seconds that vehicles on the sections, people and those that wait to enter lose."""


class Played(NamedTuple):
    """A decision."""

    before: int
    """The stage shown before it."""
    longest: Decision
    reach: float
    """m"""
    begin: int
    """s"""
    outcome: Outcome


def see(sumo, intersection) -> Second:
    links: dict[tuple[str, str], set[int]] = defaultdict(set)
    for link in intersection.links:
        links[link.from_lane.rpartition("_")[0], link.to_lane.rpartition("_")[0]].add(link.index)
    near, speeds = [], defaultdict(list)
    for name in sumo.vehicle.getIDList():
        edge, lane, route = sumo.vehicle.getRoadID(name), sumo.vehicle.getLaneID(name), sumo.vehicle.getRoute(name)
        ways = links.get((edge, (*route, "")[sumo.vehicle.getRouteIndex(name) + 1]))
        if ways and not edge.startswith(":"):
            near.append((frozenset(ways), sumo.lane.getLength(lane) - sumo.vehicle.getLanePosition(name)))
        for place in (edge, lane):
            speeds[place].append(sumo.vehicle.getSpeed(name))
    lost = float(sum(len(sumo.edge.getPendingVehicles(e)) for each in intersection.approaches for e in each.edges))
    walkers: set[int] = set()
    for section, of_section in zip(intersection.sections, intersection.section_links, strict=True):
        if section.crossing:
            standing = [
                name for name in sumo.person.getIDList()
                if sumo.person.getRoadID(name) in section.edges and sumo.person.getSpeed(name) < 0.1
                and sumo.person.getNextEdge(name) == section.crossing
            ]  # fmt: skip
            walkers |= set(of_section) if standing else set()
            lost += len(standing)
            continue
        for place, limit in zip(section.lanes or section.edges, section.speed_limits, strict=True):
            lost += len(speeds[place]) * max(0.0, 1.0 - float(np.mean(speeds[place] or [limit])) / limit)
    return Second(near, walkers, lost)


def played(folder, name, seconds=900, **options) -> tuple[Any, list[Played]]:
    """A training episode of random actions, and what the test saw in it (`simulator.seen`)."""

    class Watching(recording_simulator()):
        def start(self, request):
            self.seen: list[Second] = []
            return super().start(request)

        def _sumo_step(self):
            super()._sumo_step()
            self.seen.append(see(self.sumo, self.intersection))

    demand = DemandConfig(flow_range=[1200.0, 1200.0])
    simulator = Watching(
        SumoConfig(
            net_file=str(MAPS / f"{name}.net.xml"), action_mode="actuated", episode_seconds=seconds, demand=demand,
            **(JUNCTIONS[name] | options),
        ),
        folder,
    )  # fmt: skip
    simulator.start(EpisodeRequest(3, evaluation=False))
    rng, found = np.random.default_rng(0), []
    while not found or not found[-1].outcome.truncated:
        stage = np.eye(simulator.timing.num_stages)[rng.integers(simulator.timing.num_stages)]
        action = np.concatenate([rng.uniform(-1, 1, 2), stage])[None]
        longest = decode_action(simulator.timing, simulator.signal, action)
        shown, begin = int(simulator.signal.phase.argmax()), len(simulator.seen)
        found.append(Played(shown, longest, float(reach_metres(action)[0]), begin, simulator.decide(action[0])))
    return simulator, found


def goes_on(states: list[str], stage: int, second: Second, reach: float) -> bool:
    """The rule, anew: somebody near uses the green, or nobody near the light needs another one."""
    needs = [
        (any(states[stage][link] in SERVED for link in links), metres)
        for links, metres in second.near
        if not all(state[link] in SERVED for state in states for link in links)
    ]
    if any(is_served and metres <= reach for is_served, metres in needs):
        return True
    others = any(not is_served and metres <= 30.0 for is_served, metres in needs)
    return not others and all(states[stage][link] in SERVED for link in second.walkers)


@pytest.mark.parametrize("name", JUNCTIONS)
def test_each_green_ends_in_the_second_in_which_nobody_uses_it(tmp_path, name):
    simulator, decisions = played(tmp_path, name)
    plan = simulator.intersection.plan
    states, ends = [stage.state for stage in plan.stages], Counter()
    for each in decisions:
        stage, most = int(each.longest.order[0, 0]), int(each.longest.greens[0, 0])
        change, least = int(plan.intergreen[each.before, stage]), min(plan.stages[stage].min_green, most)
        green = int(each.outcome.duration) - change
        assert least <= green <= most
        shown = simulator.states[each.begin : each.begin + change + green]
        assert shown[change:] == [states[stage]] * green
        assert shown[:change] == [s.state for s in plan.transitions[each.before][stage] for _ in range(s.seconds)]
        asked = [
            goes_on(states, stage, simulator.seen[each.begin + change + k - 1], each.reach)
            for k in range(least, min(green + 1, most))
        ]
        assert asked == [True] * (green - least) + [False] * (green < most)
        ends["at once" if green == least < most else "longest" if green == most else "by itself"] += 1
    assert sum(each.outcome.duration for each in decisions) == len(simulator.states) >= 900
    assert min(ends["at once"], ends["longest"], ends["by itself"]) > 0


def test_what_is_stored_is_what_the_seconds_add_up_to(tmp_path):
    """The reward is the time lost in the seconds of a decision, its discount that of as many seconds."""
    for name in ("allred_slip", "ped"):
        simulator, decisions = played(tmp_path, name)
        rewards = np.array([each.outcome.reward for each in decisions])
        bounds = [each.begin for each in decisions] + [len(simulator.seen)]
        lost = np.array([sum(s.lost for s in simulator.seen[a:b]) for a, b in pairwise(bounds)])
        np.testing.assert_allclose(rewards, -REWARD_SCALE * lost, rtol=1e-4, atol=1e-5)
        assert len(set(rewards)) > 20
        durations = torch.tensor([[each.outcome.duration] for each in decisions])
        second = discount(torch.ones(1, 1), 0.97, 30.0).double()
        expected = torch.tensor([[float(second) ** (b - a)] for a, b in pairwise(bounds)])
        torch.testing.assert_close(discount(durations, 0.97, 30.0).double(), expected.double(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", JUNCTIONS)
def test_zones_hold_the_vehicles_before_the_stop_line(tmp_path, name):
    """At every decision, of each group of links that are green together."""
    simulator, decisions = played(tmp_path, name)
    view, groups = simulator.view, groups_of(simulator.intersection)
    largest = dict.fromkeys(ZONES, 0.0)
    for each, end in zip(decisions, [*(d.begin for d in decisions[1:]), len(simulator.seen)], strict=True):
        observation = np.array(each.outcome.observation)
        for part in view.sensors.parts:
            if part.quantity not in ZONES:
                continue
            low, high = ZONES[part.quantity]
            for i, group in enumerate(groups):
                inside = [
                    links for links, metres in simulator.seen[end - 1].near
                    if links & set(group.links) and (low < metres <= high or metres == low == 0.0)
                ]  # fmt: skip
                value = observation[view.slices[part.quantity]][i] * part.scales[i]
                assert value == pytest.approx(min(len(inside), part.limits[i]), abs=1e-4), (part.quantity, group)
                largest[part.quantity] = max(largest[part.quantity], value)
    assert min(largest.values()) > 0.9


@pytest.mark.parametrize("mode", ["actuated", "stage_duration"])
@pytest.mark.parametrize("name", ["allred_slip", "ped"])
def test_derived_columns_are_exactly_what_was_stored(name, mode):
    config = SumoConfig(
        net_file=str(MAPS / f"{name}.net.xml"), action_mode=mode, episode_seconds=1200, **JUNCTIONS[name]
    )
    world = SumoWorld(config)
    with closing(world.make_env(2, lambda worker, index: worker + 10 * index)) as env:
        torch.manual_seed(0)
        like = torch.zeros(env.action_spec.shape)
        policy = TensorDictModule(
            lambda _: random_actions(world.layout, like), in_keys=[OBSERVATION], out_keys=[ACTION]
        )
        real = env.rollout(110, policy, break_when_any_done=False).reshape(-1)
    assert len(real) == 220
    made = real.select(OBSERVATION, ACTION, NEXT_OBSERVATION, REWARD, DURATION, ("next", "terminated")).clone()
    for part in SIGNAL_PARTS:
        made[NEXT_OBSERVATION][:, world.view.slices[part]] = 0.5
    made[REWARD].fill_(-9.0)
    if mode != "actuated":  # there it is an outcome of the traffic
        made[DURATION].zero_()
    Derive(world.view)(made)
    assert torch.equal(made[NEXT_OBSERVATION], real[NEXT_OBSERVATION])
    assert torch.equal(made[DURATION], real[DURATION])
    torch.testing.assert_close(made[REWARD], real[REWARD], rtol=1e-6, atol=1e-7)
    assert len(real[DURATION].unique()) > 10


@pytest.mark.parametrize("options", ["scenario: 2way", f"net_file: {MAPS}/nema.net.xml, max_green: 35, min_green: 5"])
def test_an_untrained_policy_decides_as_the_baseline_does(tmp_path, options):
    """Of greens between 5 and 35 s, three quarters are half a second: there the two could differ."""
    config = from_yaml(
        f"env: {{{options}, action_mode: actuated, episode_seconds: 1200, demand: {{evaluation_flows: [1500]}}}}\n"
        "agent: {name: hybrid_redq_sac, learn_temperature: false}\n",
        "test",
    )
    policy = build_agent(config, build_world(config)).policy(deterministic=True)
    simulator = recording_simulator()(config.env, tmp_path)
    request = EpisodeRequest(3, evaluation=True)
    observation, outcome = simulator.start(request), None
    while outcome is None or not outcome.truncated:
        action = policy(observation=torch.tensor(observation)[None])[0]
        outcome = simulator.decide(action.numpy())
        observation = outcome.observation
    by_policy = simulator.states
    figures = simulator.baseline(request, "actuated_queue", {})
    assert simulator.states == by_policy
    assert len(set(by_policy)) > 4
    assert figures["delay"] == outcome.metrics["delay"] > 1.0
