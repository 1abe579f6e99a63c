"""Reading of network files with one traffic light, and remedies for maps that do not fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax import SAXException

import sumolib

from genreplay.common.errors import UserError

MAX_NAMED = 8
"""Lights named in a message."""
LONGEST_CUT = 400.0
"""Half the width of the largest piece that a message suggests to cut out, m."""
CUT_MARGIN = 0.8
"""Extent of such a piece, as a fraction of the distance to the nearest other light."""


def read_net(net_file: Path) -> Any:
    """The network, as sumolib reads it.

    Raises:
        UserError: the file is not a SUMO network.
    """
    try:
        with sumolib.miscutils.openz(str(net_file), "rb") as file:
            _, root = next(ElementTree.iterparse(file, events=("start",)))
        if root.tag != "net":
            raise UserError(
                f"env.net_file: {net_file} is not a SUMO network but a file of <{root.tag}>; "
                f"{_maker(net_file, root.tag)}"
            )
        return sumolib.net.readNet(str(net_file), withPrograms=True)
    except (ElementTree.ParseError, SAXException, KeyError, ValueError, OSError) as error:
        raise UserError(f"env.net_file: {net_file} is not a SUMO network ({error}); make one with netconvert") from None


def only_light(net: Any, net_file: Path) -> Any:
    """The one traffic light of a network.

    Raises:
        UserError: there is none, or several.
    """
    lights = [light for light in net.getTrafficLights() if light.getConnections()]
    if len(lights) == 1:
        return lights[0]
    if not lights:
        raise UserError(f"env.net_file: {net_file} has no traffic light; {_how_to_add_one(net, net_file)}")
    names = [light.getID() for light in lights]
    listed = ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
    raise UserError(
        f"env.net_file: {net_file} has {len(lights)} traffic lights ({listed}), but only one can be controlled; "
        f"{_how_to_keep_one(lights, net_file)}"
    )


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


def _how_to_keep_one(lights: Sequence[Any], net_file: Path) -> str:
    """A command that keeps the largest light, and no or few others.

    A cut leaves stumps of neighbouring lights where a road's two directions end; another command removes their lights.
    """
    largest = max(lights, key=lambda light: len(light.getConnections()))
    others = [light for light in lights if light is not largest]
    if all(2 * len(light.getConnections()) < len(largest.getConnections()) for light in others):
        nodes = sorted({link[0].getEdge().getToNode().getID() for light in others for link in light.getConnections()})
        return (
            f"take the light from all but {largest.getID()} with: netconvert -s {net_file} "
            f"--tls.unset {','.join(nodes)} -o one.net.xml"
        )
    (x, y), elsewhere = _place(largest), [_place(light) for light in others]
    nearest = min(max(abs(x - a), abs(y - b)) for a, b in elsewhere)
    reach = math.ceil(min(CUT_MARGIN * nearest, LONGEST_CUT))
    box = ",".join(f"{value:.0f}" for value in (x - reach, y - reach, x + reach, y + reach))
    return (
        f"cut one out, such as {largest.getID()} with: netconvert -s {net_file} --keep-edges.in-boundary {box} "
        "-o one.net.xml"
    )


def _place(light: Any) -> tuple[float, float]:
    """The middle of a light's stop lines, m."""
    ends = [link[0].getShape()[-1] for link in light.getConnections()]
    return sum(end[0] for end in ends) / len(ends), sum(end[1] for end in ends) / len(ends)
