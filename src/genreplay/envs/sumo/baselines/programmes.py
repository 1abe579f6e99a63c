"""Signal programmes that SUMO runs by itself (constant, actuated, delay-based), written as an additional file.

Shapes: P stages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.signals.plan import SignalPlan
from genreplay.envs.sumo.signals.timing import Timing

PROGRAMME_ID = "baseline"
RUN_OUT = 7200
"""s"""

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
    offset: int = 0
    """When a cycle begins, s."""

    @property
    def is_prolonged(self) -> bool:
        """Whether SUMO decides how long its greens are."""
        return self.kind != "static"

    def to_xml(self, light: str) -> Element:
        """The additional file that gives the light this programme."""
        root = Element("additional")
        logic = ElementTree.SubElement(
            root, "tlLogic", id=light, type=self.kind, programID=PROGRAMME_ID, offset=str(self.offset)
        )
        for key, value in self.settings.items():
            ElementTree.SubElement(logic, "param", key=key, value=value)
        for phase in self.phases:
            entry = ElementTree.SubElement(logic, "phase", duration=str(phase.seconds), state=phase.state)
            if phase.longest > phase.seconds:
                entry.set("minDur", str(phase.seconds))
                entry.set("maxDur", str(phase.longest))
        return root


def constant(intersection: Intersection, greens: Sequence[int]) -> Programme:
    """Every stage in the plan's order for its seconds in `greens` `[P]`; a stage with 0 is left out."""
    return Programme("static", _with_transitions(intersection.plan, [(green, green) for green in greens]))


def by_time(intersection: Intersection, begin: int, plans: Sequence[tuple[float, Sequence[int]]]) -> Programme:
    """Plans of constant greens one after another; each begins with the first cycle after the end of the one before.

    SUMO runs it as one programme that is longer than the episode.

    Args:
        intersection: of the light.
        begin: of the first plan, s.
        plans: the end of each, s, and its greens, `[P]`. The last one goes on for `RUN_OUT` more.
    """
    phases: list[Phase] = []
    now = begin
    for i, (end, greens) in enumerate(plans):
        cycle = constant(intersection, greens).phases
        until = end + (RUN_OUT if i == len(plans) - 1 else 0)
        while now < until:
            phases += cycle
            now += sum(phase.seconds for phase in cycle)
    return Programme("static", tuple(phases), offset=begin)


def actuated(timing: Timing) -> Programme:
    """SUMO's actuated control: a green is prolonged while vehicles follow each other closely."""
    return Programme("actuated", _prolonged(timing), ACTUATED_SETTINGS)


def delay_based(timing: Timing) -> Programme:
    """SUMO's delay-based control: a green is prolonged while vehicles in sight have lost time."""
    return Programme("delay_based", _prolonged(timing), DELAY_BASED_SETTINGS)


def _prolonged(timing: Timing) -> tuple[Phase, ...]:
    """Every green for as long as SUMO decides, within its stage's bounds."""
    return _with_transitions(timing.plan, [(stage.min_green, stage.max_green) for stage in timing.plan.stages])


def _with_transitions(plan: SignalPlan, bounds: Sequence[tuple[int, int]]) -> tuple[Phase, ...]:
    """The greens in order, with the plan's transitions between them."""
    phases: list[Phase] = []
    shown = [p for p, (_, longest) in enumerate(bounds) if longest > 0]
    for place, p in enumerate(shown):
        phases.append(Phase(plan.stages[p].state, *bounds[p]))
        phases += [Phase(*step, step.seconds) for step in plan.transitions[p][shown[(place + 1) % len(shown)]]]
    return tuple(phases)
