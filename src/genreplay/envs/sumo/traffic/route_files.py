"""Reading of SUMO's route files and additional files: plain or compressed, with the files that they include."""

from __future__ import annotations

import copy
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from genreplay.common.errors import UserError
from genreplay.envs.sumo.traffic.elements import TRAFFIC

GZIP = b"\x1f\x8b"
"""First bytes of a compressed file."""
DISCARD = "NUL"
"""SUMO's name of a file that it does not write."""
PROGRAMMES = ("tlLogic", "WAUT", "wautJunction")
"""Elements that would change the light's programme."""
INPUTS = ("rerouter", "variableSpeedSign", "poi", "poly")
"""Elements of additional files whose `file` is read."""


def read_routes(paths: Sequence[Path]) -> Element:
    """The content of all route files under one root.

    `<include>` and `<interval>` are replaced by what is in them.

    Raises:
        UserError: a file is not XML, or has another content.
    """
    merged = Element("routes")
    for path in paths:
        root = _parse(path, "env.route_file", "route")
        if root.tag not in ("routes", "additional"):
            raise UserError(
                f"env.route_file: {path} is not a SUMO route file but one of <{root.tag}>; use a .rou.xml with "
                "<routes>, as duarouter and jtrrouter write it"
            )
        merged.extend(_flatten(_with_included(root, path, "env.route_file", "route")))
    return merged


def read_additional(paths: Sequence[Path]) -> Element:
    """The definitions of all additional files under one root; what detectors measure is discarded.

    Raises:
        UserError: a file is not XML, or holds traffic or a signal programme.
    """
    merged = Element("additional")
    for path in paths:
        where = f"env.additional_files: {path}"
        root = _parse(path, "env.additional_files", "additional")
        if root.tag in ("net", "configuration", "sumoConfiguration"):
            raise UserError(
                f"{where} is not a SUMO additional file but one of <{root.tag}>; list files with <additional>"
            )
        found = _with_included(root, path, "env.additional_files", "additional")
        merged.extend(found)
        for element in (part for top in found for part in top.iter()):
            if element.tag in TRAFFIC:
                raise UserError(
                    f"{where} has the {element.tag} {element.get('id', '')!r}; traffic that is to be scaled belongs "
                    "to env.route_file, so move it there"
                )
            if element.tag in PROGRAMMES:
                raise UserError(
                    f"{where} has the signal programme {element.tag} {element.get('id', '')!r}, but programmes are "
                    "read from the map; put it there with: netconvert -s MAP.net.xml --tllogic-files PROGRAMME.xml -o "
                    "new.net.xml"
                )
            _redirect(element, path.parent)
    return merged


def _parse(path: Path, key: str, kind: str) -> Element:
    try:
        content = path.read_bytes()
        return ElementTree.fromstring(gzip.decompress(content) if content.startswith(GZIP) else content)
    except (ElementTree.ParseError, OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{key}: {path} is not a SUMO {kind} file ({error}); write XML, plain or compressed by gzip"
        ) from None


def _with_included(root: Element, path: Path, key: str, kind: str, within: tuple[Path, ...] = ()) -> list[Element]:
    """The elements, with those of included files in their place; paths start at the file that includes."""
    elements: list[Element] = []
    for element in root:
        if element.tag != "include":
            elements.append(element)
            continue
        inner = path.parent / element.get("href", "")
        if inner in (path, *within):
            raise UserError(f"{key}: {path} includes itself; remove that <include>")
        elements += _with_included(_parse(inner, key, kind), inner, key, kind, (path, *within))
    return elements


def _flatten(elements: Sequence[Element]) -> list[Element]:
    """The elements, with the flows of an `<interval>` in its place."""
    flat: list[Element] = []
    for element in elements:
        if element.tag != "interval":
            flat.append(element)
            continue
        for inner in element:
            flow = copy.deepcopy(inner)
            for name in ("begin", "end"):
                if name in element.attrib and flow.tag in TRAFFIC:
                    flow.attrib.setdefault(name, element.attrib[name])
            flat.append(flow)
    return flat


def _redirect(element: Element, folder: Path) -> None:
    """Discard the element's output, and keep the path of its input."""
    for name in ("file", "output", "dest"):
        if name in element.attrib:
            is_input = name == "file" and element.tag in INPUTS
            element.set(name, str(folder / element.attrib[name]) if is_input else DISCARD)
