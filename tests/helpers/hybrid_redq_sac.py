"""A small hybrid agent, and blocks of random transitions for it."""

import torch
from tensordict import TensorDict
from torch.nn.functional import one_hot

from genreplay.agents.config import HybridRedqSacConfig
from genreplay.agents.hybrid.redq_sac import HybridRedqSac
from genreplay.common.precision import EXACT
from genreplay.transitions.columns import ActionRule, Column, TransitionLayout, continuous_columns

OBS, CHOICES, NUMBERS, B, PERIOD = 5, 3, 2, 16, 30.0
RULE = ActionRule(torch.linspace(-1.5, 1.5, OBS * CHOICES).reshape(OBS, CHOICES).sin() * 3, torch.tensor([0.5, -0.2]))


def make_layout(rule=None, accrues=False):
    return TransitionLayout(
        columns=(
            *continuous_columns("observation", [f"o{i}" for i in range(OBS)], -9.0, 9.0),
            *continuous_columns("action", ["long", "far"], -1.0, 1.0),
            Column("action", NUMBERS, "categorical", "stage", width=CHOICES),
            *continuous_columns(("next", "observation"), [f"n{i}" for i in range(OBS)], -9.0, 9.0),
            Column(("next", "reward"), 0, "continuous", "reward"),
            Column(("next", "terminated"), 0, "binary", "terminated"),
            Column(("next", "duration"), 0, "continuous", "duration", low=0.0),
        ),
        reward_accrues=accrues,
        rule=rule,
    )


def make_agent(seed=0, rule=None, accrues=False, speed=EXACT, **options):
    torch.manual_seed(seed)
    settings = {
        "hidden_width": 8,
        "ensemble_size": 4,
        "critic_updates_per_actor_update": 3,
        "learn_temperature": rule is None,
        "initial_temperature": 0.4,
    }
    config = HybridRedqSacConfig(**(settings | options))
    return HybridRedqSac.for_layout(config, make_layout(rule, accrues), PERIOD, speed)


def make_block(num_updates=3, batch_size=B, seed=1):
    rng = torch.Generator().manual_seed(seed)
    shape = (num_updates, batch_size)

    def normal(width):
        return torch.randn(*shape, width, generator=rng)

    def flags():
        return torch.rand(*shape, 1, generator=rng) < 0.3

    choice = one_hot(torch.randint(CHOICES, shape, generator=rng), CHOICES).float()
    following = TensorDict(
        {"observation": normal(OBS), "reward": normal(1), "duration": normal(1).abs() * PERIOD, "terminated": flags()},
        batch_size=shape,
    )
    return TensorDict(
        {
            "observation": normal(OBS),
            "action": torch.cat([normal(NUMBERS).tanh(), choice], dim=-1),
            "next": following,
            "is_synthetic": flags(),
        },
        batch_size=shape,
    )
