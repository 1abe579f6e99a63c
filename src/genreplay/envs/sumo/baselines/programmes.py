"""Signal programmes that SUMO itself runs: constant, actuated and delay-based ones, as an additional file.

Shapes: P phases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from genreplay.envs.sumo.network.intersection import Intersection, cleared_state, yellow_state

PROGRAMME_ID = "baseline"

ACTUATED_SETTINGS = {
    "max-gap": "2.0",  # s without a vehicle on a detector, after which a green ends
    "detector-gap": "1.0",  # s of driving between a detector and the stop line
    "jam-threshold": "30",  # s of standing on a detector, after which it counts as broken: a jam beyond would hold it
}
DELAY_BASED_SETTINGS = {
    "detectorRange": "200",  # m before the stop line in which vehicles are seen
}


class Phase(NamedTuple):
    """One entry of a programme."""

    state: str
    seconds: int
    """How long; the shortest where SUMO decides."""
    longest: int
    """The longest, s; `seconds` where nothing is decided."""


@dataclass(frozen=True)
class Programme:
    """What SUMO's light is to run."""

    kind: str
    """`static`, `actuated` or `delay_based`: SUMO's own types."""
    phases: tuple[Phase, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the type, under SUMO's own names."""

    @property
    def cycle(self) -> int:
        """Length of the shortest cycle, s."""
        return sum(phase.seconds for phase in self.phases)

    def to_xml(self, light: str) -> Element:
        """An additional file that puts the light under this programme."""
        root = Element("additional")
        logic = ElementTree.SubElement(root, "tlLogic", id=light, type=self.kind, programID=PROGRAMME_ID, offset="0")
        for key, value in self.settings.items():
            ElementTree.SubElement(logic, "param", key=key, value=value)
        for phase in self.phases:
            entry = ElementTree.SubElement(logic, "phase", duration=str(phase.seconds), state=phase.state)
            if phase.longest > phase.seconds:
                entry.set("minDur", str(phase.seconds))
                entry.set("maxDur", str(phase.longest))
        return root


class Changes(NamedTuple):
    """How a light goes from one green to the next."""

    yellow_time: int
    """s"""
    all_red_time: int
    """s"""


def constant(intersection: Intersection, changes: Changes, greens: Sequence[int]) -> Programme:
    """Every green phase in the map's order for its seconds in `greens` `[P]`."""
    return Programme("static", _with_changes(intersection, changes, [(green, green) for green in greens]))


def actuated(intersection: Intersection, changes: Changes, min_green: int, max_green: int) -> Programme:
    """SUMO's actuated control: a green is prolonged while vehicles follow each other closely."""
    bounds = [(min_green, max_green)] * len(intersection.greens)
    return Programme("actuated", _with_changes(intersection, changes, bounds), ACTUATED_SETTINGS)


def delay_based(intersection: Intersection, changes: Changes, min_green: int, max_green: int) -> Programme:
    """SUMO's delay-based control: a green is prolonged while vehicles in sight have lost time."""
    bounds = [(min_green, max_green)] * len(intersection.greens)
    return Programme("delay_based", _with_changes(intersection, changes, bounds), DELAY_BASED_SETTINGS)


def _with_changes(intersection: Intersection, changes: Changes, bounds: Sequence[tuple[int, int]]) -> tuple[Phase, ...]:
    """The greens with the same yellow and all-red between them as a policy's (`Simulator.decide`)."""
    phases: list[Phase] = []
    greens = intersection.greens
    for i, (green, (shortest, longest)) in enumerate(zip(greens, bounds, strict=True)):
        yellow = yellow_state(green, greens[(i + 1) % len(greens)])
        phases.append(Phase(green, shortest, longest))
        phases.append(Phase(yellow, changes.yellow_time, changes.yellow_time))
        if changes.all_red_time > 0:
            phases.append(Phase(cleared_state(yellow), changes.all_red_time, changes.all_red_time))
    return tuple(phases)
