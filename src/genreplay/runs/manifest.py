"""The manifest of a checkpoint: format, size and SHA-256 of every other file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genreplay import __version__
from genreplay.common.errors import UserError
from genreplay.common.files import read_text
from genreplay.runs.state_tree import MISFITS, REMEDY

FORMAT = 4
MANIFEST = "manifest.json"


def write(folder: Path) -> None:
    """Write the manifest of what is in the folder."""
    files = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": _digest(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    text = json.dumps({"format": FORMAT, "genreplay": __version__, "files": files}, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def check(folder: Path, required: Sequence[str]) -> None:
    """Compare the files in the folder with its manifest.

    Args:
        folder: of the checkpoint.
        required: names of files that every checkpoint has.

    Raises:
        UserError: it is of another format; a file is missing, damaged, a link, or not named in the manifest.
    """
    try:
        about = json.loads(read_text(folder / MANIFEST))
        version, files = about["format"], {name: dict(file) for name, file in about["files"].items()}
    except (OSError, *MISFITS) as error:
        raise UserError(f"checkpoint {folder}: {MANIFEST} is damaged; {REMEDY}") from error
    if version != FORMAT:
        raise UserError(
            f"checkpoint {folder}: is of format {version}, and this genreplay reads format {FORMAT}; train it anew, or "
            "use the version of genreplay that wrote it"
        )
    _check_names(folder, files)
    for name in (*required, *(name for name in files if name not in required)):
        _check_file(folder, name, files.get(name, {}))


def _check_names(folder: Path, files: Mapping[str, Any]) -> None:
    """UserError unless the folder holds the files that the manifest names, and no other ones."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name in files:
        if name not in found:  # nor is one elsewhere, such as ../../x
            raise UserError(f"checkpoint {folder}: {name} is missing; {REMEDY}")
    for name, path in found.items():
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UserError(f"checkpoint {folder}: {name} is no file of its own, such as a link; {REMEDY}")
        if not (path.is_dir() or path.name.startswith(".") or name in files or name == MANIFEST):
            raise UserError(f"checkpoint {folder}: {name} is not named in {MANIFEST}, so it may be anything; {REMEDY}")


def text_of(folder: Path, name: str) -> str:
    """The content of a text file of a checkpoint; UserError where it is none."""
    try:
        return read_text(folder / name)
    except OSError as error:
        raise UserError(f"checkpoint {folder}: {name} is damaged ({error}); {REMEDY}") from error


def _check_file(folder: Path, name: str, about: Mapping[str, Any]) -> None:
    path = folder / name
    if not path.is_file():
        raise UserError(f"checkpoint {folder}: {name} is missing; {REMEDY}")
    size = path.stat().st_size
    if size != about.get("size"):
        raise UserError(f"checkpoint {folder}: {name} is damaged ({size} bytes, not {about.get('size')}); {REMEDY}")
    if _digest(path) != about.get("sha256"):
        raise UserError(f"checkpoint {folder}: {name} is damaged (its SHA-256 differs); {REMEDY}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
