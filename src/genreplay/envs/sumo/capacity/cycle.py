"""What one cycle of a light carries: capacity, degree of saturation and delay of every lane and movement.

A cycle is taken second by second, with even arrivals. A way with right of way discharges at the saturation flow. One
that gives way stands while a queue of its opponents discharges, and uses the gaps in their flow afterwards. A lane that
several ways share is held up by the first vehicle that cannot go. The flow of a movement is divided among its lanes so
that they are used alike.

Shapes: W ways, K lanes, M movements, L links, T seconds of a cycle, P stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from genreplay.envs.sumo.capacity.formulas import (
    HOUR,
    SUMO,
    Drivers,
    gap_flow,
    overflow_delay,
    passed_before,
    pedestrian_factor,
)
from genreplay.envs.sumo.capacity.ways import Ways, open_seconds

ROUNDS = 8
"""Flows are divided among lanes this often, each time with the capacities that the last division gave."""
LEAST_FLOW = 0.01
"""Vehicles/h assumed for a movement without traffic, so that its lanes have a mix of ways."""
PLATOON = 0.25
"""Vehicles that leave a queue at this part of the saturation flow or more leave no gaps."""
LEAST_RATE = 60.0
"""Vehicles/h below which a way that gives way counts as blocked: less than one vehicle in a minute of green."""


class Load(NamedTuple):
    """One cycle under given flows."""

    flows: np.ndarray
    """Vehicles/h by way, `[W]`."""
    capacity: np.ndarray
    """Vehicles/h by lane at this mix of ways, `[K]`."""
    lane_saturation: np.ndarray
    """Volume-to-capacity ratio by lane, `[K]`."""
    lane_delay: np.ndarray
    """Mean control delay by lane, s, `[K]`."""
    marginal: np.ndarray
    """Vehicles/h that would pass in another second of each moment, by lane, `[T, K]`."""
    saturation: np.ndarray
    """Volume-to-capacity ratio by movement, `[M]`, over all its lanes."""
    delay: np.ndarray
    """Mean control delay by movement, s, `[M]`."""
    mean_delay: float
    """Over all vehicles, s."""


def load(
    ways: Ways,
    states: Sequence[str],
    movement_flows: np.ndarray,
    *,
    seconds: float = 900.0,
    pedestrians: float = 0.0,
    drivers: Drivers = SUMO,
    rounds: int = ROUNDS,
) -> Load:
    """The capacity of a light's cycle.

    Args:
        ways: of cars over the junction.
        states: of the light, one for each second of the cycle, `[T]`.
        movement_flows: vehicles/h, `[M]`.
        seconds: how long these flows last.
        pedestrians: on each crossing, an hour.
        drivers: how vehicles use a green.
        rounds: flows are divided among lanes this often.
    """
    wanted = np.maximum(movement_flows, LEAST_FLOW)[ways.movements]
    flows = wanted / _total(np.ones(len(wanted)), ways)
    opened, has_way = open_seconds(states, ways.links, drivers)
    factor = _walk_factor(ways, states, pedestrians)
    rates = np.where(opened & has_way, drivers.saturation_flow, 0.0)
    for _ in range(rounds):
        capacity, by_second = _lanes(ways, flows, rates, opened, has_way, drivers)
        saturation = ways.is_in @ flows / np.maximum(capacity, 1e-6)
        rates = _rates(ways, flows, by_second, opened, has_way, factor, drivers)
        share = flows / np.maximum(saturation[ways.lanes], 1e-6) ** 0.7
        flows = wanted * share / _total(share, ways)
    capacity, by_second = _lanes(ways, flows, rates, opened, has_way, drivers)
    saturation = ways.is_in @ flows / np.maximum(capacity, 1e-6)
    delay = _delay(ways.is_in @ flows, capacity, by_second, saturation, seconds)
    clear = _rates(ways, flows, None, opened, has_way, factor, drivers)
    return Load(
        flows,
        capacity,
        saturation,
        delay,
        _mixed(ways, flows, clear),
        _by_movement(ways, flows, np.ones(len(capacity)))
        / np.maximum(_by_movement(ways, flows, 1.0 / np.maximum(saturation, 1e-9)), 1e-9),
        _by_movement(ways, flows, delay),
        float((ways.is_in @ flows * delay).sum() / flows.sum()),
    )


def capacity_alone(ways: Ways, states: Sequence[str], drivers: Drivers = SUMO) -> np.ndarray:
    """Capacity of each movement if no other one had traffic, vehicles/h, `[M]`."""
    opened, has_way = open_seconds(states, ways.links, drivers)
    rates = np.where(has_way, drivers.saturation_flow, HOUR / drivers.follow_up) * opened
    in_lane = np.zeros((ways.num_movements, len(ways.names)))
    for way, passing in enumerate(rates.mean(axis=0)):
        place = ways.movements[way], ways.lanes[way]
        in_lane[place] = max(in_lane[place], passing)
    return in_lane.sum(axis=1)


def _total(values: np.ndarray, ways: Ways) -> np.ndarray:
    """Sum over the movement of each way, `[W]`."""
    return np.bincount(ways.movements, values, ways.num_movements)[ways.movements]


def _walk_factor(ways: Ways, states: Sequence[str], pedestrians: float) -> np.ndarray:
    """Share of its saturation flow that pedestrians leave a way that gives way to them, `[T, W]`."""
    green = np.isin(np.array([list(state) for state in states]), list("Gg"))
    factors = np.array([pedestrian_factor(pedestrians, len(states), walk) for walk in green.sum(axis=0)])
    crossed = green[:, None, :] & ways.gives_way_to_walk[None]
    return np.where(crossed, factors, 1.0).min(axis=2)


def _rates(
    ways: Ways,
    flows: np.ndarray,
    by_second: np.ndarray | None,
    opened: np.ndarray,
    has_way: np.ndarray,
    factor: np.ndarray,
    drivers: Drivers,
) -> np.ndarray:
    """Vehicles/h that each way lets pass, `[T, W]`, between those that drive with right of way: vehicles of a queue
    that discharges, by `by_second` (`[T, K]`), then those that arrive. Without `by_second` there are no queues.
    """
    driving, blocked = opened * flows, np.zeros_like(opened)
    if by_second is not None:
        lane_flows = ways.is_in @ flows
        queued = (_queues(lane_flows, by_second) > 0.0)[:, ways.lanes]
        discharge = by_second[:, ways.lanes] * flows / lane_flows[ways.lanes]
        driving = np.where(queued, discharge, driving) * opened
        platoon = queued & opened & (discharge > PLATOON * drivers.saturation_flow)
        blocked = platoon.astype(float) @ ways.gives_way.T.astype(float) > 0.0
    rates = gap_flow(driving @ ways.gives_way.T, drivers.critical_gap, drivers.follow_up)
    rates = np.where(blocked | (rates < LEAST_RATE), 0.0, np.minimum(rates, drivers.saturation_flow))
    return np.where(has_way, drivers.saturation_flow, rates) * opened * factor


def _queues(flows: np.ndarray, by_second: np.ndarray) -> np.ndarray:
    """Vehicles that stand in each lane at the end of each second of a cycle like those before it, `[T, K]`."""
    change = np.tile((flows - by_second) / HOUR, (2, 1)).cumsum(axis=0)
    return (change - np.minimum.accumulate(np.minimum(change, 0.0), axis=0))[len(by_second) :]


def _mixed(ways: Ways, flows: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Vehicles/h of a lane in which all ways can go, by their shares and rates, `[T, K]`; 0 where one cannot."""
    shares = flows / np.maximum((ways.is_in @ flows)[ways.lanes], 1e-9)
    times = (shares / np.maximum(rates, 1e-9)) @ ways.is_in.T
    closed = ((rates <= 0.0) & (shares > 0.0)).astype(float) @ ways.is_in.T > 0.0
    return np.where(closed, 0.0, 1.0 / np.maximum(times, 1e-9))


def _lanes(
    ways: Ways, flows: np.ndarray, rates: np.ndarray, opened: np.ndarray, has_way: np.ndarray, drivers: Drivers
) -> tuple[np.ndarray, np.ndarray]:
    """Capacity of each lane, vehicles/h, `[K]`, and by second, `[T, K]`."""
    by_second = _mixed(ways, flows, rates)
    extra = np.zeros(len(ways.names))
    for lane, members in enumerate(ways.is_in):
        mine = np.flatnonzero(members)
        share = flows[mine] / flows[mine].sum()
        if len(mine) > 1:
            _held_up(by_second[:, lane], rates[:, mine], opened[:, mine], share, drivers)
        yields = opened[:, mine] & ~has_way[:, mine] & ways.gives_way[mine].any(axis=1)
        ends = (yields & ~np.roll(opened[:, mine], -1, axis=0)).sum(axis=0)
        passing = by_second[:, lane].sum() / HOUR
        extra[lane] = (drivers.sneakers * ends * (1.0 - (1.0 - share) ** (passing + 1.0))).sum()
    return (by_second.sum(axis=0) + HOUR * extra) / len(by_second), by_second


def _held_up(
    by_second: np.ndarray, rates: np.ndarray, opened: np.ndarray, shares: np.ndarray, drivers: Drivers
) -> None:
    """Fill in a lane's vehicles/h `[T]` in the seconds in which some of its ways can go and others cannot.

    A vehicle that gives way waits inside the junction, where `sneakers` find room; one at red holds up its lane.
    """
    can_go = rates > 0.0
    size, part = len(can_go), [bool(row.any() and not row.all()) for row in can_go]
    changes = [t for t in range(size) if part[t] and not (part[t - 1] and (can_go[t] == can_go[t - 1]).all())]
    begins = changes or [t for t in range(size) if part[t]][:1]
    for begin, following in zip(begins, [*begins[1:], *(t + size for t in begins[:1])], strict=True):
        run = [t % size for t in takewhile(lambda t: part[t % size], range(begin, following))]
        closed = ~can_go[begin]
        waits = opened[begin, closed].all()
        flow = rates[begin, ~closed].max()
        room = flow * len(run) / HOUR
        passed = passed_before(shares[closed].sum(), room, int(drivers.sneakers) if waits else 0)
        by_second[run] = flow * np.clip(passed * HOUR / flow - np.arange(len(run)), 0.0, 1.0)


def _delay(
    flows: np.ndarray, capacity: np.ndarray, by_second: np.ndarray, saturation: np.ndarray, seconds: float
) -> np.ndarray:
    """Control delay of each lane, s, `[K]`: queue of even arrivals, then random and lasting overflow (HCM ch. 19)."""
    served = np.minimum(flows, by_second.mean(axis=0) * 0.999)
    even = _queues(served, by_second).sum(axis=0) / np.maximum(served * len(by_second) / HOUR, 1e-9)
    over = [overflow_delay(x, c, seconds) for x, c in zip(saturation, capacity, strict=True)]
    return np.where(capacity > 0.0, even, np.inf) + np.array(over)


def _by_movement(ways: Ways, flows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of lanes' values `[K]` over the vehicles of each movement, `[M]`; 0 for a movement without lanes."""
    weights = np.bincount(ways.movements, flows, ways.num_movements)
    return np.bincount(ways.movements, flows * values[ways.lanes], ways.num_movements) / np.maximum(weights, 1e-9)
