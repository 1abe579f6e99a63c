"""Overrides that make shipped configurations small: every part works, often, for some seconds."""

from tests.helpers.paths import CONF

SMALL = [
    "agent.hidden_width=8",
    "agent.critic_updates_per_actor_update=2",
    "generator.network.hidden_width=8",
    "generator.network.num_blocks=1",
    "generator.fit.num_steps=20",
    "replay.batch_size=8",
    "loop.num_env_steps=90",
    "loop.warmup_env_steps=20",
    "loop.utd_ratio=4",
    "loop.first_refit_env_step=50",
    "loop.refit_every_env_steps=30",
    "loop.resample_every_env_steps=10",
    "loop.num_synthetic_rows=48",
    "loop.evaluate_every_env_steps=60",
    "loop.checkpoint_every_env_steps=1000",
    "loop.log_every_env_steps=20",
    "evaluation.seeds=[1,2]",
    "fabric.accelerator=cpu",
    "fabric.num_threads=1",
]
PENDULUM = [
    "env.max_episode_steps=35",
    "generator.sampler.num_steps=2",
    "generator.sampler.chunk_size=16",
    "relevance.hidden_width=8",
]
SUMO = ["env.episode_seconds=300", "generator.sampler.num_steps=2", "relevance.hidden_width=8", "loop.num_workers=2"]
TREES = [
    "loop.num_workers=1",
    "env.horizon=30",
    "generator.heads=trees",
    "generator.num_trees=2",
    "generator.sampler.chunk_size=16",
    "relevance.hidden_width=8",
]
"""Rollouts of the policy, whose outcomes trees predict."""
SMALL_RUNS = {
    "pendulum": (CONF / "pendulum_pgr.yaml", [*SMALL, *PENDULUM]),
    "sumo": (CONF / "sumo_pgr.yaml", [*SMALL, *SUMO]),
    "overcooked": (CONF / "overcooked_pgr.yaml", [*SMALL, *TREES]),
}
"""Configuration and overrides, by environment."""
