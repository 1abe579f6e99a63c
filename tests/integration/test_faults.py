"""A run whose environment, agent or generator goes wrong: one line, a checkpoint that is good, and it goes on."""

import importlib
from pathlib import Path

import pytest
import torch

from genreplay.config.reader import load
from genreplay.config.schema import ExperimentConfig
from genreplay.replay.buffers import MixedReplay
from genreplay.runs import checkpoint, find, store
from genreplay.training.loop import Loop
from genreplay.training.run import train
from tests.helpers.paths import REPOSITORY
from tests.helpers.refusal import refusal

pytestmark = pytest.mark.slow

ODD = "tests.helpers.odd_envs"
SMALL = [
    "agent.hidden_width=8",
    "agent.critic_updates_per_actor_update=2",
    "generator.network={hidden_width: 8, num_blocks: 1}",
    "generator.fit.num_steps=5",
    "generator.sampler={num_steps: 2, chunk_size: 16}",
    "relevance.hidden_width=8",
    "replay.batch_size=8",
    "loop.num_env_steps=60",
    "loop.warmup_env_steps=5",
    "loop.utd_ratio=2",
    "loop.first_refit_env_step=30",
    "loop.refit_every_env_steps=10",
    "loop.num_synthetic_rows=20",
    "loop.evaluate_every_env_steps=1000",
    "loop.checkpoint_every_env_steps=20",
    "loop.log_every_env_steps=15",
    "evaluation.seeds=[1]",
    "fabric.accelerator=cpu",
]


def config_of(folder: Path, env: str, *overrides: str) -> ExperimentConfig:
    importlib.import_module(ODD)
    uri = f"tracking.uri=sqlite:///{folder}/mlflow.db"
    return load(REPOSITORY / "conf/pendulum_pgr.yaml", [*SMALL, f"env.id={ODD}:{env}-v0", uri, *overrides])


def saved(config: ExperimentConfig) -> checkpoint.Checkpoint:
    return checkpoint.load(find.resolve_run("last", store.store_uri(config.tracking.uri), checkpoint.exists, "run"))


def test_a_nan_reward_ends_in_a_line_with_a_good_checkpoint_from_which_the_run_goes_on(tmp_path: Path, capsys) -> None:
    config = config_of(tmp_path, "WrongNow")
    message = refusal(lambda: train(config))
    kept = saved(config)
    run_id = kept.counters["run_id"]
    seed = message.partition("seed ")[2].partition(";")[0]
    assert message == (
        f"env.id: {ODD}:WrongNow-v0 gave the reward nan, which is no finite number (float32), at step 5 of the episode "
        f"with seed {seed}; correct the environment; saved at env step 44, go on with: genreplay fit --resume {run_id} "
        "(loop.max_faults=11 skips up to 10 more such faults)"
    )
    assert kept.counters["counters"]["env_step"] == 44
    assert kept.buffers["real", "next", "reward"].isfinite().all()
    assert len(kept.buffers["real"]) == 44
    run = train(config, kept.folder)
    assert run is not None
    assert run.complete
    assert run.run_id == run_id


def test_a_fault_in_an_evaluation_is_left_out_where_it_may_be(tmp_path: Path, capsys) -> None:
    """The evaluator's environment reaches its third episode with the third evaluation."""
    often = "loop.evaluate_every_env_steps=18"
    config = config_of(tmp_path, "WrongNow", often, "loop.max_faults=2")
    run = train(config)
    assert run is not None
    assert run.complete
    data = store.connect(config.tracking.uri).get_run(run.run_id).data
    assert data.metrics["counters/faults"] == 2
    assert data.metrics["counters/env_step"] == 60


def test_a_generator_that_diverges_leaves_the_synthetic_rows_of_before(tmp_path: Path, capsys, monkeypatch) -> None:
    config, kept = config_of(tmp_path, "ConstantWorld"), []
    update = Loop.update

    def watched(loop: Loop) -> None:
        synthesis, replay = loop.parts.synthesis, loop.parts.replay
        assert synthesis is not None
        synthesis.generator.config.fit.learning_rate = 1e30 if loop.counters.env_step >= 31 else 1e-3
        kept.append(replay.synthetic_transitions() if replay.num_synthetic else None)
        update(loop)

    monkeypatch.setattr(Loop, "update", watched)
    run = train(config)
    assert run is not None
    assert run.complete
    before, after = kept[30], kept[-1]
    assert (before == after).all()
    printed = " ".join(capsys.readouterr().err.split())
    assert (
        "env step 40: generator: the loss is no longer a number; lower generator.fit.learning_rate; the 20 synthetic "
        "transitions of before stay"
    ) in printed
    weights = checkpoint.load(run.checkpoint_dir).modules["generator"]
    assert all(tensor.isfinite().all() for tensor in weights.values() if tensor.is_floating_point())


def test_nothing_that_diverged_is_saved_over_a_good_checkpoint(tmp_path: Path, capsys, monkeypatch) -> None:
    config = config_of(tmp_path, "ConstantWorld", "loop.log_every_env_steps=1000")
    update = Loop.update

    def poisoned(loop: Loop) -> None:
        update(loop)
        if loop.counters.env_step == 39:
            with torch.no_grad():
                next(loop.parts.agent.actor.parameters()).fill_(torch.nan)

    monkeypatch.setattr(Loop, "update", poisoned)
    message = refusal(lambda: train(config))
    assert message.startswith(f"env.id: {ODD}:ConstantWorld-v0 was given an action that is no number")
    kept = saved(config)
    assert kept.counters["counters"]["env_step"] == 20

    monkeypatch.setattr(Loop, "update", lambda loop: None)
    extend = MixedReplay.extend_real

    def with_nan(replay: MixedReplay, rows) -> None:
        rows = rows.clone()
        rows["next", "duration"][:] = torch.nan
        extend(replay, rows)

    monkeypatch.setattr(MixedReplay, "extend_real", with_nan)
    folder = kept.folder.parent
    assert refusal(lambda: train(config, kept.folder)) == (
        f"checkpoint {folder}: buffers.real.next.duration holds what is no finite number at env step 40, so nothing is "
        "saved; go on from the checkpoint before it, with lower learning rates"
    )
    assert saved(config).counters["counters"]["env_step"] == 20
