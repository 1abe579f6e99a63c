"""Reading of a programme as stages and what the programme shows between them.

Shapes: L links of the light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from genreplay.envs.sumo.signals.plan import GREEN, SERVED, Step
from genreplay.envs.sumo.signals.programme import MapProgramme, Phase

LONGEST_CLEARANCE = 25.0
"""A phase in which nothing but crossings has lost green is pedestrian clearance up to this length, s; else a stage."""
LONGEST_LEAD = 10.0
"""A phase after which more links get green, and none loses it, is a part of the next stage up to this length, s."""
DARK = frozenset("oOrs")
CHANGING = frozenset("yYuU")


class Change(NamedTuple):
    """What the programme shows from the green of one stage to the green of the next."""

    start: int
    """Index in `Programme.stages`."""
    end: int
    steps: tuple[Step, ...]


@dataclass
class StagesRead:
    """The stages of a programme, before transitions of all pairs are made."""

    states: list[str] = field(default_factory=list)
    """Green states, in the programme's order."""
    phases: list[list[Phase]] = field(default_factory=list)
    """The phases of each of them."""
    changes: list[Change] = field(default_factory=list)
    last_steps: dict[int, tuple[Step, ...]] = field(default_factory=dict)
    """Steps after a stage that no green follows, but the light is switched off."""


def always_green(states: Sequence[str]) -> frozenset[int]:
    """Links with green, with a green arrow or without signal in every state that is not dark: slip lanes."""
    lit = [state for state in states if not is_dark(state, states)]
    return frozenset(i for i in range(len(lit[0]) if lit else 0) if all(state[i] in SERVED for state in lit))


def is_dark(state: str, states: Sequence[str]) -> bool:
    """Whether the light is switched off or blinks: `o` or `O` and red for all links that change in a programme."""
    changing = {state[i] for i, column in enumerate(zip(*states, strict=True)) if len(set(column)) > 1}
    return changing <= DARK and bool(changing & set("oO"))


def greens(state: str, excluded: frozenset[int]) -> frozenset[int]:
    """Links with green, without `excluded`."""
    return frozenset(i for i, c in enumerate(state) if c in GREEN and i not in excluded)


def read_stages(programme: MapProgramme, crossings: frozenset[int]) -> StagesRead:
    """The stages of a programme of phases in a cycle.

    A phase with yellow or red-amber, with red alone, with pedestrian clearance alone, or switched off, is no stage.

    Args:
        programme: static, actuated or delay-based.
        crossings: the links of pedestrians.
    """
    phases = programme.phases
    states = [phase.state for phase in phases]
    free = always_green(states)
    kinds = [_is_green(phase.state, free) and not is_dark(phase.state, states) for phase in phases]
    for i, phase in enumerate(phases):
        if kinds[i] and _is_clearance(phases[i - 1], phase, crossings, free) and _follows_green(kinds, phases, i, free):
            kinds[i] = False
    for i, phase in enumerate(phases):
        following = phases[(i + 1) % len(phases)]
        if kinds[i] and kinds[(i + 1) % len(phases)] and _is_lead(phase, following, free):
            kinds[i] = False
    found = StagesRead()
    for phase, is_stage in zip(phases, kinds, strict=True):
        if is_stage and phase.state not in found.states:
            found.states.append(phase.state)
            found.phases.append([])
        if is_stage:
            found.phases[found.states.index(phase.state)].append(phase)
    _read_changes(phases, kinds, found)
    return found


def _is_green(state: str, free: frozenset[int]) -> bool:
    return not set(state) & CHANGING and bool(greens(state, free))


def _is_fixed(phase: Phase) -> bool:
    return phase.longest is None or phase.longest <= max(phase.shortest or 0.0, phase.seconds)


def _is_clearance(before: Phase, phase: Phase, crossings: frozenset[int], free: frozenset[int]) -> bool:
    """Whether only crossings lost their green, for a short fixed time."""
    was, now = greens(before.state, free), greens(phase.state, free)
    return now < was and was - now <= crossings and _is_fixed(phase) and phase.seconds <= LONGEST_CLEARANCE


def _follows_green(kinds: Sequence[bool], phases: Sequence[Phase], i: int, free: frozenset[int]) -> bool:
    return kinds[i - 1] or bool(greens(phases[i - 1].state, free))


def _is_lead(phase: Phase, following: Phase, free: frozenset[int]) -> bool:
    """Whether the next phase only adds green to this short one."""
    now, then = greens(phase.state, free), greens(following.state, free)
    return now < then and phase.longest is None and phase.seconds <= LONGEST_LEAD


def _read_changes(phases: Sequence[Phase], kinds: Sequence[bool], found: StagesRead) -> None:
    """Fill in what the programme shows after each stage, up to the next one."""
    states = [phase.state for phase in phases]
    for i, is_stage in enumerate(kinds):
        if not is_stage:
            continue
        start, steps, j = found.states.index(phases[i].state), [], (i + 1) % len(phases)
        while not kinds[j] and not is_dark(phases[j].state, states):
            steps.append(Step(phases[j].state, int(np.ceil(phases[j].seconds))))
            j = (j + 1) % len(phases)
        if kinds[j]:
            end = found.states.index(phases[j].state)
            if start != end:
                found.changes.append(Change(start, end, tuple(steps)))
        elif steps:
            found.last_steps[start] = tuple(steps)
