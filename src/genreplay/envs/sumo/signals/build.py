"""From a network file to the plan of its light.

Shapes: P stages, L links of the light.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.signals.nema import read_nema
from genreplay.envs.sumo.signals.plan import GREEN, PROTECTED, SignalPlan, Stage
from genreplay.envs.sumo.signals.programme import (
    KINDS,
    MapProgramme,
    Phase,
    SignalFile,
    choose_programme,
    read_signal,
)
from genreplay.envs.sumo.signals.reading import always_green, read_stages
from genreplay.envs.sumo.signals.transitions import Rules, Timings, make_transitions, read_timings

MIN_GREEN, MAX_GREEN = 5, 45
"""Bounds of a green where neither the options nor the programme say, s."""
MIN_WALK = 7
"""Shortest walk, s (MUTCD 2009, 4E.06), where the programme shows no shorter one."""
MAX_RED_CYCLES, MAX_RED_RANGE = 1.5, (60, 120)
"""Default of `env.max_red` in cycles of the programme, and its limits, s."""


class _Draft(NamedTuple):
    """Stages before their transitions and bounds."""

    states: list[str]
    phases: Sequence[Sequence[Phase]]
    """Phases of the programme that show each of them."""
    transitions: tuple
    always_green: frozenset[int]
    timings: Timings


def read_plan(net_file: Path, light: str, config: SumoConfig) -> SignalPlan:
    """The plan of the light, from the programme and with the bounds that `config` names.

    Raises:
        UserError: the programme cannot be controlled safely, or the options do not fit it.
    """
    signal = read_signal(net_file, light)
    programme = choose_programme(signal, light, config.programme, net_file)
    where = f"the traffic light {light!r} of {net_file}"
    _check_programme(programme, signal, where)
    draft = _draft(programme, signal, config, where)
    if len(draft.states) < 2:
        raise UserError(
            f"env.net_file: {where} has {len(draft.states)} green phase(s) in its programme {programme.name!r}, but "
            "at least two are needed; add phases in netedit, or make a new plan with: "
            f"netconvert -s {net_file} --tls.rebuild -o one.net.xml"
        )
    _check_greens(draft, signal, where)
    crossings = {link.number for link in signal.links if link.is_crossing}
    stages = tuple(
        _stage(
            number,
            state,
            draft.phases[number],
            crossings - draft.always_green,
            config,
            len(draft.states),
            programme.kind == "NEMA",
        )
        for number, state in enumerate(draft.states)
    )
    reds = [seconds for (a, _), seconds in draft.timings.red.items() if a not in crossings]
    yellows = [seconds for link, seconds in draft.timings.yellow.items() if link not in crossings]
    plan = SignalPlan(
        light,
        programme.name,
        programme.kind,
        stages,
        draft.transitions,
        draft.always_green,
        max([config.yellow_time or 0, *yellows]),
        max([config.all_red_time or 0, *reds]),
        round(sum(phase.seconds for phase in programme.phases)),
        0,
    )
    return _with_max_red(plan, config)


def _draft(programme: MapProgramme, signal: SignalFile, config: SumoConfig, where: str) -> _Draft:
    lengths = {link.number: link.length for link in signal.links if link.is_crossing}
    if programme.kind == "NEMA":
        nema = read_nema(programme, where)
        states, phases = [stage.state for stage in nema], [list(stage.phases) for stage in nema]
        free, changes = always_green(states), []
        timings = _nema_timings(programme, signal.conflicts, lengths)
    else:
        free = always_green([phase.state for phase in programme.phases])
        read = read_stages(programme, frozenset(lengths))
        states, phases, changes = read.states, read.phases, read.changes
        timings = read_timings(states, changes, read.last_steps, signal.conflicts)
    _check_least("yellow_time", config.yellow_time, max(timings.yellow.values(), default=0), where)
    shown = [seconds for (a, _), seconds in timings.red.items() if a not in lengths]
    _check_least("all_red_time", config.all_red_time, max(shown, default=0), where)
    rules = Rules(states, signal.conflicts, lengths, free, timings, config.yellow_time or 0, config.all_red_time or 0)
    return _Draft(states, phases, make_transitions(rules, changes), free, timings)


def _nema_timings(programme: MapProgramme, conflicts: np.ndarray, crossings: Mapping[int, float]) -> Timings:
    """Yellow and red of each phase, for the links that it serves."""
    found = Timings()
    for phase in programme.phases:
        for link, character in enumerate(phase.state):
            if character in GREEN and link not in crossings:
                if phase.yellow > 0:  # where a phase names none, the rule's default holds
                    found.yellow[link] = max(found.yellow.get(link, 0), math.ceil(phase.yellow))
                for other in np.flatnonzero(conflicts[link]).tolist():
                    found.red[link, other] = max(found.red.get((link, other), 0), math.ceil(phase.red))
    return found


def _stage(
    number: int,
    state: str,
    phases: Sequence[Phase],
    crossings: set[int],
    config: SumoConfig,
    num_stages: int,
    is_nema: bool,
) -> Stage:
    has_walk = any(state[link] in GREEN for link in crossings)
    shortest = [math.ceil(phase.shortest) for phase in phases if phase.shortest is not None]
    longest = [math.floor(phase.longest) for phase in phases if phase.longest is not None]
    seconds = round(sum(phase.seconds for phase in phases))
    if is_nema:  # its durations mean nothing
        seconds = min(longest, default=MAX_GREEN)
    least = _chosen(config.min_greens, number, config.min_green, max(shortest, default=MIN_GREEN), num_stages)
    if has_walk:
        least = max(least, min(MIN_WALK, seconds))
    most = _chosen(config.max_greens, number, config.max_green, min(longest, default=MAX_GREEN), num_stages)
    if most < least:
        raise UserError(
            f"env.max_green: the longest green of stage {number}, {most} s, is below its shortest, {least} s; set "
            "env.max_green, or env.max_greens with one number a stage, to at least that"
        )
    return Stage(state, least, most, seconds, has_walk)


def _chosen(by_stage: list[int] | None, number: int, for_all: int | None, plan: int, num_stages: int) -> int:
    if by_stage is not None:
        if len(by_stage) != num_stages:
            raise UserError(
                f"env.min_greens, env.max_greens: give one number for each of the {num_stages} stages, not "
                f"{list(by_stage)}; `genreplay junction` lists them"
            )
        return by_stage[number]
    return plan if for_all is None else for_all


def _with_max_red(plan: SignalPlan, config: SumoConfig) -> SignalPlan:
    least = sum(plan.stages[p].min_green + int(plan.intergreen[:, p].max()) for p in plan.round())
    if plan.kind == "NEMA":
        shown = plan.round(is_protected=True)
        longest = sum(plan.stages[p].green_seconds + int(plan.intergreen[:, p].max()) for p in shown)
        plan = replace(plan, cycle_seconds=longest)
    low, high = MAX_RED_RANGE
    default = min(high, max(low, round(MAX_RED_CYCLES * plan.cycle_seconds)))
    chosen = default if config.max_red is None else config.max_red
    if chosen < least:
        raise UserError(
            f"env.max_red: the light {plan.light!r} needs {least} s to serve everybody once with the shortest greens, "
            f"so nobody can be promised {chosen} s; set env.max_red to at least {least}, or shorten env.min_green"
        )
    return replace(plan, max_red=chosen)


def _check_least(option: str, value: int | None, shown: int, where: str) -> None:
    if value is not None and value < shown:
        raise UserError(
            f"env.{option}: {value} s is less than the {shown} s that the programme of {where} shows; set it to null "
            f"for the programme's own, or to at least {shown}"
        )


def _check_programme(programme: MapProgramme, signal: SignalFile, where: str) -> None:
    if programme.kind not in KINDS:
        raise UserError(
            f"env.net_file: the programme {programme.name!r} of {where} has the type {programme.kind!r}, which cannot "
            f"be read as stages; choose a programme of one of the types {', '.join(KINDS)} with env.programme"
        )
    num_links = 1 + max((link.number for link in signal.links), default=-1)
    for number, phase in enumerate(programme.phases):
        if len(phase.state) < num_links:
            raise UserError(
                f"env.net_file: phase {number} of the programme {programme.name!r} of {where} has a state of "
                f"{len(phase.state)} characters for {num_links} links; make it anew with netedit"
            )


def _check_greens(draft: _Draft, signal: SignalFile, where: str) -> None:
    """Check that no stage gives two conflicting links green without a duty to give way."""
    for number, state in enumerate(draft.states):
        protected = [i for i, c in enumerate(state) if c in PROTECTED and i < len(signal.conflicts)]
        for a in protected:
            for b in protected:
                if a < b and signal.conflicts[a, b] and not _merge_only(signal, a, b):
                    raise UserError(
                        f"env.net_file: stage {number} ({state}) of {where} gives the conflicting links {a} and {b} "
                        "green with right of way at the same time; write g for the one that has to give way, or "
                        "separate them"
                    )


def _merge_only(signal: SignalFile, a: int, b: int) -> bool:
    """Whether the two links only lead to the same road, so that vehicles merge."""
    roads = [{link.to_lane.rpartition("_")[0] for link in signal.links if link.number == number} for number in (a, b)]
    return bool(roads[0] & roads[1])
