"""Turning counts: a table from a spreadsheet, as the expected flows of an episode.

A row holds an interval, then a count for each movement over the light; times are clock times or seconds:

    begin,end,west_in -> east_out,west_in -> south_out
    07:00,07:15,92,14
    07:15,07:30,131,20

Shapes: I intervals, C columns, M movements.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from genreplay.common.errors import UserError
from genreplay.common.files import read_text
from genreplay.envs.sumo.network.intersection import Intersection, Movement

TIMES = ["begin", "end"]
"""The first two columns."""
ARROW = " -> "
DAY = 86_400
"""s"""
LONGEST_LINE = 100_000
"""Characters of a row; the `csv` module refuses a cell of 131,072."""
LONGEST_TIME = 10
"""Characters of a time."""
TEMPLATE_INTERVALS = [(second, second + 900) for second in range(7 * 3600, 9 * 3600, 900)]
"""A morning peak in quarters of an hour, s."""


@dataclass(frozen=True)
class CountTable:
    """Counted vehicles by interval and column of the file; not yet compared with a map."""

    path: Path
    edges: tuple[float, ...]
    """Begin of each interval and end of the last one, s, `[I + 1]`."""
    columns: tuple[str, ...]
    """Headings `from -> to`, `[C]`."""
    counts: np.ndarray
    """Vehicles, `[I, C]`."""

    def flows(self, intersection: Intersection) -> np.ndarray:
        """Vehicles/h by interval and movement, `[I, M]`; 0 for a movement without a column.

        Raises:
            UserError: a column is not a movement of the light.
        """
        places: dict[str, int] = {}
        for i, movement in enumerate(intersection.movements):
            if movement.has_cars:
                places.setdefault(heading(movement), i)
        flows = np.zeros((len(self.counts), len(intersection.movements)))
        for column, counted in zip(self.columns, self.counts.T, strict=True):
            if column not in places:
                raise UserError(f"env.count_file: {self.path}: {_no_movement(column, list(places), intersection)}")
            flows[:, places[column]] = counted
        return flows * 3600.0 / np.diff(self.edges)[:, None]

    def parts(self, begin: float, end: float) -> list[tuple[float, float, int]]:
        """The intervals in [begin, end): begin and end of each, s, and its index."""
        parts = [(max(begin, start), min(end, stop), i) for i, (start, stop) in enumerate(pairwise(self.edges))]
        return [part for part in parts if part[0] < part[1]]


def heading(movement: Movement) -> str:
    """The column of a movement."""
    return f"{movement.from_edge}{ARROW}{movement.to_edge}"


def clock(seconds: float) -> str:
    """A time of day, as `HH:MM` or `HH:MM:SS`."""
    whole = round(seconds)
    text = f"{whole // 3600:02d}:{whole // 60 % 60:02d}"
    return f"{text}:{whole % 60:02d}" if whole % 60 else text


def write_template(path: Path, movements: Sequence[Movement]) -> None:
    """Write a table to fill in: two hours of quarters, empty cells, and 0 for vehicles that turn back.

    Raises:
        UserError: the file exists already, or cannot be written.
    """
    columns = {heading(movement): "0" if movement.turn == "turn" else "" for movement in movements if movement.has_cars}
    try:
        with open(path, "x", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*TIMES, *columns])
            writer.writerows([clock(begin), clock(end), *columns.values()] for begin, end in TEMPLATE_INTERVALS)
    except FileExistsError:
        raise UserError(f"--counts-template: {path} exists already; choose another name, or remove it") from None
    except OSError as error:
        raise UserError(
            f"--counts-template: {path} cannot be written ({error.strerror}); choose another place"
        ) from None


def read_counts(path: Path) -> CountTable:
    """The table in a file: UTF-8, columns separated by commas, semicolons or tabs.

    Raises:
        UserError: the file is not such a table; the message names line and column.
    """
    where = f"env.count_file: {path}"
    try:
        lines = read_text(path, "utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"{where} is not a text file ({error}); save the sheet as CSV UTF-8") from None
    longest = max(range(len(lines)), key=lambda i: len(lines[i]), default=0)
    if lines and len(lines[longest]) > LONGEST_LINE:
        raise UserError(
            f"{where}: line {longest + 1} has {len(lines[longest])} characters; write one of at most {LONGEST_LINE}"
        )
    delimiter = next((mark for mark in (";", "\t") if lines and mark in lines[0]), ",")
    cells = enumerate(csv.reader(lines, delimiter=delimiter, strict=False), 1)
    rows = [(number, [" ".join(cell.split()) for cell in row]) for number, row in cells if any(map(str.strip, row))]
    if not rows:
        raise UserError(
            f"{where} is empty; create a table with: genreplay junction --net FILE --counts-template {path.name}"
        )
    columns = _columns(where, rows[0][1])
    if len(rows) == 1:
        raise UserError(f"{where} has a heading but no counts; add a row for each interval, such as 07:00,07:15,92,14")
    for number, row in rows[1:]:
        if len(row) != len(columns) + len(TIMES):
            raise UserError(
                f"{where}: line {number} has {len(row)} cells, but the heading has {len(columns) + len(TIMES)}; "
                "write one for each column, 0 if no vehicle was counted"
            )
    intervals = [_interval(f"{where}: line {number}", *row[:2]) for number, row in rows[1:]]
    for (number, _), before, after in zip(rows[2:], intervals, intervals[1:], strict=False):
        _check_order(f"{where}: line {number}", before, after)
    counts = [
        [
            _count(f"{where}: line {number}, column {column!r}", cell)
            for column, cell in zip(columns, row[2:], strict=True)
        ]
        for number, row in rows[1:]
    ]
    edges = (*(begin for begin, _ in intervals), intervals[-1][1])
    return CountTable(path, edges, tuple(columns), np.array(counts, dtype=np.float64))


def _columns(where: str, cells: list[str]) -> list[str]:
    if [cell.lower() for cell in cells[:2]] != TIMES:
        raise UserError(f"{where}: the heading must begin with the columns begin and end, not with {cells[:2]}")
    columns = cells[2:]
    if not columns:
        raise UserError(f"{where}: the heading names no movement; add a column for each, such as 'west_in -> east_out'")
    for column in columns:
        if len(column.split(ARROW)) != 2:
            raise UserError(
                f"{where}: the column {column!r} is not a movement; name the edges it leads from and to as 'FROM -> TO'"
            )
        if columns.count(column) > 1:
            raise UserError(f"{where}: the column {column!r} is duplicated; keep one of them")
    return columns


def _interval(where: str, begin: str, end: str) -> tuple[float, float]:
    interval = _time(where, begin), _time(where, end)
    if interval[0] >= interval[1]:
        hint = "; midnight at the end of a day is 24:00" if interval[1] == 0 else ""
        raise UserError(f"{where}: begins at {begin} and ends at {end}; write an end after the beginning{hint}")
    return interval


def _time(where: str, text: str) -> float:
    """Seconds of `H:MM`, `H:MM:SS` or plain seconds."""
    parts = text.split(":")
    if all(part.isdecimal() for part in parts) and len(parts) <= 3 and len(text) <= LONGEST_TIME:
        numbers = [int(part) for part in parts]
        if len(parts) == 1:
            return float(numbers[0])
        seconds = 3600 * numbers[0] + 60 * numbers[1] + sum(numbers[2:])
        if max(numbers[1:]) < 60 and seconds <= DAY:
            return float(seconds)
    raise UserError(f"{where}: {text!r} is not a time; write HH:MM, such as 07:15, or seconds")


def _check_order(where: str, before: tuple[float, float], after: tuple[float, float]) -> None:
    if after[0] < before[1]:
        raise UserError(
            f"{where}: begins at {clock(after[0])}, before the row above ends ({clock(before[1])}); give each time "
            "one row, in order"
        )
    if after[0] > before[1]:
        raise UserError(
            f"{where}: {clock(before[1])} to {clock(after[0])} is missing; add a row for it, with 0 if no vehicle was "
            "counted"
        )


def _count(where: str, text: str) -> float:
    try:
        count = float(text)
    except ValueError:
        count = math.nan
    if not 0 <= count < math.inf:
        problem = f"{text!r} is not a count" if text else "is empty"
        raise UserError(f"{where}: {problem}; write a number of vehicles, 0 if no vehicle was counted")
    return count


def _no_movement(column: str, known: list[str], intersection: Intersection) -> str:
    start = column.split(ARROW)[0]
    from_here = [name for name in known if name.startswith(f"{start}{ARROW}")]
    if from_here:
        return f"the light has no movement {column!r}; from {start!r} it has {_list(from_here)}"
    approaches = list(dict.fromkeys(name.split(ARROW)[0] for name in known))
    close = difflib.get_close_matches(column, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the light's approaches are {_list(approaches)}"
    return f"column {column!r}: no edge {start!r} leads to the light {intersection.light!r}; {hint}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
