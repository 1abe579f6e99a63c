"""Partners from checkpoints: frozen policies and generators, in the kitchen."""

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric

from genreplay.build import build_agent, build_generator, build_world
from genreplay.common.errors import UserError
from genreplay.config.reader import from_yaml, to_yaml
from genreplay.generators.discrete.partner_model import virtual_action_probabilities
from genreplay.generators.fitting import fit
from genreplay.replay.collection import executed
from genreplay.runs import checkpoint
from genreplay.transitions.codec import Codec
from tests.helpers.checkpoints import save_small
from tests.helpers.partners import KITCHEN, make, scene, shares
from tests.helpers.saved import save_untrained

POLICY = """
env: {name: overcooked, layout: cramped_room, horizon: 20}
agent: {name: discrete_redq_sac, hidden_width: 16, ensemble_size: 2}
replay: {synthetic_fraction: 0}
"""


WITH_GENERATOR = """
env: {name: overcooked, layout: cramped_room, horizon: 20, partners: [self, random, stay]}
agent: {name: discrete_redq_sac, hidden_width: 16, ensemble_size: 2}
generator:
  name: masked
  network: {hidden_width: 32, num_blocks: 1}
  fit: {num_steps: 30, batch_size: 128, learning_rate: 0.005}
"""


def test_a_checkpoint_s_actor_plays_as_it_explores(tmp_path):
    folder = save_untrained(tmp_path, POLICY)
    config = from_yaml(POLICY, "test")
    agent = build_agent(config, build_world(config))
    agent.load_state_dict(checkpoint.load(folder).modules["agent"])
    chance = torch.get_rng_state()
    partner = make(f"checkpoint:{tmp_path}")[0].partner(f"checkpoint:{tmp_path}")
    assert torch.equal(torch.get_rng_state(), chance)
    for code in KITCHEN.random_states(np.random.default_rng(0), 5):
        for seat, own in ((0, code), (1, code[KITCHEN.code.swap])):
            expected = agent.actor(torch.from_numpy(KITCHEN.code.one_hot(own))).exp().detach().numpy()
            assert np.abs(shares(partner, code, seat) - expected).max() < 1e-3
            assert np.allclose(partner.action_probabilities(scene(code[None], seat)), expected, atol=1e-6)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A checkpoint with a fitted generator, and the generator itself."""
    folder, config = tmp_path_factory.mktemp("generated"), from_yaml(WITH_GENERATOR, "test")
    world = build_world(config)
    env = world.make_env(16, lambda worker, index: 100 * worker + index)
    torch.manual_seed(0)
    rows = executed(env.rollout(60, break_when_any_done=False).reshape(-1))
    codec = Codec(world.layout)
    generator = build_generator(config, codec)
    fit(Fabric(accelerator="cpu", devices=1), generator, codec.encode(rows), None, seed=0)
    modules = {"agent": build_agent(config, world).state_dict(), "generator": generator.state_dict()}
    save_small(folder, modules=modules, config_yaml=to_yaml(config))
    return folder, generator, codec


def test_a_checkpoint_s_generator_plays_its_partners(generated):
    folder, generator, codec = generated
    world, _ = make()
    code = KITCHEN.code.start()
    states = torch.from_numpy(KITCHEN.code.one_hot(code))[None]
    for name, number in ((f"virtual:{folder}", None), (f"virtual:{folder}:1", 1), (f"virtual:{folder}:2", 2)):
        for seat in (0, 1):
            expected = virtual_action_probabilities(generator, codec, states, torch.tensor([seat]), number)[0]
            assert np.abs(shares(world.partner(name), code, seat) - expected.numpy()).max() < 1e-3


def test_checkpoints_that_cannot_be_partners(generated, tmp_path):
    folder, _, _ = generated
    policy = save_untrained(tmp_path / "policy", POLICY)
    other = save_untrained(tmp_path / "other", POLICY.replace("cramped_room", "coordination_ring"))
    pendulum = save_untrained(tmp_path / "pendulum", "{env: {name: gymnasium}, replay: {synthetic_fraction: 0}}")
    world, _ = make()
    for name, message in (
        (f"virtual:{folder}:3", "knows 3 partners, counted from 0, so none has the code 3$"),
        (f"virtual:{folder}:0", "is the policy itself; write checkpoint:.* for it, or another code$"),
        (f"virtual:{policy}", "and .* has 'none'; name a checkpoint with one$"),
        (
            f"checkpoint:{other}",
            "is of coordination_ring under the old dynamics, and this is cramped_room under the old dynamics",
        ),
        (f"virtual:{pendulum}", "is of env.name=gymnasium, not of overcooked$"),
    ):
        with pytest.raises(UserError, match=rf"^env\.partners: .*{message}"):
            world.partner(name)
