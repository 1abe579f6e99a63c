"""The benchmarks run, for a moment each; how fast anything is, no test says."""

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from torch.utils.flop_counter import FlopCounterMode

from tests.helpers.scripts import BENCHMARKS, load


def run(tmp_path: Path, name: str, *options: str, timeout: float = 250, environment: dict[str, str] | None = None):
    file = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARKS / name), *options, "--json", str(file)]
    variables = os.environ | (environment or {})
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=timeout, check=False, env=variables
    )
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text()), done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_part_runs_and_fills_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{load('run').BEGIN}\nnot measured yet\n{load('run').END}\nafter\n")
    picture = tmp_path / "scaling.png"
    options = ["--quick", "--markdown", str(page), "--figure", str(picture)]
    # Code that is to be compiled runs, and is not compiled: that takes a minute, and test_compiled.py does it.
    figures, printed = run(tmp_path, "run.py", *options, timeout=850, environment={"TORCH_COMPILE_DISABLE": "1"})
    assert set(figures["parts"]) == set(load("run").PARTS)
    lines = [line for part in figures["parts"].values() for line in part["records"]]
    for line in lines:
        assert line["value"] is None or line["value"] > 0 or line["unit"] == "exponent"
        assert line["contender"] in printed
    for part in figures["parts"].values():
        assert part["peak_memory_mib"] > 50
    loop = figures["parts"]["whole_loop"]["records"]
    assert {"collection", "generator: fit", "generator: samples", "agent updates", "replay"} <= {
        line["contender"] for line in loop
    }
    runs = {line["case"]: line["value"] for line in loop if line["contender"] == "rest of the loop"}
    assert len(runs) == 3, "as it is, and a shorter one as it is and with the plain implementations"
    whole = [line["value"] for line in loop if line["note"] == "whole loop" or line["contender"] == "whole loop"]
    parts = [
        sum(line["value"] for line in loop if line["case"] == case and line["note"] != "100.0% of the time")
        for case in runs
    ]
    assert whole == pytest.approx(parts)
    growing = figures["parts"]["scaling"]["records"]
    assert len([line for line in growing if line["contender"] == "growth"]) == len({line["case"] for line in growing})
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "not measured yet" not in text
    assert "no measurement" in text, "a quick run must not pass for figures"


def test_the_exponent_of_growth_is_that_of_the_times() -> None:
    scaling = load("scaling")
    sizes = [10, 100, 1000, 5000]
    assert scaling.exponent(sizes, [3e-3 * size**0.7 for size in sizes]) == pytest.approx(0.7)
    assert scaling.exponent(sizes, [2.0] * 4) == pytest.approx(0.0)


def test_sizes_are_measured_in_milliseconds_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaling = load("scaling")
    # Every other round takes three times as long, as on a machine that others use: the exponent must not notice.
    taken = {"2": [0.1, 0.3, 0.1, 0.3], "8": [0.2, 0.6, 0.2, 0.6], "32": [0.4, 1.2, 0.4, 1.2]}
    monkeypatch.setattr(scaling, "take_turns", lambda calls, settings: {name: taken[name] for name in calls})
    case = scaling.Case("a case", "things", "ms/call", dict.fromkeys((2, 8, 32), int), per_call=4)
    lines = scaling.measured(case, None)
    assert [line["value"] for line in lines] == pytest.approx([50, 100, 200, 0.5])
    assert lines[-1]["note"] == "0.50 to 0.50 over the rounds"
    (axes,) = scaling.figure(lines).axes
    shown, proportional = axes.lines
    assert shown.get_ydata().tolist() == pytest.approx([50, 100, 200])
    assert proportional.get_ydata()[-1] == pytest.approx(50 * 16)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["exponent 0.50", "exponent 1"]
    scaling.draw(lines, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 5000


def test_the_page_has_a_place_for_the_figures() -> None:
    before, after = load("run").around_figures(BENCHMARKS.parent / "docs" / "performance.md")
    assert before.startswith("# Performance")
    assert after == "\n"


def test_a_page_without_a_place_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no markers\n")
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--quick", "--markdown", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2
    assert "no place for the figures" in done.stderr
    assert page.read_text() == "no markers\n"


def test_parts_are_kept_that_were_measured_with_the_same_options(tmp_path: Path) -> None:
    kept_parts = load("run").kept_parts
    settings, file = {"device": "cpu", "quick": False}, tmp_path / "figures.json"
    assert kept_parts(None, settings) == kept_parts(file, settings) == {}
    file.write_text(json.dumps({"settings": settings, "parts": {"machine": {"records": []}}}))
    assert kept_parts(file, settings) == {"machine": {"records": []}}
    with pytest.raises(ValueError, match=r"holds figures of .*; name another file"):
        kept_parts(file, settings | {"quick": True})


def test_operations_of_a_block_are_those_of_its_products() -> None:
    """Counted by torch in the plain implementation, which makes one product that nothing needs: in the actor's update
    the gradient of the observation, which it hands to the critics in one tensor with the action."""
    critic_updates = load("critic_updates")
    block = critic_updates.random_block(21, 4, "cpu")
    update = critic_updates.plain(block, 3)
    with FlopCounterMode(display=False) as counted:
        update()
    of_observation = 3 * 2 * critic_updates.BATCH_SIZE * 21 * critic_updates.HIDDEN_WIDTH
    assert counted.get_total_flops() == critic_updates.block_operations(21, 4, 3) + of_observation


def test_the_plain_diffusion_learns_and_evaluates_as_often_as_the_published_one() -> None:
    plain_edm = load("plain_edm")
    torch.manual_seed(0)
    z = torch.randn(2000, 1)
    rows = torch.tensor([3.0, -2.0]) + torch.tensor([0.5, 2.0]) * (z + 0.1 * torch.randn(2000, 2))
    model = plain_edm.PlainEdm(rows, torch.rand(2000, 1), width=32, depth=2)
    model.optimizer.param_groups[0]["lr"] = 3e-3  # ten times the published one: so short a fit must do
    for _ in range(500):
        model.train_step()
    model.ema = model.network  # the average is not that far yet
    model.num_evaluations = 0
    model.sample(torch.rand(4, 1))
    assert model.num_evaluations == 255
    model.sample(torch.rand(4, 1), guidance=2.0)
    assert model.num_evaluations == 255 + 383
    drawn = model.sample(torch.rand(1000, 1), num_steps=32)
    torch.testing.assert_close(drawn.mean(dim=0), rows.mean(dim=0), atol=0.3, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), rows.std(dim=0), atol=0, rtol=0.2)
    assert torch.corrcoef(drawn.T)[0, 1] > 0.9, "the columns follow each other"


def test_a_policy_has_arrived_where_it_stays_below() -> None:
    minutes = load("minutes_to_controller")
    points = [minutes.Point(100 * i, float(i), value) for i, value in enumerate([9.0, 30.0, 19.0, 20.0, 19.9, 12.0])]
    assert [minutes.minutes_below(points, level) for level in (31.0, 30.0, 20.0, 12.0)] == [0.0, 2.0, 4.0, math.inf]


def test_minutes_begin_with_the_process_and_leave_out_evaluations(tmp_path: Path) -> None:
    """The process starts at 1,000 s; the baseline takes 30 s, and the first evaluation 90 s."""
    minutes, store = load("minutes_to_controller"), f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(store)
    run = client.create_run(client.create_experiment("x")).info.run_id
    for name, value, second, step in (
        ("speed/evaluation_seconds", 30.0, 1090, 100),
        ("counters/env_step", 100.0, 1090, 100),
        ("evaluation/delay", 25.0, 1180, 100),
        ("speed/evaluation_seconds", 90.0, 1600, 200),
        ("counters/env_step", 200.0, 1600, 200),
        ("evaluation/delay", 15.0, 1700, 200),
    ):
        client.log_metric(run, name, value, timestamp=second * 1000, step=step)
    assert minutes.read(store, 1000.0, "delay") == [minutes.Point(100, 1.0, 25.0), minutes.Point(200, 8.0, 15.0)]


def test_configurations_are_compared_by_their_medians() -> None:
    minutes = load("minutes_to_controller")
    found = {
        "sumo_pgr": {0: {"max_pressure": 1.0, "fully_actuated": 2.0}, 1: {"max_pressure": 3.0, "fully_actuated": 2.0}},
        "previous default": {seed: {"max_pressure": 8.0, "fully_actuated": math.inf} for seed in (0, 1)},
    }
    head, *lines, note = [line.split() for line in minutes.table(found)]
    assert head[-2:] == ["max_pressure", "fully_actuated"]
    assert [line[-3:] for line in lines] == [
        ["0", "1.0", "2.0"],
        ["1", "3.0", "2.0"],
        ["median", "2.0", "2.0"],
        ["0", "8.0", "not"],
        ["1", "8.0", "not"],
        ["median", "8.0", "not"],
        ["ratio", "0.25", "not"],
    ]
    assert "begins as the queue rule" in " ".join(note)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_minutes_to_controller(tmp_path: Path) -> None:
    """Both configurations, two evaluations each."""
    size = [
        "env.episode_seconds=300",
        "evaluation.seeds=[1]",
        "loop.num_env_steps=40",
        "loop.warmup_env_steps=10",
        "loop.first_refit_env_step=30",
        "loop.num_synthetic_rows=50",
        "generator.fit.num_steps=5",
        "generator.network.hidden_width=16",
    ]
    few = ["--seeds", "3", "--every", "20"]
    figures, printed = run(tmp_path, "minutes_to_controller.py", *few, *size, timeout=850)
    for name, of_seed in figures["points"].items():
        assert f"{name}, seed 3: delay " in printed
        (points,) = of_seed.values()
        assert [point[0] for point in points] == [20, 40]
        assert 0 < points[0][1] < points[1][1]
        assert set(figures["baselines"][name][1]) == {"max_pressure", "fully_actuated"}
    assert "sumo_pgr begins as the queue rule" in printed


@pytest.mark.slow
def test_env_stepping(tmp_path: Path) -> None:
    figures, printed = run(tmp_path, "env_stepping.py", "--seconds", "60", "--repeats", "1")
    assert figures
    for contender in ("bare", "simulator", "env_2", "sumo_rl_traci"):
        assert contender in printed


@pytest.mark.slow
def test_overcooked_validity(tmp_path: Path) -> None:
    size = [
        "generator.network.hidden_width=16",
        "generator.network.num_blocks=1",
        "generator.head.hidden_width=16",
        "generator.fit.num_steps=60",
    ]
    few = ["--layouts", "cramped_room", "--generators", "factorised", "--rows", "600", "--samples", "200"]
    (line,), printed = run(tmp_path, "overcooked_validity.py", *few, *size)
    assert "cramped_room" in printed
    assert 0 <= line["valid"] < 0.9, "so short a fit must show its mistakes"
    assert 0 <= line["kept of the sure"] <= 1
    assert line["wrong"]


@pytest.mark.slow
def test_sampler_quality(tmp_path: Path) -> None:
    file, few = tmp_path / "quality.csv", ["--fits", "1", "--rows", "120", "--fit-steps", "20"]
    command = [sys.executable, str(BENCHMARKS / "sampler_quality.py"), *few, "--csv", str(file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    with file.open(newline="") as lines:
        found = {
            tuple(line[key] for key in ("world", "guidance", "sampler", "figure")): line
            for line in csv.DictReader(lines)
        }
    quality = load("sampler_quality")
    for sampler in quality.SAMPLERS:
        assert sampler in done.stdout
        wrong = float(found["Pendulum", "1.0", sampler, "simulator_error"]["value"])
        assert 0.01 < wrong < 10, "so short a fit must show its mistakes, and no sampler makes them of no size"
    assert {world for world, *_ in found} == set(quality.WORLDS)
    real = found["SUMO 2way", "1.5", quality.YARDSTICK, "coverage"]
    assert float(real["value"]) > 0.9
