"""A table of what each movement went through in an episode."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from genreplay.envs.sumo.capacity.cycle import load
from genreplay.envs.sumo.capacity.ways import read_ways
from genreplay.envs.sumo.level_of_service import level_of_service
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.network.naming import Names
from genreplay.envs.sumo.simulator.meter import Meter, Passage, Turn
from genreplay.envs.sumo.simulator.tripinfo import Trips

Row = dict[str, float | str]


def movement_rows(
    intersection: Intersection, names: Names, meter: Meter, trips: Trips, measured: Collection[str], seconds: int
) -> list[Row]:
    """One row for each movement that vehicles took or wanted to take.

    A row has the movement's `name`, `approach`, `turn`, `from_edge` and `to_edge`; `vehicles` that came to the light or
    waited to enter the map before it; their mean control `delay` (s), `volume_to_capacity` (see `saturations`; not
    where cars may not go) and `level_of_service`; `stops` on the approach per vehicle; `queue_p95`, `queue_max`
    (vehicles that stand or wait to enter) and `queue_p95_metres`, `queue_max_metres` (from the stop line to the rear of
    the last one on the road), over the longest queues from the end of one green to the end of the next; `longest_red`
    (s) while somebody stood before it; `green_share` of the time.

    Args:
        intersection: its movements.
        names: of its movements and approaches.
        meter: finished.
        trips: of all vehicles.
        measured: names of the vehicles that count.
        seconds: for which queues and greens were measured.
    """
    passages: list[list[Passage]] = [[] for _ in intersection.movements]
    for passage in meter.passages:
        if passage.movement is not None and passage.vehicle in measured:
            passages[passage.movement].append(passage)
    of_vehicle = dict(zip(trips.name.tolist(), zip(trips.time_loss, trips.depart_delay, strict=True), strict=True))
    ratios = saturations(intersection, meter, [len(found) for found in passages], seconds)
    rows: list[Row] = []
    for i, movement in enumerate(intersection.movements):
        if not passages[i]:
            continue
        ratio, delay = ratios[i], _mean([control_delay(passage, of_vehicle) for passage in passages[i]])
        rows.append(
            {
                "name": names.movements[i],
                "approach": names.approaches[movement.approach],
                "turn": movement.turn,
                "from_edge": movement.from_edge,
                "to_edge": movement.to_edge,
                "vehicles": float(len(passages[i])),
                "delay": delay,
                **({} if ratio is None else {"volume_to_capacity": ratio}),
                "level_of_service": level_of_service(delay, ratio),
                "stops": _mean([passage.stops for passage in passages[i]]),
                **_queues(meter.movements[i].turns),
                "longest_red": meter.red_of(i),
                "green_share": meter.movements[i].green_seconds / seconds,
            }
        )
    return rows


ROUNDS = 3
"""Flows are divided among lanes this often: an episode is a long cycle."""


def saturations(intersection: Intersection, meter: Meter, vehicles: Sequence[int], seconds: int) -> list[float | None]:
    """Volume-to-capacity ratio of each movement, `[M]`; None where cars may not go.

    The volume is what came or waited to enter. The capacity is computed (`capacity.cycle.load`, as if all classes were
    cars) for the signals that were shown, all of the episode as one cycle; it is at least what passed.

    Args:
        intersection: its movements.
        meter: finished.
        vehicles: of each movement, `[M]`.
        seconds: for which signals were recorded.
    """
    ways = read_ways(intersection)
    if not meter.states or not len(ways.links):
        return [None] * len(vehicles)
    flows = np.array(vehicles) * 3600.0 / seconds
    found = load(ways, meter.states, flows, seconds=seconds, pedestrians=meter.walkers, rounds=ROUNDS).saturation
    ratios: list[float | None] = []
    for movement, number in enumerate(vehicles):
        passed = number - meter.movements[movement].queue
        ratio = float(found[movement]) if passed <= 0 else min(float(found[movement]), number / passed)
        ratios.append(ratio if movement in ways.movements else None)
    return ratios


def control_delay(passage: Passage, of_vehicle: Mapping[str, tuple[float, float]]) -> float:
    """What a vehicle lost by the light, s: on the approach, over the stop line and by waiting to enter the approach.

    Args:
        passage: the vehicle's.
        of_vehicle: time lost on the whole trip and by waiting to enter, s, by vehicle.
    """
    whole, wait = of_vehicle[passage.vehicle]
    lost = whole if passage.exit_loss is None else passage.exit_loss
    return lost - passage.entry_loss + (wait if passage.enters_here else 0.0)


def _queues(turns: Sequence[Turn]) -> dict[str, float]:
    vehicles, metres = [turn.vehicles for turn in turns], [turn.metres for turn in turns]
    return {
        "queue_p95": float(np.percentile(vehicles, 95)),
        "queue_max": float(max(vehicles)),
        "queue_p95_metres": float(np.percentile(metres, 95)),
        "queue_max_metres": max(metres),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
