"""Signal programmes that SUMO runs by itself (constant, actuated, delay-based), written as an additional file.

Shapes: P phases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from genreplay.envs.sumo.actions import Timing
from genreplay.envs.sumo.network.intersection import Intersection, cleared_state, yellow_state

PROGRAMME_ID = "baseline"

ACTUATED_SETTINGS = {
    "max-gap": "2.0",  # s without a vehicle on a detector, after which a green ends
    "detector-gap": "1.0",  # s of driving between a detector and the stop line
    "jam-threshold": "30",  # s of standing on a detector, after which it is ignored: a jam ahead would occupy it
}
DELAY_BASED_SETTINGS = {
    "detectorRange": "200",  # m before the stop line in which vehicles are seen
}


class Phase(NamedTuple):
    """One entry of a programme."""

    state: str
    seconds: int
    """Length, s; the shortest if SUMO decides."""
    longest: int
    """The longest, s; equal to `seconds` if the length is fixed."""


@dataclass(frozen=True)
class Programme:
    """One signal programme."""

    kind: str
    """`static`, `actuated` or `delay_based`: SUMO's own types."""
    phases: tuple[Phase, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the type, under SUMO's own names."""

    def to_xml(self, light: str) -> Element:
        """The additional file that gives the light this programme."""
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


def constant(intersection: Intersection, timing: Timing, greens: Sequence[int]) -> Programme:
    """Every green phase in the map's order for its seconds in `greens` `[P]`."""
    return Programme("static", _with_intergreens(intersection, timing, [(green, green) for green in greens]))


def actuated(intersection: Intersection, timing: Timing) -> Programme:
    """SUMO's actuated control: a green is prolonged while vehicles follow each other closely."""
    return Programme("actuated", _prolonged(intersection, timing), ACTUATED_SETTINGS)


def delay_based(intersection: Intersection, timing: Timing) -> Programme:
    """SUMO's delay-based control: a green is prolonged while vehicles in sight have lost time."""
    return Programme("delay_based", _prolonged(intersection, timing), DELAY_BASED_SETTINGS)


def _prolonged(intersection: Intersection, timing: Timing) -> tuple[Phase, ...]:
    """Every green for as long as SUMO decides, within the bounds of a policy's."""
    bounds = [(timing.min_green, timing.max_green)] * len(intersection.greens)
    return _with_intergreens(intersection, timing, bounds)


def _with_intergreens(
    intersection: Intersection, timing: Timing, bounds: Sequence[tuple[int, int]]
) -> tuple[Phase, ...]:
    """The greens with the same yellow and all-red between them as a policy's (`Simulator.decide`)."""
    phases: list[Phase] = []
    greens = intersection.greens
    for i, (green, (shortest, longest)) in enumerate(zip(greens, bounds, strict=True)):
        yellow = yellow_state(green, greens[(i + 1) % len(greens)])
        phases.append(Phase(green, shortest, longest))
        phases.append(Phase(yellow, timing.yellow_time, timing.yellow_time))
        if timing.all_red_time > 0:
            phases.append(Phase(cleared_state(yellow), timing.all_red_time, timing.all_red_time))
    return tuple(phases)
