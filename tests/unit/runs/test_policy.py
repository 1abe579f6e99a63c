"""A policy from a checkpoint."""

from pathlib import Path

from genreplay.envs.gymnasium.world import GymnasiumWorld
from genreplay.runs.policy import load_policy
from tests.helpers.refusal import refusal
from tests.helpers.saved import save_untrained

PENDULUM = "env: {name: gymnasium, id: Pendulum-v1}\nagent: {name: redq_sac, hidden_width: 8}\nseed: 3\n"


def test_a_policy_comes_with_its_environment_and_run(tmp_path: Path) -> None:
    loaded = load_policy(save_untrained(tmp_path, PENDULUM), ["env.max_episode_steps=7"])
    assert (loaded.run_id, loaded.env_step, loaded.config.seed) == ("abc123", 400, 3)
    assert isinstance(loaded.world, GymnasiumWorld)
    assert loaded.world.config.max_episode_steps == 7


def test_a_policy_of_another_environment_is_refused(tmp_path: Path) -> None:
    folder = save_untrained(tmp_path, PENDULUM)
    assert refusal(lambda: load_policy(folder, ["env.id=MountainCarContinuous-v0"])) == (
        f"checkpoint {folder}: its policy does not fit this environment, which has observations of width 2 and actions "
        "of width 1; leave the options of env as they were in training"
    )
