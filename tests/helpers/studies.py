"""A study that trains in seconds."""

from __future__ import annotations

from pathlib import Path

import yaml

TINY = [
    "env.max_episode_steps=40",
    "agent.hidden_width=16",
    "agent.critic_updates_per_actor_update=4",
    "replay.batch_size=16",
    "loop.num_env_steps=240",
    "loop.warmup_env_steps=30",
    "loop.utd_ratio=4",
    "loop.evaluate_every_env_steps=120",
    "loop.checkpoint_every_env_steps=40",
    "loop.log_every_env_steps=20",
    "evaluation.seeds=[1]",
    "fabric.accelerator=cpu",
]
REAL = ["generator.name=none", "relevance.name=none"]


def tree(**changes: object) -> dict:
    """The study's tree, with some of its keys changed."""
    return {
        "name": "tiny",
        "arms": {
            "slow": {"config": "pendulum_pgr", "overrides": [*REAL, "agent.actor_learning_rate=0.0001"]},
            "usual": {"config": "pendulum_pgr", "overrides": REAL},
        },
        "overrides": TINY,
        "seeds": [0, 1],
        "retries": 1,
        "plan": {"metric": "return", "baseline": "usual", "expected": "lower"},
    } | changes


def write(folder: Path, **changes: object) -> str:
    """Write the study to a file in `folder`; its name."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tree(**changes), sort_keys=False))
    return "tiny.yaml"
