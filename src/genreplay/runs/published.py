"""Published policies: small folders that hold a policy alone, named by a path or, where they come with the package, by
a name. Light, like `find`.

    <folder>/policy.safetensors   weights of the deterministic policy
             config.yaml          the resolved config, without where the run was tracked
             card.json            training, evaluation, limits, SHA-256 of the files
             card.md              the same to read
             evaluation/          episodes.csv, evaluation.json

Nothing in such a folder is executed when it is read.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genreplay.common.errors import UserError
from genreplay.common.files import read_text

FOLDER = Path(__file__).parents[1] / "policies"
"""Of the policies that come with the package."""
WEIGHTS, CONFIG, CARD, TEXT = "policy.safetensors", "config.yaml", "card.json", "card.md"
EPISODES, ABOUT = "evaluation/episodes.csv", "evaluation/evaluation.json"
FILES = (WEIGHTS, CONFIG, EPISODES, ABOUT)
"""Those whose SHA-256 is in the card."""
FORMAT = 1
FIELDS: Mapping[str, type] = {
    "name": str,
    "place": str,
    "summary": str,
    "genreplay": str,
    "interface": str,
    "training.env_steps": int,
    "training.curve": list,
    "evaluation.metric": str,
    "evaluation.unit": str,
    "evaluation.seeds": list,
    "evaluation.in_range": dict,
    "files": dict,
}
"""What a card must have."""
REMEDY = "copy the folder again, or publish the run anew with: genreplay publish"


def names() -> list[str]:
    """The policies that come with the package."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{CARD}"))


def find(name: str) -> Path | None:
    """The folder of the policy that comes with the package under this name; None where there is none."""
    return FOLDER / name if name in names() else None


def resolve(path_or_name: str, option: str = "--checkpoint") -> Path:
    """The folder that is meant: one on the disk wins over a name.

    Raises:
        UserError: there is neither. The message names `option`.
    """
    folder = Path(path_or_name).expanduser()
    if folder.is_dir():
        return folder
    found = find(path_or_name)
    if found is None:
        raise UserError(f"{option} {path_or_name}: there is no such folder, and {unknown(path_or_name)}")
    return found


def unknown(name: str) -> str:
    """The end of the message where no policy of this name comes with the package."""
    known = names()
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"no policy of this name; {hint}genreplay has {', '.join(known) or 'none'}"


def is_published(folder: Path) -> bool:
    """Whether `folder` is a published policy, damaged or not."""
    return (folder / WEIGHTS).is_file() or (folder / CARD).is_file()


def check_name(name: str) -> None:
    """UserError where `name` could not be a folder's name on every system."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name) or name.endswith("."):
        raise UserError(f"--name {name}: must be letters, digits, '_', '-' and '.', such as my_junction")


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a published policy, whose other files have the SHA-256 that it names.

    Raises:
        UserError: a file is missing or damaged, or the card is of another format.
    """
    try:
        card = json.loads(read_text(folder / CARD))
        version = card["format"]
    except FileNotFoundError:
        raise UserError(f"policy {folder}: {CARD} is missing; {REMEDY}") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"policy {folder}: {CARD} is damaged; {REMEDY}") from error
    if version != FORMAT:
        raise UserError(
            f"policy {folder}: is of format {version!r}, and this genreplay reads format {FORMAT}; publish it anew, or "
            "use the version of genreplay that wrote it"
        )
    for name, kind in FIELDS.items():
        if not isinstance(_select(card, name), kind):
            raise UserError(f"policy {folder}: {CARD} is damaged (no {name}); {REMEDY}")
    if not all(is_point(point) for point in card["training"]["curve"]):
        raise UserError(
            f"policy {folder}: {CARD} is damaged (training.curve has something else than numbers); {REMEDY}"
        )
    for name in FILES:
        if not (folder / name).is_file():
            raise UserError(f"policy {folder}: {name} is missing; {REMEDY}")
        if digest(folder / name) != card["files"].get(name):
            raise UserError(f"policy {folder}: {name} is damaged (its SHA-256 is not the card's); {REMEDY}")
    return card


def is_point(point: Any) -> bool:
    """Whether it is a point of a curve of evaluations: all numbers."""
    keys = ("env_step", "mean", "low", "high")
    return isinstance(point, Mapping) and all(isinstance(point.get(key), int | float) for key in keys)


def _select(tree: Any, key: str) -> Any:
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def interface_of(card: Mapping[str, Any]) -> str:
    """SHA-256 of a policy's inputs and outputs, as `World.card` describes them, numbers to six digits.

    A policy may only be used where it is the same: another order of equally many inputs would give other actions
    without an error.
    """
    text = json.dumps(_rounded({key: card[key] for key in ("inputs", "outputs")}), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return f"{value:.6g}" if isinstance(value, int | float) else value


def size(folder: Path) -> int:
    """Bytes of all its files."""
    return sum(os.path.getsize(path) for path in folder.rglob("*") if path.is_file())
