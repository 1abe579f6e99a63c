"""The parts of docs/extending.md in one run, from a file to samples."""

from pathlib import Path

import pytest

import genreplay
from tests.helpers.plugin import registered_examples

CONFIG = """
env: {name: line}
agent: {name: gentle_sac, hidden_width: 16, ensemble_size: 2, critic_updates_per_actor_update: 2}
generator: {name: gaussian, fit: {num_steps: 50}}
relevance: {name: unusual}
loop:
  num_env_steps: 160
  warmup_env_steps: 40
  utd_ratio: 1
  first_refit_env_step: 60
  refit_every_env_steps: 60
  num_synthetic_rows: 100
evaluation: {seeds: [1, 2]}
fabric: {accelerator: cpu}
"""


@pytest.mark.slow
def test_parts_of_a_plug_in_train_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "line.yaml").write_text(CONFIG)
    with registered_examples():
        run = genreplay.train(genreplay.load_config("line.yaml", [f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]))
        assert run.complete
        buffer = genreplay.load_buffer(run)
        assert (buffer.num_real, buffer.num_synthetic) == (160, 100)
        sampled = genreplay.load_generator(run).sample(50)
        assert sampled["observation"].abs().max() <= 1
        episodes = genreplay.evaluate(genreplay.load_policy(run), seeds=[1])
        assert 0 <= episodes[0]["distance"] <= 1
    with pytest.raises(genreplay.UserError, match=r"^line\.yaml: env\.name: there is no env 'line'; choose one of "):
        genreplay.load_config("line.yaml")
