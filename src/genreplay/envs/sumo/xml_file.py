"""XML from users: nets, routes and additional files are data, which must not make SUMO or a parser do anything else.

Every such file comes in through `read_xml`. What SUMO opens or writes is named in `FILE_NAMES`; source: SUMO's
documentation, "Simulation / Output", and its `data/xsd`.
"""

from __future__ import annotations

import gzip
import re
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from xml.parsers import expat

DISCARD = "NUL"
"""SUMO's name of a file that it does not write."""
FILE_NAMES = re.compile(r"(^|[._-])(files?|output|dest)$|[a-z]File$")
"""Attributes and params by which SUMO opens or writes a file or a connection, such as `device.ssm.file`."""
NET_ELEMENTS = re.compile(
    "assignment|condition|conflict|connection|edge|function|junction|lane|laneType|location|meso|neigh|net|param|phase|"
    "prohibition|request|restriction|roundabout|stopOffset|taz|tazSink|tazSource|tlLogic|type"
)
"""Of `net_file.xsd`."""
GZIP = b"\x1f\x8b"
"""First bytes of a compressed file."""
MAX_BYTES = 1 << 30
"""Longest content, decompressed; a net of 100,000 edges has a tenth of it."""
MAX_DEPTH = 50
"""SUMO's own files nest 6 elements."""
ENCODINGS = (None, "utf-8", "us-ascii", "ascii", "iso-8859-1", "windows-1252")
"""Those that every parser reads alike."""


def read_xml(path: Path, see: Callable[[str, dict[str, str]], None] = lambda tag, attributes: None) -> bytes:
    """The decompressed content of an XML file, which is well-formed and declares no entities.

    Args:
        path: of a plain or compressed file.
        see: called with the tag and the attributes of each element.

    Raises:
        ValueError: it is no such file, or nested or large beyond reason; the message says why.
        OSError: it cannot be read.
    """
    content = _content(path)
    parser = expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"its elements nest more than {MAX_DEPTH} deep")
        see(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler, parser.XmlDeclHandler = _refuse_doctype, _check_encoding
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from None
    return content


def outside(element: str, attributes: dict[str, str]) -> str | None:
    """What in an element of a net makes SUMO open or write a file; None where nothing does.

    An element that is no part of a road network counts, since SUMO reads detectors, events and includes from nets too.
    """
    if not NET_ELEMENTS.fullmatch(element):
        return f"<{element}>"
    key, value = attributes.get("key", ""), attributes.get("value")
    if element == "param" and FILE_NAMES.search(key) and value not in ("", DISCARD):
        return f'<param key="{key}">'
    return None


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("it is no regular file")
        is_compressed = file.read(2) == GZIP
        file.seek(0)
        try:
            content = (gzip.GzipFile(fileobj=file) if is_compressed else file).read(MAX_BYTES + 1)
        except (EOFError, zlib.error) as error:
            raise ValueError(str(error)) from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"it holds more than {MAX_BYTES >> 20} MB")
    return content


def _refuse_doctype(*declared: object) -> None:
    raise ValueError("it has a <!DOCTYPE>, which SUMO's files never need; delete it")


def _check_encoding(version: str, encoding: str | None, standalone: int) -> None:
    if encoding is not None and encoding.lower() not in ENCODINGS:
        raise ValueError(f"its encoding is {encoding}; save it as UTF-8")
