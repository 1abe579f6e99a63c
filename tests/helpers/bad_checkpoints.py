"""Checkpoints that are damaged, with a manifest made to fit."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from functools import cache
from pathlib import Path
from random import Random

import torch
from safetensors.torch import load, save
from tensordict import TensorDict

from genreplay.config import load as load_config
from genreplay.config import to_yaml
from tests.helpers import mutations
from tests.helpers.saved import save_untrained

SMALL = (
    "agent.hidden_width=8",
    "generator.network.hidden_width=8",
    "generator.network.num_blocks=1",
    "relevance.name=none",
    "replay.capacity=200",
    "replay.batch_size=4",
)


@cache
def good_checkpoint() -> Path:
    """The folder of a small one, in the temporary folder."""
    torch.manual_seed(0)
    num_rows = 6
    flags = {key: torch.zeros(num_rows, 1, dtype=torch.bool) for key in ("terminated", "truncated", "done")}
    numbers = {"observation": torch.randn(num_rows, 3), "reward": torch.randn(num_rows, 1)}
    following = {**flags, **numbers, "duration": torch.ones(num_rows, 1)}
    rows = {"observation": torch.randn(num_rows, 3), "action": torch.zeros(num_rows, 1), "next": following}
    rows["is_synthetic"] = flags["done"]
    buffers = {
        "cursor": torch.tensor(num_rows),
        "kept": torch.tensor(1.0, dtype=torch.float64),
        "generator": torch.Generator().get_state(),
        "real": TensorDict(rows, [num_rows]),
    }
    folder = Path(tempfile.mkdtemp(prefix="genreplay-bad-input-"))
    options = to_yaml(load_config("pendulum_pgr", SMALL))
    return save_untrained(folder, options, fit_generator=True, buffers=TensorDict(buffers, []))


def damage(rnd: Random, whole: Path, folder: Path) -> str:
    """Damage a copy of a checkpoint, so that its manifest still fits; what was done."""
    files = sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file())
    name = rnd.choice(files)
    path, content = folder / name, (whole / name).read_bytes()
    how = rnd.choice(("change", "change", "change", "change", "change", "remove", "link", "add", "move"))
    if how == "change":
        content = _changed(rnd, name, content)
        path.write_bytes(content)
    elif how == "remove":
        path.unlink()
    elif how == "link":
        path.unlink()
        path.symlink_to(rnd.choice((whole / name, "/dev/zero", "/etc/passwd", path, folder)))
    elif how == "add":
        name = rnd.choice(("modules/other.safetensors", "buffers/real/more.memmap", "extra.json", "optimizers/a.json"))
        (folder / name).write_bytes(content)
    else:
        os.rename(path, folder / f"{rnd.randrange(9)}.json")
    if name != "manifest.json" and rnd.random() < 0.9:
        _fit_manifest(rnd, folder)
    return f"{how} {name} {hashlib.sha256(content).hexdigest()}"


def _changed(rnd: Random, name: str, content: bytes) -> bytes:
    if name.endswith((".json", ".yaml")) and rnd.random() < 0.85:
        text = content.decode()
        changed = mutations.json_text(rnd, text) if name.endswith(".json") else mutations.text(rnd, text)
        return changed.encode("utf-8", "surrogatepass")
    if name.endswith(".safetensors") and rnd.random() < 0.7:
        return save(mutations.weights(rnd, load(content)))
    return mutations.data(rnd, content)


def _fit_manifest(rnd: Random, folder: Path) -> None:
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "manifest.json" and path.resolve().is_relative_to(folder.resolve()):
            content = path.read_bytes()
            files[path.relative_to(folder).as_posix()] = {
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
    if rnd.random() < 0.1:
        files[rnd.choice(("../../x", "/etc/passwd", "", "\0", "a" * 5000))] = {"size": 0, "sha256": ""}
    version = rnd.choice((1, 3, 5, None, "4")) if rnd.random() < 0.1 else 4
    manifest = {"format": version, "genreplay": "0.1.0", "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
