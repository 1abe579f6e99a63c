"""Trees of state (dicts, lists, tuples, numbers, text, null, tensors) as one JSON and one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from genreplay.common.errors import UserError, first_line
from genreplay.common.files import read_text

LARGEST_JSON = 2**30
"""Bytes."""
MISFITS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What content of the wrong shape or type leads to; a RecursionError is a RuntimeError."""
REMEDY = "restore it from a copy, resume from another checkpoint, or start the run anew without --resume"


@contextmanager
def fitting(folder: Path, what: str, remedy: str = REMEDY) -> Iterator[None]:
    """Turns what files lead to that are whole, but not what was expected, into a UserError.

    Args:
        folder: of the checkpoint.
        what: is wrong, such as `does not fit this run`.
        remedy: the end of the message.
    """
    try:
        yield
    except MISFITS as error:
        reason = first_line(error)
        shown = "" if reason.startswith("Error(s) in loading") else f" ({reason})"  # which tells only the class
        raise UserError(f"checkpoint {folder}: {what}{shown}; {remedy}") from error


def write_tree(path: Path, tree: Any) -> None:
    """Write a tree to `path` with the suffixes `.json` and `.safetensors`; TypeError for a value of another type."""
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(_to_json(tree, path.name, tensors))
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    _save(tensors, path.with_suffix(".safetensors"))


def read_tree(path: Path) -> Any:
    """The tree that `write_tree(path, ...)` wrote; UserError where a file is damaged."""
    tree, tensors = read_json(path.with_suffix(".json")), read_tensors(path.with_suffix(".safetensors"))
    with fitting(path.parent, f"{path.name}.json is damaged"):
        return _from_json(tree, tensors)


def write_values(path: Path, values: Any) -> None:
    """Write a tree without tensors to the JSON file `path`; TypeError for a value of another type."""
    path.write_text(json.dumps(_to_json(values, path.stem, None)), encoding="utf-8")


def read_values(path: Path) -> Any:
    """The tree that `write_values(path, ...)` wrote; UserError where the file is damaged."""
    tree = read_json(path)
    with fitting(path.parent, f"{path.name} is damaged"):
        return _from_json(tree, {})


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors by name to the safetensors file `path`; TypeError for a value that is not a tensor."""
    _save({key: _copy(value, f"{path.stem}.{key}") for key, value in tensors.items()}, path)


def _save(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:
        raise OSError(first_line(error)) from error


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors that `write_tensors(path, ...)` wrote, on the CPU; UserError where the file is damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"checkpoint {path.parent}: {path.name} is no safetensors file; {REMEDY}") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file; UserError where it is damaged."""
    try:
        return json.loads(read_text(path, largest=LARGEST_JSON))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"checkpoint {path.parent}: {path.name} is damaged; {REMEDY}") from error


def _to_json(value: Any, path: str, tensors: dict[str, torch.Tensor] | None) -> Any:
    """`value` as JSON; a type that JSON lacks becomes a mapping with one `$` key. Tensors move to `tensors`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor) and tensors is not None:
        name = path if path not in tensors else f"{path}#{len(tensors)}"
        tensors[name] = _copy(value, path)
        return {"$tensor": name}
    if isinstance(value, list | tuple):
        items = [_to_json(item, f"{path}.{i}", tensors) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, Mapping):
        pairs = [(key, _to_json(item, f"{path}.{key}", tensors)) for key, item in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key, _ in pairs):
            return dict(pairs)
        return {"$pairs": [[_to_json(key, path, None), item] for key, item in pairs]}
    raise TypeError(f"checkpoint: {path} is a {type(value).__name__}, which a checkpoint does not keep")


def _from_json(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_from_json(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    if "$tuple" in value:
        return tuple(_from_json(item, tensors) for item in value["$tuple"])
    if "$pairs" in value:
        return {_from_json(key, tensors): _from_json(item, tensors) for key, item in value["$pairs"]}
    return {key: _from_json(item, tensors) for key, item in value.items()}


def _copy(value: Any, path: str) -> torch.Tensor:
    """A copy on the CPU that shares memory with nothing: two names of one tensor come back as two tensors."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"checkpoint: {path} is a {type(value).__name__}, not a tensor")
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
