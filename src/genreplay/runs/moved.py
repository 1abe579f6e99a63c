"""A SQLite store that was moved or copied together with its artifacts.

MLflow keeps absolute paths of artifacts in the database. Here those that lay in the store's former folder are set to
the folder where the store is now, so that runs are found there, and continued there, and MLflow's UI shows them.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

log = logging.getLogger("genreplay")

ARTIFACTS = "artifacts"
"""Folder of all artifacts, next to the database; each run has a folder there, named by its id."""
COLUMNS = (("experiments", "artifact_location"), ("runs", "artifact_uri"))
"""Where MLflow keeps paths, by table."""


def follow(database: Path, root: Path) -> None:
    """Set the paths in a database to `root`, where it was moved or copied there together with its artifacts.

    The folder of an experiment whose runs lie elsewhere on purpose stays as it is: only a run's folder next to the
    database shows that the artifacts came along.

    Raises:
        OSError: the database cannot be read or written.
    """
    here = root.resolve()
    try:
        with closing(sqlite3.connect(database)) as connection:
            former = _former_folders(connection, here)
            for folder in former:
                _rewrite(connection, folder, here)
            connection.commit()
    except sqlite3.Error as error:
        raise OSError(f"({type(error).__module__}.{type(error).__name__}) {error}") from error
    for folder in former:
        log.warning("tracking.uri: %s was moved here from %s; its runs' paths are set to this place", root, folder)


def _former_folders(connection: sqlite3.Connection, here: Path) -> list[Path]:
    """Folders from which the database came, by the runs whose artifacts came along."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables >= {table for table, _ in COLUMNS}:
        return []
    found: dict[Path, None] = {}
    for run_id, uri in connection.execute("SELECT run_uuid, artifact_uri FROM runs"):
        folder = local_path(uri or "")
        if folder is None or folder.parts[-3:] != (ARTIFACTS, run_id, ARTIFACTS):
            continue
        root = folder.parents[2]
        if root not in found and root != here and (here / ARTIFACTS / run_id).is_dir() and not _same(root, here):
            found[root] = None
    return list(found)


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.samefile(other)


def _rewrite(connection: sqlite3.Connection, former: Path, here: Path) -> None:
    for old, new in ((former.as_uri(), here.as_uri()), (str(former), str(here))):
        for table, column in COLUMNS:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old) + 1, f"{old}/"),
            )


def local_path(uri: str) -> Path | None:
    """The folder that a file URI or a plain path names; None for a server's."""
    parts = urlparse(uri)
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None
