"""A run that a signal stops in the middle of its work saves itself at once, and resumes as if nothing had happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genreplay.agents.base import EnsembleAgent
from genreplay.config.reader import load
from genreplay.config.schema import ExperimentConfig
from genreplay.envs.gymnasium.env import GymnasiumEnv
from genreplay.evaluation import evaluator
from genreplay.generators.discrete import forests
from genreplay.generators.edm.generator import EdmGenerator
from genreplay.relevance.base import Relevance
from genreplay.replay.synthesis import Synthesis
from genreplay.runs import checkpoint
from genreplay.runs.store import connect
from genreplay.training import loop
from genreplay.training.run import TrainedRun, train
from tests.helpers.command_line import assert_same
from tests.helpers.small_runs import SMALL_RUNS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


def config_of(name: str, store: str) -> ExperimentConfig:
    path, overrides = SMALL_RUNS[name.partition("_")[0]]
    return load(path, [*overrides, f"tracking.uri={store}"])


@pytest.fixture(scope="module")
def whole(store: str) -> Callable[[str], checkpoint.Checkpoint]:
    """By configuration: the checkpoint of a run that nothing stopped."""
    known: dict[str, checkpoint.Checkpoint] = {}

    def of(name: str) -> checkpoint.Checkpoint:
        if name not in known:
            known[name] = checkpoint.load(train(config_of(name, store)).checkpoint_dir)
        return known[name]

    return of


def stopped(
    config: ExperimentConfig,
    owner: Any,
    name: str,
    call: int,
    resume: Path | None = None,
    number: signal.Signals = signal.SIGTERM,
) -> TrainedRun:
    """A run that gets a signal as its `call`-th call of a function begins."""
    original, calls = getattr(owner, name), 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), number)
        return original(*arguments, **options)

    before = signal.signal(number, signal.SIG_DFL)  # tests that run under nohup ignore SIGHUP
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, counted)
            run = train(config, resume)
    finally:
        signal.signal(number, before)
    assert calls >= call
    assert run is not None
    assert not run.complete
    return run


def resumed(run: TrainedRun, config: ExperimentConfig) -> checkpoint.Checkpoint:
    again = train(config, run.checkpoint_dir)
    assert again is not None
    assert again.complete
    assert again.run_id == run.run_id
    return checkpoint.load(again.checkpoint_dir)


MOMENTS: dict[str, tuple[str, Any, str, int, int, dict[str, Any]]] = {
    "fit": ("pendulum_pgr", EdmGenerator, "training_step", 7, 50, {"refit": True, "relevance_updates": 1, "blocks": 2}),
    "second fit": ("pendulum_pgr", EdmGenerator, "training_step", 27, 80, {"refit": True}),
    "sample": ("pendulum_pgr", EdmGenerator, "sample_chunk", 2, 50, {"refit": True}),
    "sample again": ("pendulum_pgr", EdmGenerator, "sample_chunk", 5, 60, {"resample": True, "evaluate": True}),
    "diagnosis": ("pendulum_pgr", loop, "diagnose", 1, 50, {"refit": True}),
    "relevance": ("pendulum_pgr", Relevance, "score", 1, 50, {"refit": True}),
    "updates": ("pendulum_pgr", EnsembleAgent, "training_step", 41, 41, {"relevance_updates": 0, "blocks": 1}),
    "evaluation": ("pendulum_pgr", evaluator, "play_all", 1, 60, {"blocks": 0, "evaluate": True}),
    "first decision": ("pendulum_pgr", GymnasiumEnv, "advance", 1, 0, {}),
    "trees": ("overcooked_pgr", forests, "_fit_forest", 9, 50, {"refit": True}),
    "rollouts": ("overcooked_pgr", Synthesis, "confident", 1, 50, {"refit": True}),
}
"""Configuration, function, number of the call that the signal comes at, env step, and what is left to do of it."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_stops_in_the_middle_of_its_work_and_resumes_exactly(
    moment: str, whole: Callable[[str], checkpoint.Checkpoint], store: str
) -> None:
    name, owner, function, call, env_step, due = MOMENTS[moment]
    config = config_of(name, store)
    run = stopped(config, owner, function, call)
    saved = checkpoint.load(run.checkpoint_dir).counters
    assert saved["counters"]["env_step"] == env_step
    assert {key: saved["due"][key] for key in due} == due
    again = resumed(run, config)
    expected = whole(name)
    assert_same(again, expected)


def test_a_run_that_is_stopped_again_and_again_goes_on_exactly(
    whole: Callable[[str], checkpoint.Checkpoint], store: str
) -> None:
    """Also while the episodes of the checkpoint are played again, which loses nothing of them."""
    config = config_of("pendulum_pgr", store)
    run = stopped(config, EdmGenerator, "training_step", 27)
    for function, call in (("start", 1), ("advance", 3)):
        env_step = checkpoint.load(run.checkpoint_dir).counters["counters"]["env_step"]
        run = stopped(config, GymnasiumEnv, function, call, run.checkpoint_dir, signal.SIGHUP)
        assert connect(store).get_run(run.run_id).info.status == "KILLED"
        assert checkpoint.load(run.checkpoint_dir).counters["counters"]["env_step"] == env_step == 80
    assert_same(resumed(run, config), whole("pendulum_pgr"))
