"""Checkpoints come back exactly, and are whole or not there."""

import json
import random
import re
import resource
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from genreplay.runs import checkpoint
from tests.helpers.checkpoints import save_small, some_buffers
from tests.helpers.redq_sac import assert_same_state
from tests.helpers.refusal import refusal


def _trained(optimizer_class: type[torch.optim.Optimizer], **options: object) -> torch.optim.Optimizer:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    parameters = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.01}]
    optimizer = optimizer_class(parameters, lr=0.1, **options)  # type: ignore[call-arg]
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(5, 4)).square().mean().backward()
        optimizer.step()
    return optimizer


@pytest.mark.parametrize(
    ("optimizer_class", "options"),
    [
        (torch.optim.Adam, {}),
        (torch.optim.Adam, {"fused": True}),
        (torch.optim.AdamW, {"amsgrad": True, "betas": (0.8, 0.95)}),
        (torch.optim.SGD, {"momentum": 0.9}),
    ],
)
def test_optimizers_come_back_exactly(tmp_path: Path, optimizer_class, options) -> None:
    before = _trained(optimizer_class, **options).state_dict()
    save_small(tmp_path, optimizers={"agent": {"critic": before}})
    assert_same_state(before, checkpoint.load(tmp_path).optimizers["agent"]["critic"])


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
    buffers = some_buffers()
    save_small(
        tmp_path, modules={"agent": weights, "empty": {}}, buffers=buffers, counters=counters, config_yaml="seed: 3\n"
    )
    loaded = checkpoint.load(tmp_path)
    assert sorted(loaded.modules) == ["agent", "empty"]
    for key, value in weights.items():
        assert_same_state(value.contiguous(), loaded.modules["agent"][key])
    assert loaded.counters == counters
    assert (loaded.buffers == buffers).all()
    assert loaded.buffers["real"].batch_size == torch.Size([5])
    assert loaded.config_yaml == "seed: 3\n"
    assert loaded.folder == tmp_path / "000001"


def test_buffers_without_rows_come_back(tmp_path: Path) -> None:
    save_small(tmp_path, buffers=TensorDict({"cursor": torch.tensor(0), "real": torch.zeros(0, 3)}, []))
    loaded = checkpoint.load(tmp_path).buffers
    assert loaded["cursor"].item() == 0
    assert loaded["real"].shape == (0, 3)


def test_random_streams_continue(tmp_path: Path) -> None:
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    np.random.standard_normal()  # leaves a cached second normal behind
    save_small(tmp_path)
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
    save_small(tmp_path)
    (tmp_path / ".000002.partial" / "modules").mkdir(parents=True)
    (tmp_path / "000000" / "modules").mkdir(parents=True)  # an old one, its removal cut short
    save_small(tmp_path, counters={"env_step": 8})
    assert [path.name for path in tmp_path.iterdir()] == ["000002"]
    assert json.loads((tmp_path / "000002" / "counters.json").read_text()) == {"env_step": 8}, "people can read it"
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


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refusal(lambda: save_small(tmp_path / "file" / "run")) == (
        f"checkpoint {tmp_path / 'file' / 'run' / '000001'}: cannot be written (Not a directory); make room there or "
        "name another place by tracking.uri"
    )


@contextmanager
def _file_size_limit(limit: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (8, "File too large"),
        (150, r"Error while serializing: I/O error: File too large \(os error 27\)"),
        (20_000, r"unable to resize file .*: File too large \(27\)"),
    ],
)
def test_without_room_the_older_checkpoint_stays_whole_and_nothing_else_is_left(
    tmp_path: Path, limit: int, reason: str
) -> None:
    save_small(tmp_path, counters={"env_step": 1})
    with _file_size_limit(limit):
        message = refusal(lambda: save_small(tmp_path, counters={"env_step": 2}, buffers=some_buffers(10_000)))
    place = re.escape(str(tmp_path / "000002"))
    assert re.fullmatch(
        f"checkpoint {place}: cannot be written \\({reason}\\); make room there or name another place by tracking.uri",
        message,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["000001"]
    assert checkpoint.load(tmp_path).counters == {"env_step": 1}
