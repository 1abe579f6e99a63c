"""Reading of SUMO's route files and additional files: plain or compressed, with the files that they include."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from genreplay.common.errors import UserError
from genreplay.envs.sumo.traffic.elements import TRAFFIC
from genreplay.envs.sumo.xml_file import DISCARD, FILE_NAMES, read_xml

PROGRAMMES = ("tlLogic", "WAUT", "wautJunction")
"""Elements that would change the light's programme."""
INPUTS = ("rerouter", "variableSpeedSign", "poi", "poly")
"""Elements of additional files whose `file` is read."""


class _Kind(NamedTuple):
    key: str
    """Option that names the files."""
    name: str


ROUTES, ADDITIONAL = _Kind("env.route_file", "route"), _Kind("env.additional_files", "additional")


def read_routes(paths: Sequence[Path]) -> Element:
    """The content of all route files under one root.

    `<include>` and `<interval>` are replaced by what is in them. SUMO writes nothing for any of it.

    Raises:
        UserError: a file is not XML, or has another content.
    """
    merged = Element("routes")
    for path in paths:
        root = _parse(path, ROUTES)
        if root.tag not in ("routes", "additional"):
            raise UserError(
                f"env.route_file: {path} is not a SUMO route file but one of <{root.tag}>; use a .rou.xml with "
                "<routes>, as duarouter and jtrrouter write it"
            )
        merged.extend(_flatten(_elements(root, path, ROUTES, {})))
    return merged


def read_additional(paths: Sequence[Path]) -> Element:
    """The definitions of all additional files under one root; what detectors measure is discarded, so that SUMO writes
    nothing.

    Raises:
        UserError: a file is not XML, or holds traffic or a signal programme.
    """
    merged = Element("additional")
    for path in paths:
        where = f"env.additional_files: {path}"
        root = _parse(path, ADDITIONAL)
        if root.tag in ("net", "configuration", "sumoConfiguration"):
            raise UserError(
                f"{where} is not a SUMO additional file but one of <{root.tag}>; list files with <additional>"
            )
        found = _elements(root, path, ADDITIONAL, {})
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
    return merged


def _parse(path: Path, kind: _Kind) -> Element:
    try:
        return ElementTree.fromstring(read_xml(path))
    except (ValueError, OSError) as error:
        raise UserError(
            f"{kind.key}: {path} is not a SUMO {kind.name} file ({error}); write XML, plain or compressed by gzip"
        ) from None


def _elements(root: Element, path: Path, kind: _Kind, seen: dict[Path, Path]) -> list[Element]:
    """The elements, with those of included files in their place, from which SUMO writes nothing.

    Paths start at the file that names them. `seen` are the files so far, the user's own first.
    """
    seen[path.resolve()] = path
    elements: list[Element] = []
    for element in root:
        if element.tag != "include":
            _confine(element, path, kind, seen)
            elements.append(element)
            continue
        inner = _within(path, element.get("href", ""), kind, seen)
        if inner.resolve() in seen:
            raise UserError(f"{kind.key}: {path} includes {inner}, which was read before; remove that <include>")
        elements += _elements(_parse(inner, kind), inner, kind, seen)
    return elements


def _within(path: Path, name: str, kind: _Kind, seen: Mapping[Path, Path]) -> Path:
    """A file that `path` names, which must lie in the folder of the user's own file."""
    inner, folder = path.parent / name, next(iter(seen)).parent
    if not inner.resolve().is_relative_to(folder):
        raise UserError(f"{kind.key}: {path} names the file {name}, which is not in {folder}; copy it there")
    return inner


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


def _confine(top: Element, path: Path, kind: _Kind, seen: Mapping[Path, Path]) -> None:
    """Discard what SUMO would write for an element and those in it, and check the files that it would read."""
    for element in top.iter():
        if element.tag == "include":
            raise UserError(f"{kind.key}: {path} has an <include> inside of <{top.tag}>; move it out of there")
        for name in [name for name in element.attrib if FILE_NAMES.search(name)]:
            if name == "file" and element.tag in INPUTS:
                inner = _within(path, element.attrib[name], kind, seen)
                if _parse(inner, kind).find(".//include") is not None:
                    raise UserError(f"{kind.key}: {inner} has an <include>; put there what it includes")
                element.set(name, str(inner))
            else:
                element.set(name, DISCARD)
        if element.tag == "param" and FILE_NAMES.search(element.get("key", "")):
            element.set("value", DISCARD)
