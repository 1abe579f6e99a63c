"""NEMA programmes: two rings with barriers, read as the stages that they allow.

In a NEMA controller one phase of each ring is green at a time. Both rings cross a barrier together, so phases on
different sides of it are never green at the same time. A stage is a pair of phases, one of each ring, on one side.

Source: SUMO's documentation, "Simulation / NEMA"; FHWA, Signal Timing Manual, 2nd edition, 4.1 to 4.3.

Shapes: L links of the light.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from genreplay.common.errors import UserError
from genreplay.envs.sumo.signals.programme import MapProgramme, Phase


class NemaStage(NamedTuple):
    """One phase of each ring, green together."""

    state: str
    phases: tuple[Phase, ...]


def read_nema(programme: MapProgramme, where: str) -> list[NemaStage]:
    """The stages of a NEMA programme, in the order of the rings: both first phases, ..., both last ones.

    Args:
        programme: a programme of SUMO's type NEMA.
        where: the light and its file, for messages.

    Raises:
        UserError: the rings or barriers are missing or do not fit the phases.
    """
    by_name = {phase.name: phase for phase in programme.phases}
    rings = [_names(programme, f"ring{i}") for i in (1, 2)]
    barriers = [set(_names(programme, key)) for key in ("barrierPhases", "barrier2Phases")]
    unknown = [name for name in (*rings[0], *rings[1], *barriers[0], *barriers[1]) if name not in by_name]
    if unknown or not any(rings) or not all(barriers):
        raise UserError(
            f"env.net_file: the NEMA programme {programme.name!r} of {where} "
            + (f"names the phase {unknown[0]!r}, which it does not have" if unknown else "lacks rings or barriers")
            + "; give it the parameters ring1, ring2, barrierPhases and barrier2Phases with the names of its phases"
        )
    sides = zip(*(_sides(ring, barriers) for ring in rings), strict=True)
    stages: list[NemaStage] = []
    for first, second in sides:
        # Both rings advance from their first phase on this side to their last one.
        pairs = sorted(
            ((a, b) for a in range(max(1, len(first))) for b in range(max(1, len(second)))),
            key=lambda pair: (sum(pair), pair),
        )
        for a, b in pairs:
            names = [*first[a : a + 1], *second[b : b + 1]]
            phases = tuple(by_name[name] for name in names)
            if phases:
                stages.append(NemaStage(_merge([phase.state for phase in phases]), phases))
    return stages


def _names(programme: MapProgramme, key: str) -> list[str]:
    return [name.strip() for name in programme.settings.get(key, "").split(",") if name.strip() not in ("", "0")]


def _sides(ring: Sequence[str], barriers: Sequence[set[str]]) -> list[list[str]]:
    """The phases of a ring up to each barrier, the side of the first barrier in `barriers` first.

    A barrier is named by the phases that end at it.
    """
    parts: list[list[str]] = [[]]
    for name in ring:
        parts[-1].append(name)
        if any(name in barrier for barrier in barriers):
            parts.append([])
    last, parts = parts[-1], parts[:-1]
    if last and parts:
        parts[0] = [*last, *parts[0]]
    ends = [next((part for part in parts if part and part[-1] in barrier), []) for barrier in barriers]
    return ends[::-1]


def _merge(states: Sequence[str]) -> str:
    """The most that any of the states gives each link."""
    order = "rsugG"
    return "".join(max(links, key=order.index) for links in zip(*states, strict=True))
