"""Random arrivals: rates of random traffic, and vehicles sampled from rates.

Shapes: M movements, W ways over the light (`chains`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from genreplay.envs.sumo.traffic.chains import Chains
from genreplay.envs.sumo.traffic.profiles import OTHER_DAY, SURGE, TIDAL, Profile

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
    way: int
    """Index in `Chains.ways`."""


class Rates(NamedTuple):
    """An interval in which random traffic or counts have constant rates."""

    begin: float
    """s"""
    end: float
    """s"""
    flows: np.ndarray
    """vehicles/h by way, `[W]`"""


def sample_rates(profile: Profile, chains: Chains, begin: float, end: float, rng: np.random.Generator) -> list[Rates]:
    """The rates of random traffic of this profile in [begin, end)."""
    shares = sample_shares(chains, OTHER_DAY_TURNS if profile.shape == OTHER_DAY else TRAINING_TURNS, rng)
    length = end - begin
    if profile.shape == TIDAL:
        approaches = _sources(chains)
        first, second = rng.permutation(approaches)[:2] if len(approaches) > 1 else (approaches * 2)
        middle = begin + length / 2
        return [
            Rates(begin, middle, profile.level * tilt(shares, chains, int(first))),
            Rates(middle, end, profile.level * tilt(shares, chains, int(second))),
        ]
    flows = profile.level * shares
    if profile.shape == SURGE:
        rises, falls = (begin + part * length for part in SURGE_WINDOW)
        return [Rates(begin, rises, flows), Rates(rises, falls, SURGE_FACTOR * flows), Rates(falls, end, flows)]
    return [Rates(begin, end, flows)]


def tilt(shares: np.ndarray, chains: Chains, approach: int) -> np.ndarray:
    """The shares `[W]` with `TIDAL_SHARE` of the total from one approach; the others keep their proportions."""
    heavy = np.array([chains.movements[way[0]].approach == approach for way in chains.ways])
    if heavy.all() or not shares[~heavy].any():
        return shares
    return np.where(
        heavy, TIDAL_SHARE * shares / shares[heavy].sum(), (1 - TIDAL_SHARE) * shares / shares[~heavy].sum()
    )


def sample_shares(chains: Chains, turns: Turns, rng: np.random.Generator) -> np.ndarray:
    """Each way's share of the total flow, `[W]`, sum 1.

    Vehicles turn back only if no other way is open. None begins on a road between two stop lines of the light.
    """
    movements, sources = chains.movements, _sources(chains)
    weights = dict(zip(sources, rng.uniform(*APPROACH_WEIGHT_RANGE, size=len(sources)), strict=True))
    total = sum(weights.values())
    starts, turning = np.zeros(len(movements)), np.zeros(len(movements))
    for approach in _approaches(chains):
        left, right = float(rng.uniform(*turns.left_share_range)), float(rng.uniform(*turns.right_share_range))
        wanted = {"left": left, "right": right, "straight": 1.0 - left - right, "turn": 0.0}
        mine = [i for i, movement in enumerate(movements) if movement.approach == approach and movement.has_cars]
        ways = [movements[i].turn for i in mine]
        parts = np.array([wanted[way] / ways.count(way) for way in ways])
        parts = parts if parts.sum() > 0 else np.ones(len(mine))
        turning[mine] = parts / parts.sum()
        starts[mine] = weights.get(approach, 0.0) / total * parts / parts.sum()
    return chains.spread(starts, turning, np.ones(len(movements)))


def _approaches(chains: Chains) -> list[int]:
    """Approaches with cars."""
    return sorted({movement.approach for movement in chains.movements if movement.has_cars})


def _sources(chains: Chains) -> list[int]:
    """Approaches where random traffic enters the map."""
    approaches = _approaches(chains)
    return [approach for approach in approaches if approach not in chains.inner] or approaches


def sample_vehicles(rates: Rates, rng: np.random.Generator) -> list[Vehicle]:
    """Poisson arrivals of these flows, by time of departure."""
    begin, end, flows = rates
    counts = rng.poisson(flows * (end - begin) / 3600.0)
    vehicles = [
        Vehicle(math.floor(time * 100.0) / 100.0, way)
        for way, count in enumerate(counts)
        for time in rng.uniform(begin, end, size=count)
    ]
    return sorted(vehicles)


def vehicles_to_xml(chains: Chains, entries: Sequence[Sequence[str]], vehicles: Sequence[Vehicle]) -> Element:
    """A route file of these vehicles.

    Args:
        chains: the ways.
        entries: where vehicles enter (`Intersection.entries`).
        vehicles: by time of departure.
    """
    root = Element("routes")
    for i, way in enumerate(chains.ways):
        if all(chains.movements[step].has_cars for step in way):
            ElementTree.SubElement(root, "route", id=f"m{i}", edges=" ".join(chains.edges(way, entries)))
    for i, vehicle in enumerate(vehicles):
        ElementTree.SubElement(
            root,
            "vehicle",
            id=f"v{i}",
            route=f"m{vehicle.way}",
            depart=f"{vehicle.depart:.2f}",
            departSpeed="max",
            departPos="base",
            departLane="best",
        )
    return root
