"""Buffers of a checkpoint as files, in TensorDict's format of memory maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase, is_tensor_collection

from genreplay.common.errors import UserError, first_line
from genreplay.runs.state_tree import REMEDY, fitting, read_json


def refuse_non_tensors(buffers: TensorDictBase) -> None:
    """TypeError for anything in the buffers that is no tensor."""
    for key, value in [("", buffers), *buffers.items(include_nested=True)]:
        if type(value) is not TensorDict and (is_tensor_collection(value) or not isinstance(value, torch.Tensor)):
            raise TypeError(f"checkpoint: buffers[{key!r}] is a {type(value).__name__}; only tensors are kept")


def write_buffers(folder: Path, buffers: TensorDictBase) -> None:
    """As `TensorDict.memmap`, but by ordinary writes: where the disk is full, one to a memory map kills the process."""
    try:
        files = buffers.memmap_like(folder)
    except RuntimeError as error:
        raise OSError(first_line(error)) from error
    for key, tensor in buffers.items(include_nested=True, leaves_only=True):
        if tensor.numel():
            with open(files.get(key).filename, "r+b") as file:
                file.write(tensor.contiguous().flatten().view(torch.uint8).numpy())


def read_buffers(folder: Path) -> TensorDict:
    """What `write_buffers` wrote, as views of the files.

    Raises:
        UserError: it is damaged, or describes something else than tensors in this folder.
    """
    # TensorDict reads pickles along with classes of other kinds, so a file may name plain TensorDicts only.
    plain = str(TensorDict)
    for path in folder.rglob("meta.json"):
        about = read_json(path)
        if not isinstance(about, dict) or about.get("_type") != plain:
            raise UserError(
                f"checkpoint {folder.parent}: {path.relative_to(folder.parent)} names something else than "
                f"tensors, which genreplay never writes; {REMEDY}"
            )
        for key, entry in about.items():
            if isinstance(entry, Mapping) and not _is_here(path.parent, key, entry):
                name = path.relative_to(folder.parent)
                raise UserError(f"checkpoint {folder.parent}: {name} describes no {key!r} that is there; {REMEDY}")
    try:
        with fitting(folder.parent, f"{folder.name} is damaged"):
            return TensorDict.load_memmap(folder, allow_pickle=False)
    except OSError as error:
        raise UserError(f"checkpoint {folder.parent}: {folder.name} is damaged; {REMEDY}") from error


def _is_here(folder: Path, key: str, entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a description is a folder in `folder`, or a file there that is as long as its tensor.

    Torch would lengthen a shorter file, and follow a key to another folder.
    """
    if Path(key).name != key:
        return False
    if "type" in entry:
        return (folder / key / "meta.json").is_file()
    path = folder / f"{key}.memmap"
    try:
        size = math.prod(entry["shape"]) * getattr(torch, entry["dtype"].removeprefix("torch.")).itemsize
    except (KeyError, TypeError, AttributeError):
        return False
    there = path.stat().st_size if path.is_file() else 0  # a tensor without entries has no file
    return there == size and all(length >= 0 for length in entry["shape"])
