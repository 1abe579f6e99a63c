"""Checkpoints to load in tests: parts that were never trained, but whose actions vary."""

from pathlib import Path

import torch
from tensordict import TensorDict, TensorDictBase

from genreplay.build import build_agent, build_generator, build_world
from genreplay.config.reader import from_yaml, to_yaml
from genreplay.runs import checkpoint
from genreplay.transitions.codec import Codec

NO_ROWS = TensorDict({"cursor": torch.tensor(0)}, batch_size=[])


def save_untrained(
    folder: Path,
    config_yaml: str,
    fit_generator: bool = False,
    buffers: TensorDictBase = NO_ROWS,
    run_id: str = "abc123",
) -> Path:
    """The folder of a checkpoint with the parts that `config_yaml` describes, the actor's last layer scaled up.

    With `fit_generator` the generator counts as fitted, to rows of random numbers.
    """
    config = from_yaml(config_yaml, "test")
    world = build_world(config)
    agent = build_agent(config, world)
    with torch.no_grad():
        agent.average_actor.network[-1].weight.mul_(12)
    modules: dict[str, torch.nn.Module] = {"agent": agent}
    codec = Codec(world.layout, config.codec.derive)
    generator = build_generator(config, codec)
    if generator is not None:
        modules["generator"] = generator
        if fit_generator:
            generator.begin_fit(torch.randn(32, codec.width), None, seed=0)
            generator.on_train_end()
    return checkpoint.save(
        folder,
        modules={name: module.state_dict() for name, module in modules.items()},
        optimizers={},
        buffers=buffers,
        counters={
            "run_id": run_id,
            "counters": {"env_step": 400},
            "report": {"curve": [{"env_step": 400, "mean": 20.5, "low": 18.0, "high": 24.0}]},
        },
        config_yaml=to_yaml(config),
    )
