"""Reading of network files, choice of the controlled light, and remedies for maps that do not fit."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax import SAXException

import sumolib

from genreplay.common.errors import UserError, first_line
from genreplay.envs.sumo.xml_file import outside, read_xml

MAX_NAMED = 8
"""Lights named in a message."""
MAX_SHOWN = 60
"""Characters of a name in a message."""
MEASURES = ("length", "speed", "width", "shape", "x", "y", "duration", "minDur", "maxDur", "yellow", "red", "linkIndex")
"""Attributes that hold numbers."""
LARGEST_MEASURE = 1e9
"""m or s; no road and no green reaches it."""


@contextmanager
def reading(net_file: Path) -> Iterator[None]:
    """Turns what a file that is no network leads to, in sumolib or here, into a UserError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, SAXException, OSError, TypeError, ValueError) as error:
        raise UserError(
            f"env.net_file: {net_file} is not a SUMO network ({first_line(error)}); make one with netconvert"
        ) from error


def _check_measures(tag: str, attributes: Mapping[str, str]) -> None:
    """ValueError for a measure that is no finite number."""
    for key in MEASURES:
        for number in attributes.get(key, "").replace(",", " ").split():
            if not abs(float(number)) < LARGEST_MEASURE:
                raise ValueError(f"{tag} {attributes.get('id', '')[:MAX_SHOWN]!r} has {key}={number[:MAX_SHOWN]!r}")


def read_net(net_file: Path) -> Any:
    """The network, as sumolib reads it, whose elements are those of a road network alone.

    Raises:
        UserError: the file is not a SUMO network, or would make SUMO open or write another file.
    """
    is_first = True

    def see(tag: str, attributes: dict[str, str]) -> None:
        nonlocal is_first
        if is_first and tag != "net":
            raise UserError(
                f"env.net_file: {net_file} is not a SUMO network but a file of <{tag}>; {_maker(net_file, tag)}"
            )
        is_first = False
        found = outside(tag, attributes)
        if found is not None:
            raise UserError(
                f"env.net_file: {net_file} has {found[:MAX_SHOWN]}, by which SUMO could open or write other files; "
                "delete it, and list the additional file it came from in env.additional_files"
            )
        _check_measures(tag, attributes)

    with reading(net_file):
        read_xml(net_file, see)
        return sumolib.net.readNet(str(net_file), withPrograms=True)


def chosen_light(net: Any, net_file: Path, name: str | None) -> Any:
    """The traffic light `name` of a network, or its only one.

    Raises:
        UserError: there is no such light, none at all, or several and no name.
    """
    lights = [light for light in net.getTrafficLights() if light.getConnections()]
    named = [light for light in lights if light.getID() == name]
    if named:
        return named[0]
    if name is not None and lights:
        close = difflib.get_close_matches(name, [light.getID() for light in lights], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {_listed(lights)}"
        raise UserError(f"env.light: {net_file} has no traffic light {name!r}; {hint}")
    if len(lights) == 1:
        return lights[0]
    if not lights:
        raise UserError(f"env.net_file: {net_file} has no traffic light; {_how_to_add_one(net, net_file)}")
    raise UserError(
        f"env.net_file: {net_file} has {len(lights)} traffic lights ({_listed(lights)}); name the one to control with "
        f"env.light, such as env.light={max(lights, key=_size).getID()} (the others keep their programmes)"
    )


def _listed(lights: Sequence[Any]) -> str:
    names = [light.getID() for light in lights]
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")


def _size(light: Any) -> int:
    return len(light.getConnections())


def _maker(path: Path, tag: str) -> str:
    """How to make a network from a file of another kind."""
    if tag == "osm":
        return f"convert it with: netconvert --osm-files {path} --tls.join --output-file one.net.xml"
    return "name the .net.xml file that netedit or netconvert wrote"


def _how_to_add_one(net: Any, net_file: Path) -> str:
    """A command that adds a light to the junction with most connections."""
    junctions = [node for node in net.getNodes() if len(node.getIncoming()) > 1]
    if not junctions:
        return "use a map of a junction"
    largest = max(junctions, key=lambda node: len(node.getConnections()))
    return f"add one, such as with: netconvert -s {net_file} --tls.set {largest.getID()} -o one.net.xml"
