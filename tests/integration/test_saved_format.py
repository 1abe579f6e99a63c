"""A checkpoint as an earlier version wrote it: every later version reads it, or says what to do.

tests/data/checkpoint_4 is of `genreplay fit --config pendulum_pgr` with networks of 8 units and 40 env steps.
"""

from pathlib import Path

import numpy as np
import pytest

from genreplay import api
from genreplay.config.reader import from_yaml
from genreplay.runs import record
from genreplay.runs.store import DEFAULT_URI
from genreplay.training.run import train

SAVED = Path("tests/data/checkpoint_4").resolve()
TIMES = ("speed/", "generator/seconds")


def test_policy_generator_and_buffer_of_format_4():
    loaded = api.load_policy(str(SAVED))
    actions = loaded.act(np.array([[1.0, 0.0, 0.0], [-1.0, 0.1, 3.0]]))
    np.testing.assert_allclose(actions, [[-0.312204], [-0.027779]], atol=1e-5)
    assert (loaded.env_step, loaded.config.env.id) == (40, "Pendulum-v1")
    assert api.load_generator(str(SAVED)).sample(3)["next", "observation"].isfinite().all()
    replay = api.load_buffer(str(SAVED))
    assert (replay.num_real, replay.num_synthetic) == (40, 64)


@pytest.mark.slow
def test_training_goes_on_from_format_4_and_twice_the_same_way(tmp_path, monkeypatch):
    metrics = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        text = (SAVED / "config.yaml").read_text()
        trained = train(from_yaml(text, str(SAVED), ["loop.num_env_steps=55"]), SAVED)
        run = record.read(DEFAULT_URI, trained.run_id, (), tmp_path)
        assert run.tags["resumed_from"] == "7efcb95457954167b0b1608b64c179ed"
        metrics.append({k: repr(series) for k, series in run.metrics.items() if not k.startswith(TIMES)})
    assert len(metrics[0]) > 20
    assert "generator/loss_last" in metrics[0]
    assert metrics[0] == metrics[1]
