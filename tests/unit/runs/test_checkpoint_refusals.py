"""What checkpoints refuse: damage, other formats, pickles, and content that they do not keep."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from tensordict import NonTensorData, TensorDict

from genreplay.common.errors import UserError
from genreplay.runs import checkpoint, manifest
from tests.helpers.checkpoints import save_small
from tests.helpers.pickles import Bomb
from tests.helpers.refusal import refusal

REMEDY = "restore it from a copy, resume from another checkpoint, or start the run anew without --resume"


@pytest.mark.parametrize(
    "name",
    [
        "modules/agent.safetensors",
        "config.yaml",
        "counters.json",
        "buffers/real/observation.memmap",
        "buffers/meta.json",
        "rng.json",
        "optimizers/agent.json",
    ],
)
def test_damage_names_the_file_and_the_remedy(tmp_path: Path, name: str) -> None:
    path = save_small(tmp_path, optimizers={"agent": {"lr": 0.1}}) / name
    content = path.read_bytes()
    here = f"checkpoint {tmp_path / '000001'}: {name}"

    path.write_bytes(content[:-1])
    size = len(content)
    assert refusal(lambda: checkpoint.load(tmp_path)) == f"{here} is damaged ({size - 1} bytes, not {size}); {REMEDY}"

    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert refusal(lambda: checkpoint.load(tmp_path)) == f"{here} is damaged (its SHA-256 differs); {REMEDY}"

    path.unlink()
    assert refusal(lambda: checkpoint.load(tmp_path)) == f"{here} is missing; {REMEDY}"


def test_a_damaged_manifest_another_format_and_an_empty_folder_say_so(tmp_path: Path) -> None:
    assert refusal(lambda: checkpoint.load(tmp_path)) == (
        f"{tmp_path}: holds no checkpoint; name a folder with a manifest.json, or the one above it"
    )
    manifest = save_small(tmp_path) / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text[:50])
    assert (
        refusal(lambda: checkpoint.load(tmp_path))
        == f"checkpoint {tmp_path / '000001'}: manifest.json is damaged; {REMEDY}"
    )
    manifest.write_text(text.replace('"format": 4', '"format": 3'))
    assert refusal(lambda: checkpoint.load(tmp_path)) == (
        f"checkpoint {tmp_path / '000001'}: is of format 3, and this genreplay reads format 4; train it anew, or use "
        "the version of genreplay that wrote it"
    )


def _rewrite_manifest(folder: Path) -> None:
    """What someone who means harm can do: hashes prove nothing against them."""
    (folder / "manifest.json").unlink()
    manifest.write(folder)


@pytest.mark.parametrize("use_torch", [False, True])
@pytest.mark.parametrize(
    "name", ["modules/agent.safetensors", "rng.safetensors", "counters.json", "rng.json", "optimizers/agent.json"]
)
def test_a_pickle_in_place_of_a_file_is_refused_and_not_executed(tmp_path: Path, name: str, use_torch: bool) -> None:
    folder = save_small(tmp_path / "run", optimizers={"agent": {"lr": 0.1}})
    trace = tmp_path / "executed"
    if use_torch:
        torch.save(Bomb(trace), folder / name)
    else:
        (folder / name).write_bytes(pickle.dumps(Bomb(trace)))
    _rewrite_manifest(folder)
    with pytest.raises(UserError, match=rf"{Path(name).name} is (no safetensors file|damaged); "):
        checkpoint.load(tmp_path / "run")
    assert not trace.exists()


def test_a_pickle_that_tensordict_would_read_is_refused_and_not_executed(tmp_path: Path) -> None:
    folder, trace = save_small(tmp_path / "run"), tmp_path / "executed"
    TensorDict({"note": NonTensorData(Bomb(trace))}, []).memmap(folder / "buffers" / "real")
    assert any(path.suffix == ".pickle" for path in folder.rglob("*")), "this is how TensorDict keeps such data"
    _rewrite_manifest(folder)
    with pytest.raises(UserError, match="names something else than tensors, which genreplay never writes"):
        checkpoint.load(tmp_path / "run")
    assert not trace.exists()


def test_what_a_checkpoint_does_not_keep_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^checkpoint: buffers\['note'\] is a \w+; only tensors are kept$"):
        save_small(tmp_path, buffers=TensorDict({"note": NonTensorData("text")}, []))
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match=r"^checkpoint: counters\.curve\.0 is a float32, which a checkpoint does not"):
        save_small(tmp_path, counters={"curve": [np.float32(1)]})
    with pytest.raises(TypeError, match=r"^checkpoint: agent\.extra is a dict, not a tensor$"):
        save_small(tmp_path, modules={"agent": {"extra": {}}})
    assert not checkpoint.exists(tmp_path)


@pytest.mark.parametrize("name", ["buffers/real/observation.memmap", "config.yaml"])
def test_links_and_pipes_are_refused(tmp_path: Path, name: str) -> None:
    folder, other = save_small(tmp_path / "run"), tmp_path / "other"
    path = folder / name
    path.rename(other)
    for make in (lambda: path.symlink_to(other), lambda: os.mkfifo(path)):
        make()
        assert refusal(lambda: checkpoint.load(folder)) == (
            f"checkpoint {folder}: {name} is no file of its own, such as a link; {REMEDY}"
        )
        path.unlink()


def test_a_manifest_names_files_of_its_folder_alone(tmp_path: Path) -> None:
    folder = save_small(tmp_path / "run")
    (tmp_path / "other").write_text("secret")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../../other"] = {"size": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert refusal(lambda: checkpoint.load(folder)) == f"checkpoint {folder}: ../../other is missing; {REMEDY}"


@pytest.mark.parametrize(
    ("key", "entry"),
    [
        ("observation", {"device": "cpu", "shape": [1 << 40, 3], "dtype": "torch.float32", "is_nested": False}),
        ("observation", {"device": "cpu", "shape": [-5, -3], "dtype": "torch.float32", "is_nested": False}),
        ("observation", {"device": "cpu", "shape": [5, 3], "dtype": "torch.load", "is_nested": False}),
        ("../../../other", {"device": "cpu", "shape": [9], "dtype": "torch.float32", "is_nested": False}),
        ("../..", {"type": "TensorDict"}),
    ],
)
def test_a_description_of_tensors_that_are_not_there_is_refused_and_no_file_grows(
    tmp_path: Path, key: str, entry: dict
) -> None:
    folder = save_small(tmp_path / "run")
    (tmp_path / "other.memmap").write_bytes(b"1234")
    path = folder / "buffers/real/meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: entry}))
    _rewrite_manifest(folder)
    sizes = {path: path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()}
    assert refusal(lambda: checkpoint.load(folder)) == (
        f"checkpoint {folder}: buffers/real/meta.json describes no {key!r} that is there; {REMEDY}"
    )
    assert {path: path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()} == sizes
