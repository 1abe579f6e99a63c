"""The plain agent and generator as parts of a run, so that `whole_loop.py` can run a config with them.

`plain_redq` and `plain_edm` are then names that a config may use, with the options of `redq_sac` and `edm`; what has no
counterpart in the plain implementations counts for nothing. They are here to take their time, not to learn well.

Shapes: K batches in a block, B rows in a batch, n sampled rows, O observation, A action.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from plain_edm import PlainEdm
from plain_redq import PlainRedq
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule
from torch import Tensor, nn

from genreplay.agents.config import RedqSacConfig
from genreplay.agents.continuous.redq_sac import RedqSac
from genreplay.generators.base import Sampled
from genreplay.generators.edm.generator import EdmGenerator
from genreplay.registry import names, register

OPTIONS = ("agent.name=plain_redq", "generator.name=plain_edm", "env.backend=traci")


class PlainPolicy(nn.Module):
    """Actions `[..., A]` of the plain agent for observations `[..., O]`."""

    def __init__(self, agent: PlainRedq, deterministic: bool):
        super().__init__()
        self.agent, self.deterministic = agent, deterministic

    @torch.no_grad()
    def forward(self, observation: Tensor) -> Tensor:
        rows = observation.reshape(-1, observation.shape[-1])
        noise = torch.zeros(len(rows), self.agent.action_width, device=rows.device) if self.deterministic else None
        return self.agent.act(rows, noise)[0].unflatten(0, observation.shape[:-1])


class PlainAgent(RedqSac):
    """The package's agent, but what acts and learns is the plain loop."""

    def __init__(self, config: RedqSacConfig, observation_width: int, action_width: int, *others: Any):
        super().__init__(config, observation_width, action_width, *others)
        self.plain = PlainRedq(
            observation_width,
            action_width,
            hidden_width=config.hidden_width,
            ensemble_size=config.ensemble_size,
            subset_size=config.target_subset_size,
            gamma=config.gamma,
            learning_rate=config.critic_learning_rate,
            polyak=1 - config.target_update_rate,
        )

    def policy(self, deterministic: bool) -> TensorDictModule:
        return TensorDictModule(PlainPolicy(self.plain, deterministic), in_keys=["observation"], out_keys=["action"])

    def _update(self, block: TensorDictBase) -> dict[str, Tensor]:
        losses = []
        for batch in block:
            following = batch["next"]
            plain = {
                "observation": batch["observation"],
                "action": batch["action"],
                "next_observation": following["observation"],
                "reward": following["reward"],
                "duration": following["duration"] / self.discount_period,
                "terminated": following["terminated"].float(),
            }
            losses.append(self.plain.update_critics(plain))
        return {"critic_loss": torch.tensor(losses).mean(), "actor_loss": torch.tensor(self.plain.update_actor(plain))}


class PlainGenerator(EdmGenerator):
    """The package's generator, but what is fitted and sampled is the plain one."""

    plain: PlainEdm | None = None

    def sample_chunk(self, num_rows: int, condition: Tensor | None, rng: torch.Generator) -> Sampled:
        assert self.plain is not None, "fit_plain comes first"
        assert condition is not None, "the plain generator is conditional"
        scale = self.config.sampler.guidance_scale
        guidance = None if scale == 1 else scale
        return Sampled(self.plain.sample(condition, guidance=guidance))


def fit_plain(
    fabric: Any, generator: PlainGenerator, rows: Tensor, condition: Tensor, seed: int, on_progress: Any = None
) -> dict[str, float]:
    """In place of `genreplay.generators.fitting.fit`: as many steps from fresh weights, as the papers do."""
    size, config = generator.config.network, generator.config.fit
    # Not an attribute of the module, which would write it into checkpoints.
    object.__setattr__(
        generator,
        "plain",
        PlainEdm(rows, condition, width=size.hidden_width, depth=2 * size.num_blocks, batch_size=config.batch_size),
    )
    assert generator.plain is not None
    losses = [generator.plain.train_step() for _ in range(config.num_steps)]
    generator.on_train_end()
    return {"loss_first": losses[0], "loss_last": losses[-1], "num_steps": float(len(losses))}


@contextmanager
def plain_parts() -> Iterator[None]:
    """Within the block configs may name the plain parts, and generators are fitted by the plain trainer."""
    if "plain_redq" not in names("agent"):
        register("agent", "plain_redq", "genreplay.agents.config:RedqSacConfig", "plain_parts:PlainAgent")
        register("generator", "plain_edm", "genreplay.generators.config:EdmConfig", "plain_parts:PlainGenerator")
    with patch("genreplay.generators.distributed.team.fit", fit_plain):
        yield
