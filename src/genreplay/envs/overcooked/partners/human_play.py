"""The human play shipped with overcooked-ai, as plain arrays.

Shapes: N steps, C columns of the state's code.

The package ships pickled tables, 27 MB each. They are read once, and only if their checksums are those of
overcooked-ai 1.1.0. An .npz of integers is kept.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from genreplay.common.errors import UserError
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
from genreplay.envs.overcooked.kitchen.package import data_folder, overcooked
from genreplay.envs.overcooked.kitchen.state_code import StateCode

Split = Literal["train", "test"]

LAYOUTS = {
    "cramped_room": "cramped_room",
    "asymmetric_advantages": "asymmetric_advantages",
    "coordination_ring": "coordination_ring",
    "forced_coordination": "random0",
    "counter_circuit_o_1order": "random3",
}
"""The layouts that humans played, and their names in the data."""
SHA256 = {
    "train": "28659cfd09ee033d82b56bed905b239f078877e1b09d1f1b916e4bc0480ca4fa",
    "test": "59979552a053f1efe762de976f37dd83e269d70d19b67613c61e856c86705666",
}
HUMAN_REWARD = 5.0
"""Reward of a soup in the data."""


@dataclass(frozen=True)
class HumanPlay:
    """Steps of pairs of people on one layout, in order."""

    codes: np.ndarray
    """`[N, C]`, int64."""
    actions: np.ndarray
    """`[N, 2]`, in the order of overcooked-ai."""
    next_codes: np.ndarray
    """`[N, C]`."""
    soups: np.ndarray
    """`[N]`: soups delivered in the step."""
    episodes: np.ndarray
    """`[N]`: index of the step's game."""


def human_play(layout: str, split: Split, folder: Path) -> HumanPlay:
    """The play on `layout`, from the .npz in `folder`, which is written first where it is missing.

    Args:
        layout: one of `LAYOUTS`.
        split: `train` or `test`, played by different people.
        folder: where to keep the converted play.

    Raises:
        UserError: nobody played this layout, or the package's files are not those of overcooked-ai 1.1.0.
    """
    if layout not in LAYOUTS:
        raise UserError(f"human play: nobody played {layout!r}; choose one of {', '.join(LAYOUTS)}")
    path = folder / f"{layout}_{split}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write(convert(layout, split), path)
    return read(path)


def write(play: HumanPlay, path: Path) -> None:
    """Write `play` as an .npz file, all at once."""
    part = path.with_suffix(f".{os.getpid()}.npz")
    arrays: dict[str, Any] = {field.name: _smallest(getattr(play, field.name)) for field in fields(play)}
    np.savez_compressed(part, **arrays)
    os.replace(part, path)


def read(path: Path) -> HumanPlay:
    """Read what `write` wrote. Executes nothing from the file."""
    with np.load(path, allow_pickle=False) as arrays:
        return HumanPlay(**{field.name: arrays[field.name].astype(np.int64) for field in fields(HumanPlay)})


def convert(layout: str, split: Split) -> HumanPlay:
    """The play on `layout` from the package's own files."""
    import pandas

    path = data_folder() / "human_data" / f"clean_{split}_trials.pickle"
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[split]:
        raise UserError(f"human play: {path} is not the file of overcooked-ai 1.1.0; install that version again")
    table = pandas.read_pickle(path)  # noqa: S301 (the package's own file, by its checksum)
    table = table[table["layout_name"] == LAYOUTS[layout]]
    code = StateCode(read_layout(layout))
    games = zip(table["workerid_num"], table["round_num"], strict=True)
    numbers: dict[Any, int] = {}
    return HumanPlay(
        codes=_codes(code, table["state"]),
        actions=np.array([_actions(text) for text in table["joint_action"]]),
        next_codes=_codes(code, table["next_state"]),
        soups=(table["reward"].to_numpy() / HUMAN_REWARD).astype(np.int64),
        episodes=np.array([numbers.setdefault(game, len(numbers)) for game in games]),
    )


def _codes(code: StateCode, texts: Any) -> np.ndarray:
    state = overcooked("mdp.overcooked_mdp").OvercookedState
    overcooked("mdp.overcooked_mdp").Recipe.configure({})
    rows: dict[str, np.ndarray] = {}
    for text in texts:
        if text not in rows:
            entries = ast.literal_eval(text)
            entries["objects"] = list(entries["objects"].values())
            rows[text] = code.encode(state.from_dict(entries))
    return np.stack([rows[text] for text in texts])


def _actions(text: str) -> list[int]:
    known = overcooked("mdp.actions").Action.ACTION_TO_INDEX
    return [known[a.lower() if isinstance(a, str) else tuple(a)] for a in json.loads(text.replace("'", '"'))]


def _smallest(array: np.ndarray) -> np.ndarray:
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))
