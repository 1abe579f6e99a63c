"""A kitchen, an agent, real transitions and a fitted generator, shared by the tests of synthesis and rollouts."""

import pytest
import torch

from genreplay.agents.config import DiscreteRedqSacConfig
from genreplay.agents.discrete.redq_sac import DiscreteRedqSac
from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.world import OvercookedWorld
from genreplay.generators.config import FactorisedConfig
from genreplay.generators.discrete.factorised import FactorisedGenerator
from genreplay.generators.distributed.team import Team, make_fabric
from genreplay.replay.collection import Collection
from genreplay.transitions.codec import Codec
from tests.helpers.options import with_options
from tests.helpers.synthesis import NUM_REAL, SMALL


@pytest.fixture(scope="module")
def world():
    return OvercookedWorld(OvercookedConfig(horizon=50, start="random"))


@pytest.fixture(scope="module")
def agent(world):
    torch.manual_seed(0)
    return DiscreteRedqSac.for_layout(DiscreteRedqSacConfig(hidden_width=16), world.layout, 1.0)


@pytest.fixture(scope="module")
def real(world, agent):
    env = world.make_env(8, lambda worker, index: 100 * worker + index)
    torch.manual_seed(1)
    collection = Collection(env, agent.policy(deterministic=False), 0, world.layout.stored_keys)
    return torch.cat([collection.next() for _ in range(NUM_REAL // 8)])


@pytest.fixture(scope="module")
def team(world, real):
    codec = Codec(world.layout)
    config = with_options(
        FactorisedConfig, SMALL | {"network.hidden_width": 32, "head.hidden_width": 32, "fit.num_steps": 60}
    )
    torch.manual_seed(0)
    with Team(make_fabric("cpu"), FactorisedGenerator(config, codec, conditional=False)) as team:
        team.fit(codec.encode(real), None, seed=0)
        yield team
