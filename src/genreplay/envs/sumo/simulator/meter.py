"""Measures what every movement and every signal goes through, second by second, in evaluation episodes.

Shapes: M movements.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.sensors.part import STANDING
from genreplay.envs.sumo.signals.plan import GREEN, SERVED

AFTER_SECONDS = 10
"""How long after the stop line a vehicle's lost time still belongs to its movement, s: it accelerates."""


@dataclass
class Passage:
    """One vehicle on its way over an approach."""

    vehicle: str
    approach: int
    movement: int | None
    """Index in `Intersection.movements`; None if its route does not cross the light from here."""
    entry_loss: float = 0.0
    """What it had lost when it came to the approach, s."""
    exit_loss: float | None = None
    """What it had lost `AFTER_SECONDS` behind the stop line, s; None if it was gone or had not got so far."""
    enters_here: bool = True
    """Whether it entered, or waits to enter, the map on this approach, so that this wait belongs to the movement."""
    stops: int = 0
    """How often it came to a standstill on the approach."""
    stands: bool = False
    link: int | None = None
    """The signal it stands before."""
    reach: float = 0.0
    """From the stop line to its rear, where it stands, m."""


@dataclass
class Turn:
    """What one movement went through from the end of a green to the end of the next one."""

    vehicles: int = 0
    """Longest queue."""
    metres: float = 0.0
    """From the stop line to the rear of the last standing vehicle, at most."""


@dataclass
class MovementRecord:
    """What one movement went through."""

    queue: int = 0
    """In the last second that was measured."""
    turns: list[Turn] = field(default_factory=lambda: [Turn()])
    green_seconds: int = 0
    is_green: bool = False


class Meter:
    """Queues, stops, lost time and greens of each movement, and how long each signal kept somebody waiting.

    Delays are measured from the beginning to the end of the simulation. Queues and greens are measured from second
    `begin` to second `end`, reds from `begin` on.

    Args:
        sumo: the connection.
        intersection: its light, approaches and movements.
        begin: the last second of warm-up.
        end: the last second before run-out.
    """

    def __init__(self, sumo: Any, intersection: Intersection, begin: int, end: int):
        self._sumo, self._light, self._begin, self._end = sumo, intersection.light, begin, end
        self._edges = [approach.edges for approach in intersection.approaches]
        self._movements = {(m.approach, m.from_edge, m.to_edge): i for i, m in enumerate(intersection.movements)}
        self._links: list[set[int]] = [set() for _ in intersection.movements]
        for link in intersection.links:
            self._links[link.movement].add(link.index)
        self._crossings = list(_crossings(sumo, intersection.light))
        self.second = 0
        self.movements = [MovementRecord() for _ in intersection.movements]
        self.passages: list[Passage] = []
        """Of vehicles that have left their approach; after `finish` of all."""
        self.longest_reds: dict[int, int] = defaultdict(int)
        """By signal, the longest time for which it was closed while somebody stood before it, s."""
        self.states: list[str] = []
        """Of the light, in every second of which queues are measured."""
        self.crossed: set[tuple[int, str]] = set()
        """Each person on each crossing, by its signal."""
        self.stood: dict[str, int] = defaultdict(int)
        """By person, how long it stood before the light's crossings, s."""
        self._present: dict[str, Passage] = {}
        self._leaving: deque[tuple[int, Passage]] = deque()
        self._pending: dict[str, Passage] = {}
        self._reds: dict[int, int] = {}

    @property
    def walkers(self) -> float:
        """People an hour on each crossing."""
        return len(self.crossed) * 3600.0 / max(1, self.second) / max(1, len(self._crossings))

    @property
    def longest_red(self) -> float:
        """The longest time for which a signal was closed while somebody stood before it, s."""
        return float(max(self.longest_reds.values(), default=0))

    def red_of(self, movement: int) -> float:
        """The same for the signals of one movement, s."""
        return float(max((self.longest_reds.get(link, 0) for link in self._links[movement]), default=0))

    def record(self) -> None:
        """Measure the second just simulated."""
        self.second += 1
        state = self._sumo.trafficlight.getRedYellowGreenState(self._light)
        self._follow_vehicles()
        called = {p.link for p in self._present.values() if p.stands and p.link is not None}
        called |= self._called_crossings()
        if self.second > self._begin:
            closed = [link for link in called if state[link] not in SERVED]
            self._reds = {link: self._reds.get(link, 0) + 1 for link in closed}
            for link, seconds in self._reds.items():
                self.longest_reds[link] = max(self.longest_reds[link], seconds)
        if self._begin < self.second <= self._end:
            self._measure_queues(state)

    def finish(self) -> None:
        """Close the records of vehicles that are still under way or wait to enter; call once, at the end."""
        self.passages += self._present.values()
        self.passages += self._waiting()
        self._present, self._pending = {}, {}

    def _follow_vehicles(self) -> None:
        """Who has come to an approach, who stands on it, and who has left it."""
        departed = set(self._sumo.simulation.getDepartedIDList())
        present: dict[str, Passage] = {}
        for approach, edges in enumerate(self._edges):
            for edge in edges:
                for name in self._sumo.edge.getLastStepVehicleIDs(edge):
                    passage = self._present.get(name)
                    if passage is None or passage.approach != approach:
                        passage = Passage(name, approach, self._movement(name, approach))
                        if name not in departed:
                            passage.enters_here, passage.entry_loss = False, self._sumo.vehicle.getTimeLoss(name)
                    if name not in departed:  # SUMO inserts most vehicles at standstill
                        self._see(passage)
                    present[name] = passage
        for name, passage in self._present.items():
            if present.get(name) is not passage:
                self.passages.append(passage)
                self._leaving.append((self.second + AFTER_SECONDS, passage))
        self._present = present
        self._settle()

    def _settle(self) -> None:
        """Close the records of vehicles that are far enough behind the stop line."""
        running = None
        while self._leaving and self._leaving[0][0] <= self.second:
            _, passage = self._leaving.popleft()
            running = running or set(self._sumo.vehicle.getIDList())
            if passage.vehicle in running:
                passage.exit_loss = self._sumo.vehicle.getTimeLoss(passage.vehicle)

    def _see(self, passage: Passage) -> None:
        """Whether a vehicle stands, other than at a scheduled stop, and where."""
        vehicle, name = self._sumo.vehicle, passage.vehicle
        stands = vehicle.getSpeed(name) < STANDING and not vehicle.isStopped(name)
        if stands and not passage.stands:
            passage.stops += 1
            passage.link, passage.reach = None, 0.0
            for light, link, distance, _ in vehicle.getNextTLS(name):
                if light == self._light:
                    passage.link, passage.reach = link, distance + vehicle.getLength(name)
                    break
        passage.stands = stands

    def _movement(self, name: str, approach: int) -> int | None:
        """The way on which the route of a vehicle crosses the light from this approach."""
        route = self._sumo.vehicle.getRoute(name)[max(0, self._sumo.vehicle.getRouteIndex(name)) :]
        keys = ((approach, *pair) for pair in pairwise(route))
        return next((self._movements[key] for key in keys if key in self._movements), None)

    def _waiting(self) -> list[Passage]:
        """Of vehicles that wait to enter the map on an approach."""
        names = [
            (name, approach)
            for approach, edges in enumerate(self._edges)
            for edge in edges
            for name in self._sumo.edge.getPendingVehicles(edge)
        ]
        self._pending = {
            name: self._pending.get(name) or Passage(name, approach, self._movement(name, approach))
            for name, approach in names
        }
        return list(self._pending.values())

    def _called_crossings(self) -> set[int]:
        """Signals of crossings before which somebody stands."""
        person, called = self._sumo.person, set()
        for link, crossing, areas in self._crossings:
            self.crossed.update((link, name) for name in self._sumo.edge.getLastStepPersonIDs(crossing))
            for area in areas:
                for name in self._sumo.edge.getLastStepPersonIDs(area):
                    if person.getSpeed(name) < STANDING and person.getNextEdge(name) == crossing:
                        called.add(link)
                        self.stood[name] += 1
        return called

    def _measure_queues(self, state: str) -> None:
        waiting = self._waiting()
        self.states.append(state)
        for record, links in zip(self.movements, self._links, strict=True):
            is_green = any(state[link] in GREEN for link in links)
            if record.is_green and not is_green:
                record.turns.append(Turn())
            record.is_green = is_green
            record.green_seconds += is_green
        vehicles, metres = [0] * len(self.movements), [0.0] * len(self.movements)
        for passage in (*self._present.values(), *waiting):
            # Who waits to enter counts as a vehicle of the queue, but has no place on the road.
            if passage.movement is not None and (passage.stands or passage.vehicle in self._pending):
                vehicles[passage.movement] += 1
                metres[passage.movement] = max(metres[passage.movement], passage.reach)
        for record, number, length in zip(self.movements, vehicles, metres, strict=True):
            record.queue, turn = number, record.turns[-1]
            turn.vehicles, turn.metres = max(turn.vehicles, number), max(turn.metres, length)


def _crossings(sumo: Any, light: str) -> Any:
    """Of each crossing its signal, its edge, and the walking areas at its two ends."""
    for index, links in enumerate(sumo.trafficlight.getControlledLinks(light)):
        for start, end, _ in links:
            if start.startswith(":") and end.startswith(":"):
                far = [link[0] for link in sumo.lane.getLinks(end)]
                yield index, _edge(end), tuple({_edge(start): None, **{_edge(lane): None for lane in far}})


def _edge(lane: str) -> str:
    return lane.rpartition("_")[0]
