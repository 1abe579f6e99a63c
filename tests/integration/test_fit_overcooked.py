"""Whole runs with two cooks through the command line: every shipped experiment, and a resumed one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from genreplay import cli
from genreplay.agents.discrete.actor import CategoricalActor
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS, Kitchen
from genreplay.envs.overcooked.partners.cache import clone_file
from genreplay.partners.cloning import Clone, write_clone
from genreplay.replay.rollouts import Rollouts
from genreplay.runs import checkpoint
from tests.helpers.paths import CONF

EXPERIMENTS = sorted(
    str(path.relative_to(CONF)) for path in [*CONF.glob("overcooked_*.yaml"), *CONF.glob("overcooked/*")]
)
REAL_ONLY = ("overcooked_redq.yaml", "overcooked_human.yaml", "overcooked/greedy.yaml", "overcooked/random_start.yaml")
TINY = [
    "env.horizon=40",
    "agent.hidden_width=16",
    "agent.critic_updates_per_actor_update=1",
    "loop.num_env_steps=200",
    "loop.warmup_env_steps=40",
    "loop.utd_ratio=0.5",
    "loop.evaluate_every_env_steps=100",
    "loop.log_every_env_steps=40",
    "replay.batch_size=16",
    "evaluation.seeds=[1,2]",
    "fabric.accelerator=cpu",
]
TINY_GENERATOR = [
    "generator.network.hidden_width=16",
    "generator.network.num_blocks=1",
    "generator.fit.num_steps=30",
    "generator.sampler.num_steps=4",
    "loop.first_refit_env_step=80",
    "loop.refit_every_env_steps=60",
    "loop.num_synthetic_rows=100",
]


@pytest.fixture(autouse=True)
def _somebody(tmp_path, monkeypatch):
    """A human partner who has learned nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kitchen = Kitchen(read_layout("cramped_room"))
    actor = CategoricalActor(kitchen.code.width, NUM_ACTIONS, 64)
    write_clone(clone_file("cramped_room", "train"), Clone(actor, 0.0, 0.0), kitchen, "train")


def overrides(name: str) -> list[str]:
    if name in REAL_ONLY:
        return TINY
    return [*TINY, *TINY_GENERATOR, "synthesis.min_confidence=0"]


def fit(folder: Path, *arguments: str) -> checkpoint.Checkpoint:
    assert cli.main(["fit", *arguments, f"tracking.uri=sqlite:///{folder}/mlflow.db"]) == 0
    newest = max(folder.glob("**/checkpoints/*/manifest.json"), key=lambda path: path.stat().st_mtime)
    return checkpoint.load(newest.parent)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_with_two_cooks_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = fit(tmp_path, "--config", str(CONF / name), *overrides(name))
    assert saved.counters["counters"]["env_step"] == 200
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["evaluation/sparse_return"] >= 0
    if name in REAL_ONLY:
        assert saved.buffers.get("synthetic", None) is None
        return
    assert saved.buffers["synthetic", "is_synthetic"].all()
    assert 0 <= run.data.metrics["diagnostics/valid"] <= 1
    assert run.data.metrics["diagnostics/valid_yardstick"] == 1  # real transitions can happen
    assert 0 < run.data.metrics["generator/kept"] <= 1


@pytest.mark.slow
def test_a_resumed_run_with_two_cooks_ends_as_a_whole_one(tmp_path, monkeypatch):
    name, rollouts = "overcooked_pgr.yaml", ["synthesis.rollout_length=3", "loop.resample_every_env_steps=28"]
    saved = {}
    for kind, first in (("whole", []), ("resumed", ["loop.num_env_steps=120"])):
        folder = tmp_path / kind
        folder.mkdir()
        monkeypatch.chdir(folder)
        saved[kind] = fit(folder, "--config", str(CONF / name), *overrides(name), *rollouts, *first)
        if first:
            saved[kind] = fit(folder, "--resume", "last", "loop.num_env_steps=200")
    one, other = saved["whole"], saved["resumed"]
    for part, state in one.modules.items():
        for key, value in state.items():
            assert torch.equal(value, other.modules[part][key]), f"{part}.{key}"
    assert torch.equal(one.buffers["real", "observation"], other.buffers["real", "observation"])
    assert torch.equal(one.buffers["synthetic", "observation"], other.buffers["synthetic", "observation"])


@pytest.mark.slow
def test_synthetic_rows_are_drawn_anew_between_fits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn, draw = [], Rollouts.draw

    def counted(self, source, *rest):
        drawn.append((len(source.real), float(self.generator.ema.members[0].gate.weight.detach().sum())))
        return draw(self, source, *rest)

    monkeypatch.setattr(Rollouts, "draw", counted)
    name = "overcooked/counterfactual.yaml"
    fit(tmp_path, "--config", str(CONF / name), *overrides(name), "loop.resample_every_env_steps=24")
    # Fits at 80 and 140, with eight kitchens at 144, where a drawing is due as well.
    assert [at for at, _ in drawn] == [80, 96, 120, 144, 168, 192]
    assert len({weights for _, weights in drawn}) == 2, "the generator changes at the fits alone"


@pytest.mark.slow
def test_a_generator_that_is_sure_of_nothing_leaves_the_agent_its_real_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [*TINY, *TINY_GENERATOR, "synthesis.min_confidence=1"]
    saved = fit(tmp_path, "--config", str(CONF / "overcooked/counterfactual.yaml"), *arguments)
    assert "it has confidence in none of its rows" in capsys.readouterr().err
    assert saved.buffers.get("synthetic", None) is None
    assert saved.counters["counters"]["env_step"] == 200
