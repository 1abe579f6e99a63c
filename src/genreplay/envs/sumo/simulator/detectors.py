"""What rules read in a running simulation (see `rules.Sight`), and the induction loops that some of them need.

Shapes: P stages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from genreplay.envs.sumo.baselines.cabinet import STOP_LINE_LOOP, ZONE, passage, stop_line
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.sensors.people import PeopleAtCrossing


class Detectors:
    """Counts, zones and loops of one intersection.

    Args:
        sumo: the connection.
        intersection: its light, lanes and crossings.
        waited: how long somebody may have waited for each stage, s, `[P]`.
    """

    def __init__(self, sumo: Any, intersection: Intersection, waited: Callable[[], Sequence[float]]):
        self.waited = waited
        self._sumo, self._light = sumo, intersection.light
        self.vehicles, self.halting = sumo.lane.getLastStepVehicleNumber, sumo.lane.getLastStepHaltingNumber
        self.clock = sumo.simulation.getTime
        self._crossings = [
            (PeopleAtCrossing(sumo, section.crossing), section.edges, links)
            for section, links in zip(intersection.sections, intersection.section_links, strict=True)
            if section.crossing is not None
        ]

    def coming(self) -> frozenset[int]:
        """Links that vehicles in the last `ZONE` metres before the stop line take next."""
        return frozenset(link for link, _ in self.approaching(ZONE))

    def approaching(self, reach: float) -> list[tuple[int, float]]:
        """The link that each vehicle in the last `reach` metres takes next, and its distance to the stop line, m."""
        return approaching(self._sumo.vehicle, self._light, reach)

    def walkers(self) -> frozenset[int]:
        """Links of the crossings that somebody waits for."""
        return frozenset(
            link
            for people, areas, links in self._crossings
            if any(people.getLastStepHaltingNumber(area) for area in areas)
            for link in links
        )

    def quiet(self, loop: str) -> float:
        """Time since a vehicle was on an induction loop, s; 0 while one is."""
        return self._sumo.inductionloop.getTimeSinceDetection(loop)


def approaching(vehicle: Any, light: str, reach: float) -> list[tuple[int, float]]:
    """The link that each vehicle in the last `reach` metres before the stop line takes next, and its distance, m,
    whatever road it is on.
    """
    ahead = [lights[0] for name in vehicle.getIDList() if (lights := vehicle.getNextTLS(name))]
    return [(link, metres) for its_light, link, metres, _ in ahead if its_light == light and metres <= reach]


def loops_to_xml(intersection: Intersection) -> Element:
    """The additional file with both loops of each controlled lane.

    On a lane shorter than `ZONE` the passage loop lies at its beginning.
    """
    root = Element("additional")
    for lane in dict.fromkeys(link.from_lane for link in intersection.links):
        for name, metres, length in ((stop_line(lane), STOP_LINE_LOOP, STOP_LINE_LOOP), (passage(lane), ZONE, 0.0)):
            ElementTree.SubElement(
                root,
                "inductionLoop",
                id=name,
                lane=lane,
                pos=f"{-metres:g}",
                length=f"{length:g}",
                friendlyPos="true",
                file="NUL",
            )
    return root
