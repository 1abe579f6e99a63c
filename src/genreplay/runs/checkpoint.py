"""Checkpoints: one folder that is whole or not there, and that executes nothing when it is read.

    <folder>/000007/manifest.json             format, size and SHA-256 of every other file
                    config.yaml               the resolved config
                    counters.json             counters, schedules, environment state
                    modules/<name>.safetensors
                    optimizers/<name>.json    the state's tree; its tensors lie in <name>.safetensors beside it
                    rng.json  rng.safetensors
                    buffers/                  a TensorDict's memory maps

Each save writes a new numbered folder under a temporary name, flushes it to the disk, renames it and then removes the
older ones. Renaming is the moment that counts: a process killed before it leaves the older checkpoint, after it the
newer one. The newest is the one with the highest number.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tensordict import TensorDict, TensorDictBase, is_tensor_collection

from genreplay import __version__
from genreplay.common.errors import UserError

FORMAT = 2
MANIFEST = "manifest.json"
CONFIG = "config.yaml"
REQUIRED = (CONFIG, "counters.json", "rng.json", "rng.safetensors", "buffers/meta.json")
REMEDY = "restore it from a copy, resume from another checkpoint, or start the run anew without --resume"


@dataclass(frozen=True)
class Checkpoint:
    """What `load` read."""

    folder: Path
    modules: dict[str, dict[str, torch.Tensor]]
    """State dicts of modules, on the CPU."""
    optimizers: dict[str, Any]
    """State dicts of optimisers, on the CPU."""
    buffers: TensorDict
    """Views of the checkpoint's own files: copy them, never write to them."""
    counters: dict[str, Any]
    """Counters, schedules and environment state."""
    config_yaml: str
    """The resolved config."""
    rng: dict[str, Any]

    def restore_rng(self) -> None:
        """Put the global generators of Python, NumPy and torch where they were."""
        random.setstate(self.rng["python"])
        name, keys, *rest = self.rng["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
        torch.set_rng_state(self.rng["torch"])
        if len(self.rng["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(self.rng["cuda"])


def save(
    folder: Path,
    *,
    modules: Mapping[str, Mapping[str, torch.Tensor]],
    optimizers: Mapping[str, Any],
    buffers: TensorDictBase,
    counters: Mapping[str, Any],
    config_yaml: str,
) -> Path:
    """Write a checkpoint of all this, and of the global random generators, as the newest in `folder`.

    Args:
        folder: of the run; holds one checkpoint afterwards.
        modules: state dicts by name.
        optimizers: state dicts by name: dicts, lists, tuples, numbers, text, null and tensors.
        buffers: nothing but tensors in it.
        counters: as `optimizers`, but without tensors.
        config_yaml: the resolved config.

    Returns:
        The numbered folder of this checkpoint.

    Raises:
        UserError: the disk is full or the folder cannot be written to.
        TypeError: something is of a type that a checkpoint does not keep.
    """
    _refuse_non_tensors(buffers)
    older = _numbered(folder, whole=False)
    final = folder / f"{(int(older[-1].name) if older else 0) + 1:06d}"
    partial = folder / f".{final.name}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.partial"):
            shutil.rmtree(leftover)
        for place in (partial / "modules", partial / "optimizers"):
            place.mkdir(parents=True)
        (partial / CONFIG).write_text(config_yaml, encoding="utf-8")
        (partial / "counters.json").write_text(json.dumps(_to_json(counters, "counters", None)), encoding="utf-8")
        for name, state in modules.items():
            save_file(
                {key: _kept(value, f"{name}.{key}") for key, value in state.items()},
                partial / "modules" / f"{name}.safetensors",
            )
        for name, state in optimizers.items():
            _write_tree(partial / "optimizers" / name, state)
        _write_tree(partial / "rng", _rng_state())
        buffers.detach().to("cpu").memmap(partial / "buffers", copy_existing=True)
        _write_manifest(partial)
        _flush(partial)
        os.rename(partial, final)
        _flush_folder(folder)
        for folder_to_go in older:
            shutil.rmtree(folder_to_go)
    except OSError as error:
        raise UserError(
            f"checkpoint {final}: cannot be written ({error.strerror or error}); make room there or name another "
            "place by tracking.uri"
        ) from error
    return final


def load(folder: Path) -> Checkpoint:
    """Read the newest checkpoint in `folder`, or `folder` itself where it is one.

    Every file is checked against the manifest first, and only safetensors, JSON, YAML text and memory maps are read:
    whatever a file holds, none of it is executed.

    Raises:
        UserError: there is no checkpoint, it is of another format, or a file in it is missing or damaged.
    """
    folder = newest(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version, files = manifest["format"], dict(manifest["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"checkpoint {folder}: {MANIFEST} is damaged; {REMEDY}") from error
    if version != FORMAT:
        raise UserError(
            f"checkpoint {folder}: is of format {version}, this genreplay reads format {FORMAT}; resume it with "
            f"genreplay {manifest.get('genreplay', 'of the version that wrote it')}"
        )
    for name in (*REQUIRED, *(name for name in files if name not in REQUIRED)):
        _check_file(folder, name, files.get(name, {}))
    return Checkpoint(
        folder=folder,
        modules={path.stem: _read_tensors(path) for path in sorted((folder / "modules").glob("*.safetensors"))},
        optimizers={path.stem: _read_tree(path.with_suffix("")) for path in _json_files(folder / "optimizers")},
        buffers=_read_buffers(folder / "buffers"),
        counters=_from_json(_read_json(folder / "counters.json"), {}),
        config_yaml=(folder / CONFIG).read_text(encoding="utf-8"),
        rng=_read_tree(folder / "rng"),
    )


def exists(folder: Path) -> bool:
    """Whether `load(folder)` has something to read."""
    return (folder / MANIFEST).is_file() or bool(_numbered(folder))


def newest(folder: Path) -> Path:
    """The folder of the newest checkpoint in `folder`, or `folder` itself where it is one; UserError without one."""
    if (folder / MANIFEST).is_file():
        return folder
    numbered = _numbered(folder)
    if not numbered:
        raise UserError(f"{folder}: holds no checkpoint; name a folder with a {MANIFEST}, or the one above it")
    return numbered[-1]


def _numbered(folder: Path, whole: bool = True) -> list[Path]:
    """Numbered folders, lowest first. Without `whole`, those whose removal was cut short too."""
    found = folder.iterdir() if folder.is_dir() else ()
    numbered = (p for p in found if p.name.isdecimal() and (not whole or (p / MANIFEST).is_file()))
    return sorted(numbered, key=lambda p: int(p.name))


# Files ---------------------------------------------------------------------------------------------------------------


def _write_manifest(folder: Path) -> None:
    files = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": _digest(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    text = json.dumps({"format": FORMAT, "genreplay": __version__, "files": files}, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


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


def _flush(folder: Path) -> None:
    """Bring everything under `folder` to the disk: a rename must not overtake what it names."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"checkpoint {path.parent}: {path.name} is damaged; {REMEDY}") from error


def _json_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"checkpoint {path.parent}: {path.name} is no safetensors file; {REMEDY}") from error


# Buffers -------------------------------------------------------------------------------------------------------------


def _refuse_non_tensors(buffers: TensorDictBase) -> None:
    for key, value in [("", buffers), *buffers.items(include_nested=True)]:
        if type(value) is not TensorDict and (is_tensor_collection(value) or not isinstance(value, torch.Tensor)):
            raise TypeError(f"checkpoint: buffers[{key!r}] is a {type(value).__name__}; only tensors are kept")


def _read_buffers(folder: Path) -> TensorDict:
    # TensorDict reads pickles beside classes of other kinds, so nothing but plain TensorDicts may be named.
    plain = str(TensorDict)
    for path in folder.rglob("meta.json"):
        about = _read_json(path)
        if not isinstance(about, dict) or about.get("_type") != plain:
            raise UserError(
                f"checkpoint {folder.parent}: {path.relative_to(folder.parent)} names something else than "
                f"tensors, which genreplay never writes; {REMEDY}"
            )
    try:
        return TensorDict.load_memmap(folder, allow_pickle=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"checkpoint {folder.parent}: {folder.name} is damaged; {REMEDY}") from error


# Trees of state ------------------------------------------------------------------------------------------------------


def _rng_state() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _write_tree(path: Path, tree: Any) -> None:
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(_to_json(tree, path.name, tensors))
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    save_file(tensors, path.with_suffix(".safetensors"))


def _read_tree(path: Path) -> Any:
    return _from_json(_read_json(path.with_suffix(".json")), _read_tensors(path.with_suffix(".safetensors")))


def _to_json(value: Any, path: str, tensors: dict[str, torch.Tensor] | None) -> Any:
    """`value` as JSON; what JSON lacks becomes a mapping with one `$` key. Tensors move to `tensors`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor) and tensors is not None:
        name = path if path not in tensors else f"{path}#{len(tensors)}"
        tensors[name] = _kept(value, path)
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


def _kept(value: Any, path: str) -> torch.Tensor:
    """A copy on the CPU that shares memory with nothing: two names of one tensor come back as two tensors."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"checkpoint: {path} is a {type(value).__name__}, not a tensor")
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
