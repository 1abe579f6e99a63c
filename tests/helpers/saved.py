"""A checkpoint to load in tests: an agent that was never trained, but whose actions vary."""

from pathlib import Path

import torch
from tensordict import TensorDict

from genreplay.build import build_agent, build_world
from genreplay.config.reader import from_yaml, to_yaml
from genreplay.runs import checkpoint


def save_untrained(folder: Path, config_yaml: str) -> Path:
    """The folder of a checkpoint with the agent that `config_yaml` describes, its last layer scaled up."""
    config = from_yaml(config_yaml, "test")
    agent = build_agent(config, build_world(config))
    with torch.no_grad():
        agent.average_actor.network[-1].weight.mul_(12)
    return checkpoint.save(
        folder,
        modules={"agent": agent.state_dict()},
        optimizers={},
        buffers=TensorDict({"cursor": torch.tensor(0)}, []),
        counters={
            "run_id": "abc123",
            "counters": {"env_step": 400},
            "report": {"curve": [{"env_step": 400, "mean": 20.5, "low": 18.0, "high": 24.0}]},
        },
        config_yaml=to_yaml(config),
    )
