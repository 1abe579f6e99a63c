"""Two real processes (gloo, started by Fabric): same weights as one, shared sampling, and a common end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from genreplay.common.errors import UserError
from genreplay.generators.distributed.team import make_fabric
from tests.helpers.stages import STAGE

SCRIPT = Path(__file__).with_name("team_script.py")
TIME_LIMIT = 300  # seconds; a lost rank that is only noticed by the process group would take 1,800


def run(mode, out, devices):
    clean = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "MASTER_PORT", "WORLD_SIZE", "NODE_RANK")}
    return subprocess.run(
        [sys.executable, str(SCRIPT), mode, str(out), str(devices)],
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        env=clean | {"OMP_NUM_THREADS": "1"},
        check=False,
    )


def is_running(pid_file):
    try:
        os.kill(int(pid_file.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def assert_ends(pid_file):
    for _ in range(200):
        if not is_running(pid_file):
            return
        time.sleep(0.1)
    raise AssertionError(f"{pid_file.name}: the process still runs after 20 s")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["work", "work_compiled"])
def test_two_ranks_fit_and_draw_what_one_does_with_the_doubled_batch(tmp_path, mode):
    results = {}
    for devices in (1, 2):
        done = run(mode, tmp_path / f"{devices}.pt", devices)
        assert done.returncode == 0, done.stderr
        results[devices] = torch.load(tmp_path / f"{devices}.pt", weights_only=True)
    one, two = results[1], results[2]
    for name, value in one["state"].items():
        # Only the order of summation differs; over 40 steps of AdamW that stays below 1e-4.
        assert torch.allclose(value.float(), two["state"][name].float(), atol=1e-4), name
    assert two["metrics"]["loss_last"] == pytest.approx(one["metrics"]["loss_last"], rel=1e-4)
    assert two["drawn"].shape == (75, 3)
    assert torch.allclose(one["drawn"], two["drawn"], atol=1e-2)
    assert torch.allclose(one["unconditional"], two["unconditional"], atol=1e-2)
    assert len(torch.unique(two["drawn"].round(decimals=4), dim=0)) == 75  # no stream is used twice


@pytest.mark.slow
def test_two_ranks_fit_and_keep_given_columns_as_one_does(tmp_path):
    results = {}
    for devices in (1, 2):
        done = run("give", tmp_path / f"{devices}.pt", devices)
        assert done.returncode == 0, done.stderr
        results[devices] = torch.load(tmp_path / f"{devices}.pt", weights_only=True)
    one, two = results[1], results[2]
    for name, value in one["state"].items():
        assert torch.allclose(value.float(), two["state"][name].float(), atol=1e-4), name
    assert torch.equal(two["drawn"][:, STAGE], two["real"][:, STAGE])
    assert not torch.isnan(two["drawn"]).any()
    assert torch.allclose(one["drawn"], two["drawn"], atol=1e-2)


@pytest.mark.slow
def test_two_ranks_draw_rows_and_confidence_as_one_does(tmp_path):
    results = {}
    for devices in (1, 2):
        done = run("judge", tmp_path / f"{devices}.pt", devices)
        assert done.returncode == 0, done.stderr
        results[devices] = torch.load(tmp_path / f"{devices}.pt", weights_only=True)
    one, two = results[1], results[2]
    assert (one["rows"] == two["rows"]).all(dim=1).float().mean() > 0.95  # a draw at a tie of probabilities may flip
    same = (one["rows"] == two["rows"]).all(dim=1)
    assert torch.allclose(one["confidence"][same], two["confidence"][same], atol=1e-3)
    assert two["agree"].shape == (75, 1)
    assert (one["agree"] == two["agree"])[same].float().mean() > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "messages"),
    [
        (
            "rank_1_raises",
            ["RankError: rank 1 failed:", "ArithmeticError: the fifth step went wrong", "rank 0 cleans up"],
        ),
        (
            "rank_1_dies",
            ["RankError: rank 1 ended without a word: it was killed, or ran out of memory", "rank 0 cleans up"],
        ),
        (
            "rank_0_raises",
            [
                "LookupError: the simulator is lost",
                "rank 1 ends because rank 0 failed: LookupError: the simulator is lost",
            ],
        ),
        ("rank_0_dies", ["rank 1 ends because rank 0 is gone"]),
    ],
)
def test_when_one_rank_ends_the_other_ends_and_says_why(tmp_path, mode, messages):
    done = run(mode, tmp_path / "out", 2)
    assert done.returncode != 0
    for message in messages:
        assert message in done.stderr + done.stdout
    assert_ends(tmp_path / "out.pid1")


def test_make_fabric_explains_what_it_cannot_do():
    with pytest.raises(UserError, match=r"^fabric: "):
        make_fabric("cuda", 64)
