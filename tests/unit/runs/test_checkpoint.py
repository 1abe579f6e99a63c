"""Checkpoints: exact, whole or not there, and inert."""

import json
import os
import pickle
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from tensordict import NonTensorData, TensorDict

from genreplay.common.errors import UserError
from genreplay.runs import checkpoint

REMEDY = "restore it from a copy, resume from another checkpoint, or start the run anew without --resume"


def _buffers(num_rows: int = 5) -> TensorDict:
    rows = TensorDict(
        {"observation": torch.randn(num_rows, 3), "next": {"done": torch.rand(num_rows, 1) > 0.5}}, [num_rows]
    )
    return TensorDict({"real": rows, "cursor": torch.tensor(3)}, [])


def _save(folder: Path, **changes: object) -> Path:
    content = {
        "modules": {"agent": torch.nn.Linear(3, 2).state_dict()},
        "optimizers": {},
        "buffers": _buffers(),
        "counters": {"env_step": 7},
        "config_yaml": "seed: 0\n",
    }
    return checkpoint.save(folder, **{**content, **changes})


def _trained(optimizer_class: type[torch.optim.Optimizer], **options: object) -> tuple:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    parameters = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.01}]
    optimizer = optimizer_class(parameters, lr=0.1, **options)  # type: ignore[call-arg]
    for _ in range(3):
        _step(model, optimizer)
    return model, optimizer


def _step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(5, 4)).square().mean().backward()
    optimizer.step()


def _assert_same(a: object, b: object) -> None:
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype  # type: ignore[attr-defined]
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            _assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            _assert_same(left, right)
    else:
        assert a == b


@pytest.mark.parametrize(
    ("optimizer_class", "options"),
    [
        (torch.optim.Adam, {}),
        (torch.optim.Adam, {"fused": True}),
        (torch.optim.AdamW, {"amsgrad": True, "betas": (0.8, 0.95)}),
        (torch.optim.SGD, {"momentum": 0.9}),
    ],
)
def test_optimizers_come_back_exactly_and_continue_exactly(tmp_path: Path, optimizer_class, options) -> None:
    model, optimizer = _trained(optimizer_class, **options)
    before = optimizer.state_dict()
    _save(tmp_path, modules={"agent": model.state_dict()}, optimizers={"agent": {"critic": before}})
    loaded = checkpoint.load(tmp_path)
    _assert_same(before, loaded.optimizers["agent"]["critic"])

    other_model, other_optimizer = _trained(optimizer_class, **options)
    _step(other_model, other_optimizer)
    other_model.load_state_dict(loaded.modules["agent"])
    other_optimizer.load_state_dict(loaded.optimizers["agent"]["critic"])
    _step(model, optimizer)
    _step(other_model, other_optimizer)
    for mine, theirs in zip(model.parameters(), other_model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_modules_buffers_counters_and_config_come_back_exactly(tmp_path: Path) -> None:
    weights = {
        "shared": torch.arange(6.0).reshape(2, 3),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "scalar": torch.tensor(0.1),
        "flag": torch.tensor([True, False]),
    }
    weights["alias"] = weights["shared"]
    weights["transposed"] = weights["shared"].T
    counters = {
        "nested": {"carry": [1, 3], "low": 0.1 + 0.2, "inf": float("inf"), "none": None, "flag": True, "ü": "ß"},
        3: (1, "two"),
        "$odd": [],
    }
    buffers = _buffers()
    _save(
        tmp_path, modules={"agent": weights, "empty": {}}, buffers=buffers, counters=counters, config_yaml="seed: 3\n"
    )
    loaded = checkpoint.load(tmp_path)
    assert sorted(loaded.modules) == ["agent", "empty"]
    for key, value in weights.items():
        _assert_same(value.contiguous(), loaded.modules["agent"][key])
    assert loaded.counters == counters
    assert (loaded.buffers == buffers).all()
    assert loaded.buffers["real"].batch_size == torch.Size([5])
    assert loaded.config_yaml == "seed: 3\n"
    assert loaded.folder == tmp_path / "000001"


def test_buffers_without_rows_come_back(tmp_path: Path) -> None:
    _save(tmp_path, buffers=TensorDict({"cursor": torch.tensor(0), "real": torch.zeros(0, 3)}, []))
    loaded = checkpoint.load(tmp_path).buffers
    assert loaded["cursor"].item() == 0
    assert loaded["real"].shape == (0, 3)


def test_random_streams_continue(tmp_path: Path) -> None:
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    np.random.standard_normal()  # leaves a cached second normal behind
    _save(tmp_path)
    expected = [random.random(), np.random.standard_normal(3).tolist(), torch.rand(3).tolist()]
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    checkpoint.load(tmp_path).restore_rng()
    assert [random.random(), np.random.standard_normal(3).tolist(), torch.rand(3).tolist()] == expected


def test_saving_draws_no_random_numbers(tmp_path: Path) -> None:
    content = {"modules": {"agent": {"w": torch.ones(3)}}, "buffers": TensorDict({"cursor": torch.tensor(0)}, [])}
    torch.manual_seed(0), random.seed(0)
    before = torch.get_rng_state(), random.getstate()
    checkpoint.save(tmp_path, **content, optimizers={}, counters={}, config_yaml="")
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()


def test_a_save_replaces_the_one_before_and_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    _save(tmp_path)
    (tmp_path / ".000002.partial" / "modules").mkdir(parents=True)
    (tmp_path / "000000" / "modules").mkdir(parents=True)  # an old one, its removal cut short
    _save(tmp_path, counters={"env_step": 8})
    assert [path.name for path in tmp_path.iterdir()] == ["000002"]
    assert checkpoint.load(tmp_path).counters == {"env_step": 8}
    assert checkpoint.load(tmp_path / "000002").counters == {"env_step": 8}
    assert checkpoint.exists(tmp_path)
    assert checkpoint.exists(tmp_path / "000002")
    assert not checkpoint.exists(tmp_path / "nothing")


KILLED_SAVE = """
    import os, signal, sys
    from pathlib import Path
    import torch
    from tensordict import TensorDict
    from genreplay.runs import checkpoint

    torch.set_num_threads(1)
    folder = Path(sys.argv[1])

    def save(value):
        checkpoint.save(
            folder, modules={"agent": {"w": torch.full((50,), float(value))}}, optimizers={"agent": {"step": value}},
            buffers=TensorDict({"real": TensorDict({"x": torch.full((50, 2), value)}, [50])}, []),
            counters={"value": value}, config_yaml=f"seed: {value}",
        )

    def read():
        loaded = checkpoint.load(folder)
        return {loaded.counters["value"], loaded.optimizers["agent"]["step"], int(loaded.config_yaml.split()[1]),
                *map(int, loaded.modules["agent"]["w"]), *loaded.buffers["real"]["x"].view(-1).tolist()}

    EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
    save(0)
    value, moment, seen, finished = 0, 0, [], False
    while not finished:
        moment += 1
        child = os.fork()
        if child == 0:
            count = 0
            def die(event, arguments):
                global count
                if event in EVENTS and (event != "open" or str(folder) in str(arguments[0])):
                    count += 1
                    if count == moment:
                        os.kill(os.getpid(), signal.SIGKILL)
            sys.addaudithook(die)
            save(value + 1)
            os._exit(0)
        finished = os.waitpid(child, 0)[1] == 0
        found = read()
        assert found in ({value}, {value + 1}), found
        seen.append(found == {value + 1})
        value += seen[-1]
    print(moment, sum(seen[:-1]))
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED_SAVE), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    moments, newer = map(int, done.stdout.split())
    assert moments > 30, "the save was to be killed at each of its file operations"
    assert newer > 3, "some kills come after the new checkpoint counts, while the older one is removed"


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
    path = _save(tmp_path, optimizers={"agent": {"lr": 0.1}}) / name
    content = path.read_bytes()
    here = f"checkpoint {tmp_path / '000001'}: {name}"

    path.write_bytes(content[:-1])
    with pytest.raises(UserError) as cut:
        checkpoint.load(tmp_path)
    assert str(cut.value) == f"{here} is damaged ({len(content) - 1} bytes, not {len(content)}); {REMEDY}"

    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError) as flipped:
        checkpoint.load(tmp_path)
    assert str(flipped.value) == f"{here} is damaged (its SHA-256 differs); {REMEDY}"

    path.unlink()
    with pytest.raises(UserError) as missing:
        checkpoint.load(tmp_path)
    assert str(missing.value) == f"{here} is missing; {REMEDY}"


def test_a_damaged_manifest_another_format_and_an_empty_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(UserError) as empty:
        checkpoint.load(tmp_path)
    assert str(empty.value) == (
        f"{tmp_path}: holds no checkpoint; name a folder with a manifest.json, or the one above it"
    )
    manifest = _save(tmp_path) / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text[:50])
    with pytest.raises(UserError) as damaged:
        checkpoint.load(tmp_path)
    assert str(damaged.value) == f"checkpoint {tmp_path / '000001'}: manifest.json is damaged; {REMEDY}"
    manifest.write_text(text.replace('"format": 3', '"format": 2'))
    with pytest.raises(UserError) as older:
        checkpoint.load(tmp_path)
    assert str(older.value) == (
        f"checkpoint {tmp_path / '000001'}: is of format 2, and this genreplay reads format 3; train it anew, or use "
        "the version of genreplay that wrote it"
    )


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.trace}",)


def _rewrite_manifest(folder: Path) -> None:
    """What someone who means harm can do: hashes prove nothing against them."""
    (folder / "manifest.json").unlink()
    checkpoint._write_manifest(folder)


@pytest.mark.parametrize("use_torch", [False, True])
@pytest.mark.parametrize(
    "name", ["modules/agent.safetensors", "rng.safetensors", "counters.json", "rng.json", "optimizers/agent.json"]
)
def test_a_pickle_in_place_of_a_file_is_refused_and_not_executed(tmp_path: Path, name: str, use_torch: bool) -> None:
    folder = _save(tmp_path / "run", optimizers={"agent": {"lr": 0.1}})
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
    folder, trace = _save(tmp_path / "run"), tmp_path / "executed"
    TensorDict({"note": NonTensorData(Bomb(trace))}, []).memmap(folder / "buffers" / "real")
    assert any(path.suffix == ".pickle" for path in folder.rglob("*")), "this is how TensorDict keeps such data"
    _rewrite_manifest(folder)
    with pytest.raises(UserError, match="names something else than tensors, which genreplay never writes"):
        checkpoint.load(tmp_path / "run")
    assert not trace.exists()


def test_what_a_checkpoint_does_not_keep_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^checkpoint: buffers\['note'\] is a \w+; only tensors are kept$"):
        _save(tmp_path, buffers=TensorDict({"note": NonTensorData("text")}, []))
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match=r"^checkpoint: counters\.curve\.0 is a float32, which a checkpoint does not"):
        _save(tmp_path, counters={"curve": [np.float32(1)]})
    with pytest.raises(TypeError, match=r"^checkpoint: agent\.extra is a dict, not a tensor$"):
        _save(tmp_path, modules={"agent": {"extra": {}}})
    assert not checkpoint.exists(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as error:
        _save(tmp_path / "file" / "run")
    assert str(error.value) == (
        f"checkpoint {tmp_path / 'file' / 'run' / '000001'}: cannot be written (Not a directory); make room there or "
        "name another place by tracking.uri"
    )


def test_json_is_for_people_too(tmp_path: Path) -> None:
    folder = _save(tmp_path)
    assert json.loads((folder / "counters.json").read_text()) == {"env_step": 7}
