"""The Python interface on checkpoints of small agents; examples/first_run.py goes the whole way."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tensordict import TensorDict

import genreplay
from genreplay.build import build_world
from genreplay.config.reader import from_yaml
from genreplay.training.assemble import build_replay
from genreplay.transitions.keys import IS_SYNTHETIC, TERMINATED
from tests.helpers.parts import random_rows
from tests.helpers.saved import save_untrained

PENDULUM = "env: {name: gymnasium, id: Pendulum-v1, max_episode_steps: 5}\nagent: {name: redq_sac, hidden_width: 8}\n"
GENERATOR = "generator: {name: edm, network: {hidden_width: 8, num_blocks: 1}, fit: {num_steps: 3}}\n"


def test_every_name_is_there_and_documented() -> None:
    for name in genreplay.__all__:
        assert getattr(genreplay, name).__doc__, name


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match=r"^module 'genreplay' has no attribute 'fly'$"):
        genreplay.fly  # noqa: B018


def test_a_policy_acts_and_is_evaluated_alike_by_any_number_of_workers(tmp_path: Path) -> None:
    policy = genreplay.load_policy(save_untrained(tmp_path, PENDULUM))
    assert policy.act(np.zeros((4, 3))).shape == (4, 1)
    episodes = genreplay.evaluate(policy, seeds=[1, 2])
    assert [(episode["demand"], episode["seed"], episode["num_decisions"]) for episode in episodes] == [
        ("default", 1, 5),
        ("default", 2, 5),
    ]
    assert episodes[0]["return"] != episodes[1]["return"]
    assert genreplay.evaluate(policy, seeds=[1, 2], num_workers=2) == episodes


def test_demands_are_the_environments(tmp_path: Path) -> None:
    policy = genreplay.load_policy(save_untrained(tmp_path, PENDULUM))
    with pytest.raises(genreplay.UserError) as error:
        genreplay.evaluate(policy, demands=["1500"])
    assert str(error.value) == "--demand: this environment has one demand only; leave --demand out"


def test_a_run_is_named_as_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(genreplay.UserError) as error:
        genreplay.load_policy("last")
    assert str(error.value).startswith("run last: there is no such folder, and no run in sqlite:///mlruns/mlflow.db")


def test_a_generator_draws_the_same_valid_transitions_again(tmp_path: Path) -> None:
    generator = genreplay.load_generator(save_untrained(tmp_path, PENDULUM + GENERATOR, fit_generator=True))
    rows = generator.sample(6, seed=3)
    assert (rows == generator.sample(6, seed=3)).all()
    assert not (rows == generator.sample(6, seed=4)).all()
    assert rows["is_synthetic"].all()
    assert rows["action"].abs().max() <= 1


def test_a_generator_with_given_columns_takes_them_from_the_runs_real_rows(tmp_path: Path) -> None:
    config = "env: {name: sumo, scenario: 2way, episode_seconds: 100}\nagent: {name: redq_sac, hidden_width: 8}\n"
    given = GENERATOR.replace("edm,", "edm, categories: given,")
    real = random_rows("sumo", 20)
    buffers = TensorDict({"cursor": torch.tensor(0), "real": real}, batch_size=[])
    generator = genreplay.load_generator(save_untrained(tmp_path, config + given, fit_generator=True, buffers=buffers))
    rows = generator.sample(200, seed=3)
    assert (rows == generator.sample(200, seed=3)).all()
    phase = next(column for column in generator.codec.columns if column.kind == "categorical")
    here = slice(phase.start, phase.start + phase.width)
    shares = [part["observation"][:, here].mean(dim=0) for part in (rows, real)]
    assert torch.allclose(*shares, atol=0.12)


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        ("", "has generator.name: none; name one of a run with a generator"),
        (GENERATOR, "its generator is not fitted yet; name a later checkpoint"),
    ],
)
def test_a_run_without_a_fitted_generator_says_so(tmp_path: Path, generator: str, message: str) -> None:
    folder = save_untrained(tmp_path, PENDULUM + generator)
    with pytest.raises(genreplay.UserError) as error:
        genreplay.load_generator(folder)
    assert str(error.value) == f"checkpoint {folder}: {message}"


def test_the_buffer_has_the_transitions_of_the_run(tmp_path: Path) -> None:
    config = from_yaml(PENDULUM, "test")
    layout = build_world(config).layout
    replay = build_replay(config, layout, "cpu")
    real = TensorDict({}, [3])
    for key in layout.stored_keys:
        real.set(key, torch.rand(3, 1) > 2 if key in (TERMINATED, IS_SYNTHETIC) else torch.rand(3, 1))
    replay.extend_real(real)
    folder = save_untrained(tmp_path, PENDULUM, buffers=replay.state())
    buffer = genreplay.load_buffer(folder)
    assert (buffer.real_transitions() == replay.real_transitions()).all()
    assert buffer.num_synthetic == 0
    with pytest.raises(ValueError, match=r"^synthetic_transitions: no synthetic rows are stored yet$"):
        buffer.synthetic_transitions()
