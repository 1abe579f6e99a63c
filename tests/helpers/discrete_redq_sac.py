"""A small discrete agent of two seats, and blocks of random joint transitions for it."""

import torch
from tensordict import TensorDict

from genreplay.agents.config import DiscreteRedqSacConfig
from genreplay.agents.discrete.redq_sac import DiscreteRedqSac
from genreplay.common.precision import EXACT
from genreplay.transitions.columns import Seats

O, A, B, K = 6, 3, 16, 2  # noqa: E741 (the shapes' letters)
PERMUTATION = torch.tensor([2, 3, 0, 1, 4, 5])


def make_agent(seed=0, learners="any", speed=EXACT, **options):
    torch.manual_seed(seed)
    settings = {"hidden_width": 8, "ensemble_size": 3, "critic_updates_per_actor_update": K, "gamma": 0.9} | options
    seats = Seats(PERMUTATION, A, learners)
    return DiscreteRedqSac(DiscreteRedqSacConfig(**settings), seats, discount_period=1.0, speed=speed)


def make_block(num_updates=K, batch_size=B, seed=1, learner=None):
    rng = torch.Generator().manual_seed(seed)
    shape = (num_updates, batch_size)

    def flags(width=1):
        return torch.rand(*shape, width, generator=rng) < 0.4

    def choices():
        return torch.nn.functional.one_hot(torch.randint(A, shape, generator=rng), A).float()

    following = TensorDict(
        {
            "observation": flags(O).float(),
            "reward": torch.randn(*shape, 1, generator=rng),
            "shaped_reward": torch.randn(*shape, 2, generator=rng),
            "duration": 1 + flags().float(),
            "terminated": flags(),
        },
        shape,
    )
    return TensorDict(
        {
            "observation": flags(O).float(),
            "action": torch.cat([choices(), choices()], dim=-1),
            "next": following,
            "learner": flags(2).float() if learner is None else torch.tensor(learner).expand(*shape, 2),
            "is_synthetic": flags(),
        },
        shape,
    )
