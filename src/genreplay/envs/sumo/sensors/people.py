"""People who wait for a crossing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genreplay.envs.sumo.network.intersection import Section
from genreplay.envs.sumo.sensors.part import STANDING, Part

HOW_TO_READ_BUTTONS = (
    "The button of a crossing is 1 while somebody stands on its walking areas and crosses next, else 0."
)


class PeopleAtCrossing:
    """People at the ends of a crossing who wait for it, read as the vehicles of a lane are."""

    def __init__(self, sumo: Any, crossing: str):
        self._sumo, self._crossing = sumo, crossing

    def getLastStepHaltingNumber(self, area: str) -> int:
        """People who stand on a walking area and cross next."""
        person = self._sumo.person
        return sum(
            person.getSpeed(name) < STANDING and person.getNextEdge(name) == self._crossing
            for name in self._sumo.edge.getLastStepPersonIDs(area)
        )

    getLastStepVehicleNumber = getLastStepHaltingNumber

    def getLastStepMeanSpeed(self, area: str) -> float:
        """They stand, m/s."""
        return 0.0


def button_part(crossings: Sequence[Section]) -> Part:
    """The push buttons of an observation."""
    names = tuple(section.name for section in crossings)
    return Part("button", "1 while somebody waits", names, np.ones(len(names)), grid=1.0)


class Buttons:
    """Push buttons of the crossings: whether anybody waits.

    Args:
        sumo: the connection.
        crossings: K of them.
    """

    def __init__(self, sumo: Any, crossings: Sequence[Section]):
        self._ends = [(PeopleAtCrossing(sumo, section.crossing or ""), section.edges) for section in crossings]

    def pressed(self) -> np.ndarray:
        """1 where somebody waits now, else 0, `[K]`."""
        return np.array(
            [float(any(people.getLastStepHaltingNumber(area) for area in areas)) for people, areas in self._ends]
        )
