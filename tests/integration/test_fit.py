"""Whole runs through the command line: what they leave behind, resuming, interrupts, several ranks."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command_line import assert_same, environment, genreplay, interrupt_after, last_checkpoint, only_run
from tests.helpers.paths import REPOSITORY

PENDULUM = REPOSITORY / "conf/pendulum_pgr.yaml"
TINY = [
    "env.max_episode_steps=40",
    "agent.hidden_width=16",
    "agent.critic_updates_per_actor_update=4",
    "generator.network.hidden_width=16",
    "generator.network.num_blocks=1",
    "generator.fit.num_steps=30",
    "generator.sampler.num_steps=4",
    "relevance.hidden_width=16",
    "replay.batch_size=16",
    "loop.num_env_steps=160",
    "loop.warmup_env_steps=30",
    "loop.utd_ratio=4",
    "loop.first_refit_env_step=50",
    "loop.refit_every_env_steps=40",
    "loop.num_synthetic_rows=64",
    "loop.evaluate_every_env_steps=80",
    "loop.checkpoint_every_env_steps=1000",
    "loop.log_every_env_steps=20",
    "evaluation.seeds=[1,2]",
    "fabric.accelerator=cpu",
    "fabric.num_threads=1",
]


def fit(folder: Path, *overrides: str, config: Path = PENDULUM) -> subprocess.CompletedProcess[str]:
    return genreplay(folder, "fit", "--config", str(config), *TINY, *overrides)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    done = fit(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_a_run_leaves_its_record_in_mlflow(whole: Path) -> None:
    client, run = only_run(whole)
    assert run.info.status == "FINISHED"
    assert run.data.params["agent.ensemble_size"] == "2"
    assert run.data.params["loop.num_env_steps"] == "160"
    assert {"version.torch", "version.genreplay"} <= set(run.data.tags)
    assert (run.info.run_name, run.data.tags["method"], run.data.tags["world"]) == (
        "pendulum_pgr-seed0",
        "PGR",
        "gymnasium Pendulum-v1",
    )
    evaluated = client.get_metric_history(run.info.run_id, "evaluation/return")
    assert [metric.step for metric in evaluated] == [80, 160]
    for name in (
        "agent/critic_loss",
        "agent/critic_loss_synthetic",
        "agent/temperature",
        "generator/loss_last",
        "training/return",
        "synthetic/reward_mean",
        "diagnostics/wasserstein_mean",
        "diagnostics/one_step_error_yardstick",
        "speed/gradient_steps_per_second",
        "speed/elapsed_seconds",
    ):
        history = client.get_metric_history(run.info.run_id, name)
        assert history, name
        assert all(metric.value == metric.value for metric in history), f"{name} holds a NaN"
    assert run.data.metrics["counters/gradient_step"] == (160 - 30) * 4
    assert run.data.metrics["counters/generator_step"] == 3 * 30  # refits at 50, 90 and 130
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"config.yaml", "learning_curve.png", "checkpoints"} <= names
    kept = {file.path for file in client.list_artifacts(run.info.run_id, "diagnostics")}
    assert kept == {f"diagnostics/env_step_{step:07d}.{kind}" for step in (50, 90, 130) for kind in ("png", "csv")}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run(whole: Path, tmp_path: Path) -> None:
    assert fit(tmp_path).returncode == 0
    assert_same(last_checkpoint(tmp_path), last_checkpoint(whole))


@pytest.mark.slow
def test_an_interrupted_run_resumes_as_if_nothing_had_happened(whole: Path, tmp_path: Path) -> None:
    rest = interrupt_after("generator fitted", tmp_path, ["fit", "--config", str(PENDULUM), *TINY])
    client, run = only_run(tmp_path)
    assert f"go on with: genreplay fit --resume {run.info.run_id}" in rest.replace("\n", " ")
    assert run.info.status == "KILLED"
    assert last_checkpoint(tmp_path).counters["counters"]["env_step"] < 160

    resumed = genreplay(tmp_path, "fit", "--resume", "last")
    assert resumed.returncode == 0, resumed.stderr
    assert only_run(tmp_path)[1].info.status == "FINISHED"
    assert_same(last_checkpoint(tmp_path), last_checkpoint(whole))
    history = client.get_metric_history(run.info.run_id, "evaluation/return")
    expected = only_run(whole)
    assert [(m.step, m.value) for m in history] == [
        (m.step, m.value) for m in expected[0].get_metric_history(expected[1].info.run_id, "evaluation/return")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_sigterm_ends_a_long_fit_at_once_and_the_run_goes_on_where_the_project_was_moved(
    devices: int, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    long = ["loop.first_refit_env_step=21", "generator.fit.num_steps=1_000_000", f"fabric.devices={devices}"]
    argv = ["fit", "--config", str(PENDULUM), *TINY, *long]
    rest = interrupt_after("env step 20 of 160", project, argv, signal.SIGTERM, delay=3.0)
    assert "stopped and saved at env step 21; go on with" in rest.replace("\n", " ")
    assert "Traceback" not in rest
    saved = last_checkpoint(project).counters
    assert (saved["due"]["refit"], saved["counters"]["generator_step"]) == (True, 0)
    assert only_run(project)[1].info.status == "KILLED"
    if devices > 1:
        return

    moved = project.rename(tmp_path / "moved")
    resumed = genreplay(moved, "fit", "--resume", "last", "generator.fit.num_steps=20")
    assert resumed.returncode == 0, resumed.stderr
    assert f"mlruns was moved here from {project}/mlruns" in resumed.stderr.replace("\n", " ")
    _, run = only_run(moved)
    assert (run.info.status, run.data.metrics["counters/env_step"]) == ("FINISHED", 160.0)
    assert last_checkpoint(moved).counters["counters"]["env_step"] == 160
    assert not project.exists()


@pytest.mark.slow
def test_two_ranks_train_one_agent_and_end_cleanly(tmp_path: Path) -> None:
    done = fit(tmp_path, "fabric.devices=2")
    assert done.returncode == 0, done.stderr
    _, run = only_run(tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["counters/env_step"] == 160


@pytest.mark.slow
def test_two_machines_train_one_agent(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    command = [sys.executable, "-m", "genreplay", "fit", "--config", str(PENDULUM), *TINY, "fabric.num_nodes=2"]
    nodes = [
        subprocess.Popen(command, cwd=tmp_path, env=environment() | where | {"NODE_RANK": str(rank)}) for rank in (0, 1)
    ]
    assert [node.wait(200) for node in nodes] == [0, 0]
    assert only_run(tmp_path)[1].data.metrics["counters/env_step"] == 160


@pytest.mark.slow
def test_a_generator_that_diverges_on_two_ranks_lets_them_go_on_without_it(tmp_path: Path) -> None:
    done = fit(tmp_path, "fabric.devices=2", "generator.fit.learning_rate=1e30")
    assert done.returncode == 0, done.stderr
    assert (
        "generator: the loss is no longer a number; lower generator.fit.learning_rate; the agent learns from real "
        "transitions alone until the next fit"
    ) in " ".join(done.stderr.split())
    assert only_run(tmp_path)[1].data.metrics["generator/diverged"] == 1


@pytest.mark.slow
def test_a_corrupt_checkpoint_names_itself(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(next(whole.glob("mlruns/**/checkpoints")), copy)
    (victim,) = copy.glob("*/modules/agent.safetensors")
    victim.write_bytes(victim.read_bytes()[:-1])
    done = genreplay(tmp_path, "fit", "--resume", str(copy))
    assert done.returncode == 2
    assert "modules/agent.safetensors is damaged" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_smoke_config_runs_every_part_on_sumo(tmp_path: Path) -> None:
    done = genreplay(tmp_path, "fit", "--config", str(REPOSITORY / "conf/smoke.yaml"), "fabric.accelerator=cpu")
    assert done.returncode == 0, done.stderr
    _, run = only_run(tmp_path)
    assert 0 < run.data.metrics["evaluation/delay"] < 600
    assert 0 < run.data.metrics["baseline/delay"] < 600
    assert run.data.metrics["counters/generator_step"] > 0
    assert "fixed plan" in done.stderr
