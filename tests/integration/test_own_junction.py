"""From a map and a count table to an evaluated controller, with the commands of docs/traffic.md."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from contextlib import closing

import pytest

from genreplay.envs.facets import BaselineRun
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.world import SumoWorld
from tests.helpers.paths import REPOSITORY

FOLDER = REPOSITORY / "examples/my_junction"
SMALL = [
    "agent.hidden_width=16",
    "generator.network.hidden_width=16",
    "generator.network.num_blocks=1",
    "generator.fit.num_steps=20",
    "generator.sampler.num_steps=4",
    "relevance.hidden_width=16",
    "loop.num_env_steps=60",
    "loop.warmup_env_steps=20",
    "loop.utd_ratio=1",
    "loop.first_refit_env_step=30",
    "loop.refit_every_env_steps=30",
    "loop.num_synthetic_rows=200",
    "loop.evaluate_every_env_steps=60",
    "loop.checkpoint_every_env_steps=60",
    "evaluation.seeds=[1]",
    "env.episode_seconds=900",
    "fabric.accelerator=cpu",
]


def genreplay(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "genreplay", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_counts_with_several_intervals_have_a_plan_by_time_of_day():
    """The light shows one of Webster's plans for each quarter of an hour; random traffic has no such baseline."""
    net, counts = str(FOLDER / "my_junction.net.xml"), str(FOLDER / "counts.csv")
    world = SumoWorld(SumoConfig(net_file=net, count_file=counts))
    assert "time_of_day" in world.evaluation.baselines
    assert "time_of_day" not in SumoWorld(SumoConfig()).evaluation.baselines
    assert (
        "time_of_day"
        not in SumoWorld(SumoConfig(net_file=net, count_file=counts, episode_seconds=900)).evaluation.baselines
    )
    with closing(world.make_env(1, lambda worker, index: index, evaluation=True)) as env:
        env.demand = "1"
        figures = {name: env.play_baseline(BaselineRun(name), {0: 101})[0] for name in ("fixed_plan", "time_of_day")}
    assert figures["time_of_day"]["num_vehicles"] == figures["fixed_plan"]["num_vehicles"]
    assert figures["time_of_day"]["delay"] < figures["fixed_plan"]["delay"]


def test_an_episode_of_counts_has_the_counted_vehicles():
    config = SumoConfig(net_file=str(FOLDER / "my_junction.net.xml"), count_file=str(FOLDER / "counts.csv"))
    world = SumoWorld(config)
    assert world.episode_seconds == 3600
    assert [demand.name for demand in world.evaluation.demands()] == ["0.8", "1", "1.2", "1.38"]
    with closing(world.make_env(1, lambda worker, index: index, evaluation=True)) as env:
        env.demand = "1"
        plans = {name: env.play_baseline(BaselineRun(name), {0: 5})[0] for name in ("fixed_plan", "webster")}
    for metrics in plans.values():
        assert metrics["demand_scale"] == 1
        assert abs(metrics["num_vehicles"] - 1453) < 5 * 1453**0.5  # the counts' sum; Poisson
    assert plans["fixed_plan"]["num_vehicles"] == plans["webster"]["num_vehicles"]
    assert plans["webster"]["delay"] < plans["fixed_plan"]["delay"]


def test_the_page_shows_the_example_as_it_is():
    page = (REPOSITORY / "docs/traffic.md").read_text()
    assert (FOLDER / "junction.yaml").read_text().strip() in page
    assert (FOLDER / "counts.csv").read_text().strip() in page


@pytest.mark.slow
def test_the_commands_of_the_page(tmp_path):
    page = (REPOSITORY / "docs/traffic.md").read_text()
    commands = re.findall(r"^genreplay (.*?)(?: *#.*)?$", page, re.MULTILINE)
    check = "junction --config examples/my_junction/junction.yaml"
    fit = "fit --config examples/my_junction/junction.yaml"
    evaluate = "evaluate --run last --demand 0.8,1,1.2"
    for command in (check, fit, evaluate):
        assert command in commands
    assert "west_in -> east_out" in genreplay(tmp_path, *check.split())
    genreplay(tmp_path, *fit.split(), *SMALL)
    few = ["--baselines", "fixed_plan,webster", "--seeds", "101", "--output", str(tmp_path / "result")]
    shown = genreplay(tmp_path, *evaluate.split(), *few)
    assert "webster" in shown
    episodes = list(csv.DictReader((tmp_path / "result/episodes.csv").open()))
    assert {(row["controller"], row["demand"]) for row in episodes} == {
        (controller, demand) for controller in ("policy", "fixed_plan", "webster") for demand in ("0.8", "1", "1.2")
    }
