"""What SUMO dropped or ignored of an episode's traffic, in words for the user."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from genreplay.envs.sumo.traffic.elements import FLOWS, PERSONS, VEHICLES, departure, expected_number

LONGEST = 300
"""Longest notice, characters."""
UNREPORTED = ("teleport", "emergency", "collision", "jammed on edge", "Removing vehicle", "Replacing junction-taz")
"""Words of warnings about what happens on the road, and about zones that we asked for; neither is the user's fault."""
REPEATED = " ({} times like this)"
_REPEATED = re.compile(r" \(\d+ times like this\)$")
DEVIATIONS = 6.0
"""A random flow counts as short only below its expected number by so many standard deviations."""


class Expected(NamedTuple):
    """How many vehicles or persons an episode's route file holds."""

    number: float
    slack: float
    """SUMO may have more or fewer by this much."""


def read_log(path: Path) -> list[str]:
    """Warnings, and errors that did not end SUMO, in a log written with `aggregate-warnings 1`.

    Each kind once, shortened, with its number.
    """
    notices: dict[str, str] = {}
    totals: list[tuple[str, str]] = []
    for level, verb in (("Warning", "warns"), ("Error", "reports an error")):
        for text in messages(path, level):
            total = re.match(r"(\d+) total messages of type: (.*)", text)
            if total is not None:
                totals.append((total[1], total[2]))
            elif not any(word in text for word in UNREPORTED):
                notices.setdefault(kind(text), f"SUMO {verb}: {shorten(text)}")
    return [f"{notice}{_repeated(notice, totals)}" for notice in notices.values()]


def messages(path: Path, level: str) -> list[str]:
    """The messages of a level (`Warning` or `Error`) in SUMO's log, each on one line."""
    found: list[str] = []
    is_wanted = False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        if line.startswith(("Warning: ", "Error: ")):
            is_wanted = line.startswith(f"{level}: ")
            if is_wanted:
                found.append(line.removeprefix(f"{level}: ").strip())
        elif is_wanted and line.strip() and not line.startswith("Quitting"):
            found[-1] += f" {line.strip()}"
    return found


def kind(text: str) -> str:
    """The text without names and numbers, and without how often it is repeated."""
    return re.sub(r"'[^']*'|\d+(\.\d+)?", "%", _REPEATED.sub("", text))


def shorten(text: str) -> str:
    """The text on one line of at most `LONGEST` characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def differences(root: Element, begin: float, end: float, num_vehicles: int, num_persons: int) -> list[str]:
    """Notices of vehicles and persons that an episode did not let in, or that its route file does not hold.

    Args:
        root: the episode's route file.
        begin: when the episode began, s.
        end: when it ended, s.
        num_vehicles: vehicles that SUMO loaded.
        num_persons: persons that SUMO loaded.
    """
    notices = []
    for word, tags, number in (("vehicles", VEHICLES, num_vehicles), ("persons", PERSONS, num_persons)):
        expected = expect(root, tags, begin, end)
        if abs(number - expected.number) > expected.slack:
            about = "about " if expected.slack else ""
            notices.append(f"SUMO let in {number} {word} in an episode whose routes hold {about}{expected.number:.0f}")
    return notices


def expect(root: Element, tags: Sequence[str], begin: float, end: float) -> Expected:
    """The elements with these tags in an episode's route file, and the vehicles or persons of flows in [begin, end)."""
    number = slack = 0.0
    for element in root:
        if element.tag not in tags:
            continue
        if element.tag not in FLOWS:
            number += 1.0
            continue
        mean = expected_number(element, begin, end)
        number += mean
        slack += 1.0
        if "probability" in element.attrib or element.get("period", "").startswith("exp("):
            slack += DEVIATIONS * math.sqrt(mean) + DEVIATIONS
        if departure(element, begin) is None:
            slack += float(element.get("number", 0.0))
    return Expected(number, slack)


def _repeated(notice: str, totals: Sequence[tuple[str, str]]) -> str:
    number = next((number for number, template in totals if re.search(_pattern(template), notice)), None)
    return "" if number is None else REPEATED.format(number)


def _pattern(template: str) -> str:
    """A regular expression for SUMO's messages of a kind, whose names and numbers are written as %."""
    return ".*".join(re.escape(part) for part in template.split("%"))
