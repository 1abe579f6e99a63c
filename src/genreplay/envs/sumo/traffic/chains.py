"""Ways of random traffic and of counts over a light that has several stop lines one after the other.

One light may control several junctions. A vehicle that leaves one stop line may then reach another one of the same
light: its way is a chain of movements. Where no movement leads to another one, each way is one movement.

Shapes: M movements, B approaches, W ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from genreplay.envs.sumo.network.intersection import Intersection, Movement
from genreplay.envs.sumo.network.net_file import read_net

LONGEST_LINK = 300.0
"""Longest road between two stop lines of a chain, m."""


@dataclass(frozen=True)
class Chains:
    """The ways over a light."""

    movements: tuple[Movement, ...]
    links: tuple[tuple[str, ...] | None, ...]
    """For each movement the edges after `to_edge` up to the next stop line of the same light, `[M]`; empty where
    `to_edge` ends there, None where no stop line follows."""
    following: tuple[int, ...]
    """For each movement the approach of that next stop line, `[M]`; -1 for none."""

    @cached_property
    def ways(self) -> tuple[tuple[int, ...], ...]:
        """Every chain of movements, `[W]`: first each movement alone, then longer ones; no approach occurs twice."""
        found: list[tuple[int, ...]] = [(i,) for i in range(len(self.movements))]
        for way in found:  # grows
            if self.goes_on(way):
                approach = self.following[way[-1]]
                found += [(*way, i) for i, movement in enumerate(self.movements) if movement.approach == approach]
        return tuple(found)

    @cached_property
    def passes(self) -> np.ndarray:
        """How often each way takes each movement, 0 or 1, `[M, W]`."""
        return np.array([[float(i in way) for way in self.ways] for i in range(len(self.movements))])

    @cached_property
    def inner(self) -> frozenset[int]:
        """Approaches that vehicles reach from another stop line of the light, other than by turning back."""
        pairs = zip(self.movements, self.following, strict=True)
        return frozenset(approach for movement, approach in pairs if approach >= 0 and movement.turn != "turn")

    def goes_on(self, way: Sequence[int]) -> bool:
        """Whether another stop line follows that the way has not passed."""
        following = self.following[way[-1]]
        return following >= 0 and all(self.movements[i].approach != following for i in way)

    def flows(self, of_ways: np.ndarray) -> np.ndarray:
        """The flow of each movement, `[M]`, from the flows of the ways, `[W]`."""
        return self.passes @ of_ways if len(self.ways) > len(self.movements) else of_ways

    def spread(self, starts: np.ndarray, turning: np.ndarray, going_on: np.ndarray) -> np.ndarray:
        """The flow of each way, `[W]`.

        Args:
            starts: flow that begins with each movement, `[M]`.
            turning: each movement's share of the vehicles on its approach, `[M]`.
            going_on: for each approach, the share of the vehicles that reach it and cross its stop line, `[B]`; the
                others end on the road before it.
        """
        flows = []
        for way in self.ways:
            flow = starts[way[0]]
            for i in way[1:]:
                flow *= going_on[self.movements[i].approach] * turning[i]
            flows.append(flow * (1.0 - going_on[self.following[way[-1]]]) if self.goes_on(way) else flow)
        return np.array(flows)

    def of_counts(self, counts: np.ndarray) -> np.ndarray:
        """The flow of each way, `[W]`, whose vehicles add up to the counts at each stop line, `[M]`.

        More vehicles counted at an inner stop line than come from the others begin on the road before it; fewer end
        there. Vehicles that reach it turn in the counted proportions, wherever they come from.
        """
        if len(self.ways) == len(self.movements):
            return counts
        of_movement = [movement.approach for movement in self.movements]
        size = max(of_movement) + 1
        leaving = np.bincount(of_movement, weights=counts, minlength=size)
        links = [(i, approach) for i, approach in enumerate(self.following) if approach >= 0]
        arriving = np.bincount(
            [approach for _, approach in links], weights=counts[[i for i, _ in links]], minlength=size
        )
        turning = counts / np.maximum(leaving, 1e-12)[of_movement]
        going_on = np.minimum(1.0, leaving / np.maximum(arriving, 1e-12))
        starts = turning * np.maximum(0.0, leaving - arriving)[of_movement]
        return self.spread(starts, turning, going_on)

    def edges(self, way: Sequence[int], entries: Sequence[Sequence[str]]) -> list[str]:
        """The edges of a way, from where vehicles enter (`Intersection.entries`)."""
        first = self.movements[way[0]]
        edges = [*entries[first.approach], first.to_edge]
        for before, i in pairwise(way):
            edges += [*(self.links[before] or ()), self.movements[i].to_edge]
        return edges


def read_chains(intersection: Intersection, net_file: Path) -> Chains:
    """The ways over the intersection's light.

    A stop line follows a movement where the road leads straight on to it within `LONGEST_LINK`.
    """
    net = read_net(net_file)
    places = {movement.from_edge: movement.approach for movement in intersection.movements}
    roads = [_road(net.getEdge(movement.to_edge), places) for movement in intersection.movements]
    return Chains(
        intersection.movements,
        tuple(None if road is None else tuple(road[1:]) for road in roads),
        tuple(-1 if road is None else places[road[-1]] for road in roads),
    )


def _road(edge: Any, stop_lines: dict[str, int]) -> list[str] | None:
    """Edges from `edge` straight on to the first that ends at a stop line; None if there is none nearby."""
    road, metres = [edge.getID()], edge.getLength()
    while metres <= LONGEST_LINK:
        if road[-1] in stop_lines:
            return road
        following = _straight_on(edge)
        if following is None or following.getID() in road:
            return None
        edge = following
        road.append(edge.getID())
        metres += edge.getLength()
    return None


def _straight_on(edge: Any) -> Any | None:
    """The edge that cars take if they do not turn; None if that is not clear."""
    connections = [
        connection
        for choices in edge.getOutgoing().values()
        for connection in choices
        if connection.getDirection() not in ("t", "T")
        and connection.getFromLane().allows("passenger")
        and connection.getToLane().allows("passenger")
    ]
    ways = {connection.getTo() for connection in connections}
    if len(ways) > 1:
        ways = {connection.getTo() for connection in connections if connection.getDirection() == "s"}
    return ways.pop() if len(ways) == 1 else None
