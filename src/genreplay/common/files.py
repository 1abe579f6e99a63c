"""Files that users ask for: whether they can be written, CSV, and writing all at once."""

from __future__ import annotations

import csv
import io
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genreplay.common.errors import UserError

LARGEST_TEXT = 10 * 2**20
"""Bytes of a configuration, a table or another file that people write."""


def read_bytes(path: str | os.PathLike[str], largest: int) -> bytes:
    """The content of a file that somebody named, which may be anything.

    Args:
        path: of the file.
        largest: bytes.

    Raises:
        OSError: it cannot be read, is larger, or is no file but a folder, a device or a pipe.
    """
    try:
        about = os.stat(path)
    except ValueError as error:  # NUL, or a character that no file name has
        raise OSError(f"no file can have this name: {error}") from None
    if not stat.S_ISREG(about.st_mode):
        raise OSError("it is a folder" if stat.S_ISDIR(about.st_mode) else "it is no file but a device or a pipe")
    with open(path, "rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(f"it has more than {largest:,} bytes")
    return content


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8", largest: int = LARGEST_TEXT) -> str:
    """The text of a file, as `read_bytes`; OSError also where it is not encoded so."""
    try:
        return read_bytes(path, largest).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise OSError(f"it is not encoded as {encoding}: {error.reason} at byte {error.start}") from None


@contextmanager
def writing(path: Path, another: str, option: str = "--output") -> Iterator[None]:
    """Turns an OSError into a UserError: `option` `path` cannot be written to, name `another`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written to ({error.strerror or error}); name {another}") from error


def make_folder(folder: Path, another: str = "another folder", named: Path | None = None) -> None:
    """Make a folder, unless it exists, and try to write to it: before long work, not after it.

    Raises:
        UserError: it cannot be written to. The message names `named` where that is given.
    """
    with writing(named or folder, another):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path; the file written there replaces `path` at the end, so that nobody reads half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Rows as CSV with a header.

    Args:
        rows: by column; what a row lacks stays empty.
        columns: those to write; None for the columns of all rows, in the order of their first appearance.
    """
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row)) if columns is None else columns
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write `csv_text` of the rows to a file."""
    path.write_text(csv_text(rows, columns), encoding="utf-8", newline="")


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file with a header."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
