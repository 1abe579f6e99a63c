"""A small continuous agent, blocks of random transitions for it, and a step on one."""

import torch
from tensordict import TensorDict

from genreplay.agents.config import RedqSacConfig
from genreplay.agents.continuous.redq_sac import RedqSac
from genreplay.common.precision import EXACT, Speed

COMPILED = Speed(compile=True)
MEDIUM = Speed("medium")
FAST = Speed("medium", compile=True)

OBS, ACT, B = 5, 2, 16


def make_agent(seed=0, speed=EXACT, **options):
    torch.manual_seed(seed)
    settings = {"hidden_width": 8, "ensemble_size": 4, "critic_updates_per_actor_update": 3} | options
    return RedqSac(RedqSacConfig(**settings), OBS, ACT, discount_period=30.0, speed=speed)


def make_block(num_updates=3, batch_size=B, seed=1):
    rng = torch.Generator().manual_seed(seed)
    shape = (num_updates, batch_size)

    def normal(width):
        return torch.randn(*shape, width, generator=rng)

    def flags():
        return torch.rand(*shape, 1, generator=rng) < 0.3

    following = TensorDict(
        {"observation": normal(OBS), "reward": normal(1), "duration": normal(1).abs() * 30, "terminated": flags()},
        batch_size=shape,
    )
    return TensorDict(
        {"observation": normal(OBS), "action": normal(ACT).tanh(), "next": following, "is_synthetic": flags()},
        batch_size=shape,
    )


def step(agent, block, seed=7):
    torch.manual_seed(seed)
    return agent.training_step(block)


def assert_same_state(first, second):
    """Tensors and whatever dicts, lists and tuples hold them are of the same types and equal to the last bit."""
    assert type(first) is type(second)
    if isinstance(first, torch.Tensor):
        assert first.dtype == second.dtype
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert list(first) == list(second)
        assert_same_state(list(first.values()), list(second.values()))
    elif isinstance(first, list | tuple):
        for one, other in zip(first, second, strict=True):
            assert_same_state(one, other)
    else:
        assert first == second
