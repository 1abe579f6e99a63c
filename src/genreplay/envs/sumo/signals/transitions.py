"""Transitions between any two stages: what the programme shows where it does, else made by rule.

The rule keeps what the programme shows of each link: how long it stays green while pedestrians clear, its yellow, its
red and amber, and for each pair of conflicting links the red between the end of one's yellow and the other's green.

Shapes: P stages, L links of the light.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from genreplay.envs.sumo.signals.plan import GREEN, PERMISSIVE, PROTECTED, Step
from genreplay.envs.sumo.signals.reading import Change

WALKING_SPEED = 1.07
"""m/s; pedestrian clearance made by rule is the crossing's length at this speed (3.5 ft/s, MUTCD 2009, 4E.06)."""
DEFAULT_YELLOW = 3
"""Yellow where the programme shows none, s."""


@dataclass
class Timings:
    """Times of single links that a programme shows, s."""

    yellow: dict[int, int] = field(default_factory=dict)
    """By link."""
    amber: dict[int, int] = field(default_factory=dict)
    """Red and amber before green, by link."""
    lead: dict[int, dict[int, int]] = field(default_factory=dict)
    """How much before the last links of a stage a link gets green, by stage and link."""
    end: dict[int, dict[int, int]] = field(default_factory=dict)
    """When a link's yellow begins after the end of a stage, by stage and link."""
    red: dict[tuple[int, int], int] = field(default_factory=dict)
    """From the end of yellow (for crossings, of green) to the green of a conflicting link, by both."""


@dataclass(frozen=True)
class Rules:
    """Everything a transition is made from.

    Args:
        states: green states of the stages, `[P]` of `[L]`.
        conflicts: whether two links conflict, `[L, L]`.
        crossings: length by pedestrian link, m.
        always_green: links that are never stopped.
        timings: what the programme shows.
        least_yellow: yellow of vehicles is at least this, s.
        least_red: red between conflicting vehicles is at least this, s.
    """

    states: Sequence[str]
    conflicts: np.ndarray
    crossings: Mapping[int, float]
    always_green: frozenset[int]
    timings: Timings
    least_yellow: int = 0
    least_red: int = 0

    def yellow(self, link: int) -> int:
        """Yellow of a link, s."""
        shown = self.timings.yellow
        if link in self.crossings:
            return shown.get(link, 0)
        others = [seconds for other, seconds in shown.items() if other not in self.crossings]
        return max(self.least_yellow, shown.get(link, max(others, default=DEFAULT_YELLOW)))

    def red(self, ending: int, starting: int) -> int:
        """From the end of yellow of one link to the green of a conflicting one, s."""
        is_crossing = ending in self.crossings
        shown = self.timings.red.get((ending, starting))
        if shown is None:
            alike = [s for (a, _), s in self.timings.red.items() if (a in self.crossings) == is_crossing]
            by_rule = math.ceil(self.crossings[ending] / WALKING_SPEED) if is_crossing else 0
            shown = max(alike, default=by_rule)
        return shown if is_crossing else max(self.least_red, shown)


def read_timings(
    states: Sequence[str], changes: Sequence[Change], rest: Mapping[int, tuple[Step, ...]], conflicts: np.ndarray
) -> Timings:
    """The times that a programme shows in its changes of stage; the longest where it shows several."""
    found = Timings()
    for start, end, steps in [*changes, *((p, None, steps) for p, steps in rest.items())]:
        seconds = [c for step in steps for c in [step.state] * step.seconds]
        before = states[start]
        after = states[end] if end is not None else "r" * len(before)
        ends: dict[int, int] = {}
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            column = [state[i] for state in seconds]
            if old in GREEN and new not in GREEN:
                ends[i] = next((t for t, c in enumerate(column) if c not in GREEN), len(column))
                yellow = len([c for c in column[ends[i] :] if c in "yY"])
                _raise(found.end.setdefault(start, {}), i, ends[i])
                if yellow:
                    _raise(found.yellow, i, yellow)
                ends[i] += yellow
        if end is None:
            continue
        for j, (old, new) in enumerate(zip(before, after, strict=True)):
            column = [state[j] for state in seconds]
            begin = next((t for t, c in enumerate(column) if c in GREEN), len(column))
            if old in PERMISSIVE and new in PROTECTED:
                begin = len(column)
            elif old in GREEN or new not in GREEN:
                continue
            _raise(found.amber, j, len([c for c in column[:begin] if c in "uU"]))
            if old not in GREEN:
                _raise(found.lead.setdefault(end, {}), j, len(column) - begin)
            for i, ended in ends.items():
                if conflicts[i, j]:
                    _raise(found.red, (i, j), max(0, begin - ended))
    return found


def _raise(table: dict, key: object, value: int) -> None:
    table[key] = max(value, table.get(key, 0))


def make_transition(rules: Rules, start: int, end: int) -> tuple[Step, ...]:
    """The steps between two stages that are safe by the programme's own times."""
    old, new, timings = rules.states[start], rules.states[end], rules.timings
    links = [i for i in range(len(old)) if i not in rules.always_green]
    starting = [j for j in links if old[j] not in GREEN and new[j] in GREEN]
    promoted = [j for j in links if old[j] in PERMISSIVE and new[j] in PROTECTED]
    ending = [
        i for i in links if old[i] in GREEN and (new[i] not in GREEN or _is_demoted(rules, old, new, i, starting))
    ]
    shown = timings.end.get(start, {})
    latest = max((t for i, t in shown.items() if i not in rules.crossings), default=0)
    ends = {i: shown.get(i, 0 if i in rules.crossings else latest) for i in ending}
    first = min(ends.values(), default=0)
    ends = {i: t - first for i, t in ends.items()}
    yellow = {i: rules.yellow(i) for i in ending}
    lead = {j: timings.lead.get(end, {}).get(j, 0) for j in starting}
    total = max(
        [
            *(ends[i] + yellow[i] for i in ending),
            *(lead[j] + timings.amber.get(j, 0) for j in starting),
            *(
                ends[i] + yellow[i] + rules.red(i, j) + lead.get(j, 0)
                for i in ending
                for j in [*starting, *promoted]
                if rules.conflicts[i, j]
            ),
            # People clear the crossing even if nobody who conflicts starts: the next stage may end at once.
            *(
                ends[i] + yellow[i] + rules.red(i, j)
                for i in ending
                if i in rules.crossings
                for j in np.flatnonzero(rules.conflicts[i]).tolist()
            ),
        ],
        default=0,
    )

    def shows(link: int, second: int) -> str:
        if link in ends:
            if second < ends[link]:
                return old[link]
            return "y" if second < ends[link] + yellow[link] else "r"
        if link in lead:
            begin = total - lead[link]
            return new[link] if second >= begin else "u" if second >= begin - timings.amber.get(link, 0) else "r"
        return old[link] if old[link] in GREEN or link in rules.always_green else "r"

    states = ["".join(shows(link, second) for link in range(len(old))) for second in range(total)]
    return tuple(Step(state, len(list(run))) for state, run in groupby(states))


def _is_demoted(rules: Rules, old: str, new: str, link: int, starting: Sequence[int]) -> bool:
    """Whether the link has to give way from now on to one that starts: its protected green ends with yellow too."""
    return (
        old[link] in PROTECTED
        and new[link] in PERMISSIVE
        and any(new[j] in PROTECTED and rules.conflicts[link, j] for j in starting)
    )


def make_transitions(rules: Rules, changes: Sequence[Change]) -> tuple[tuple[tuple[Step, ...], ...], ...]:
    """The transitions of every pair of stages, `[P][P]`: the programme's own where it shows one, else made by rule.

    The programme's own is replaced where the yellow or red that are asked for are longer.
    """
    shown: dict[tuple[int, int], tuple[Step, ...]] = {}
    for start, end, steps in changes:
        if _length(steps) >= _length(shown.get((start, end), ())):
            shown[start, end] = steps
    stages = range(len(rules.states))
    is_longer = rules.least_yellow > 0 or rules.least_red > 0
    return tuple(
        tuple(
            ()
            if start == end
            else shown[start, end]
            if (start, end) in shown and not is_longer
            else make_transition(rules, start, end)
            for end in stages
        )
        for start in stages
    )


def _length(steps: Sequence[Step]) -> int:
    return sum(step.seconds for step in steps)
