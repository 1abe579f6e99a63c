"""Configurations that come with the package, found by name from any folder."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "conf"
"""In a checkout a link to the folder conf/, in a wheel a copy of it."""
FRAGMENTS = ("envs", "agents", "generators", "relevance")
"""Its folders of files that set one part, for `extends`; the other files are whole experiments."""
STUDIES = "study"
"""Its folder of study files, which are no experiments."""


def names() -> list[str]:
    """All names, such as `sumo_pgr`, `overcooked/edm` and `agents/redq`: experiments first."""
    paths = [path.relative_to(FOLDER).with_suffix("") for path in FOLDER.glob("**/*.yaml")]
    paths = [path for path in paths if path.parts[0] != STUDIES]
    return [
        path.as_posix() for path in sorted(paths, key=lambda path: (path.parts[0] in FRAGMENTS, len(path.parts), path))
    ]


def find(name: str) -> str | None:
    """The file of this name, with or without `.yaml`; None where there is none."""
    name = name.removesuffix(".yaml")
    return str(FOLDER / f"{name}.yaml") if name in names() else None


def resolve(path_or_name: str) -> str:
    """The file that is meant: an existing one wins over a name; as it was given where it is neither."""
    return path_or_name if os.path.isfile(path_or_name) else find(path_or_name) or path_or_name


def find_study(path_or_name: str) -> str:
    """The study file that is meant: as `resolve`, with the names of the folder `STUDIES`."""
    place = FOLDER / STUDIES / f"{path_or_name.removesuffix('.yaml')}.yaml"
    return str(place) if not os.path.isfile(path_or_name) and place.is_file() else path_or_name


def missing_study(path_or_name: str) -> str:
    """The error message where there is neither such a study file nor such a name."""
    known = ", ".join(sorted(path.stem for path in (FOLDER / STUDIES).glob("*.yaml")))
    return f"{path_or_name}: no such study file, and no study of this name; write a path, or one of {known}"


def missing(path_or_name: str) -> str:
    """The error message where there is neither such a file nor such a name."""
    name = Path(path_or_name).stem
    known = {known.rpartition("/")[2]: known for known in names()}
    close = [known[match] for match in difflib.get_close_matches(name, known, n=3)]
    return (
        f"{path_or_name}: no such config file, and no configuration of this name; "
        + (f"did you mean {' or '.join(close)}? " if close else "write a path or a name; ")
        + "genreplay config --list shows all names"
    )


def listing() -> str:
    """Each name with the first line of its file, a line each."""
    known = names()
    width = max(map(len, known), default=0)
    return "".join(f"{name:{width}}  {_summary(name)}\n" for name in known)


def _summary(name: str) -> str:
    with open(FOLDER / f"{name}.yaml", encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()
