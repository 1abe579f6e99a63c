"""Groups of links that are green together: streams of vehicles which the light cannot tell apart.

Shapes: G groups.
"""

from __future__ import annotations

from dataclasses import dataclass

from genreplay.envs.sumo.network.intersection import Intersection, Link


@dataclass(frozen=True)
class Group:
    """Links of vehicles that the same stages serve."""

    name: str
    """Its movements, such as `n_t straight right, s_t straight right`."""
    links: tuple[int, ...]
    """By position in the signal states."""
    num_lanes: int
    """Lanes from which its links begin."""


def groups_of(intersection: Intersection) -> tuple[Group, ...]:
    """The groups of an intersection in the order of their first links, `[G]`; each link of vehicles is in one."""
    found: dict[bytes, list[Link]] = {}
    for link in intersection.links:
        found.setdefault(intersection.plan.served[:, link.index].tobytes(), []).append(link)
    names = [_name(intersection, links) for links in found.values()]
    groups = []
    for name, links in zip(names, found.values(), strict=True):
        numbers = tuple(dict.fromkeys(link.index for link in links))
        unique = name if names.count(name) == 1 else f"{name} (links {' '.join(map(str, numbers))})"
        groups.append(Group(unique, numbers, len({link.from_lane for link in links})))
    return tuple(groups)


def _name(intersection: Intersection, links: list[Link]) -> str:
    turns: dict[str, dict[str, None]] = {}
    for link in links:
        movement = intersection.movements[link.movement]
        turns.setdefault(movement.from_edge, {})[movement.turn] = None
    return ", ".join(" ".join([edge, *each]) for edge, each in turns.items())
