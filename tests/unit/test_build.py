"""What the composition root decides: which runs compile their updates."""

import pytest

from genreplay.build import MIN_CRITIC_UPDATES, MIN_GENERATOR_STEPS, build_agent, build_generator
from genreplay.config.reader import from_yaml
from genreplay.transitions.codec import Codec
from tests.helpers.parts import world_of

CONFIG = """
speed: {speed}
env: {{name: gymnasium}}
agent: {{hidden_width: 8, ensemble_size: 2}}
generator: {{name: edm, network: {{hidden_width: 16}}, fit: {{num_steps: {num_steps}}}}}
loop: {{num_env_steps: 3000, warmup_env_steps: 500, utd_ratio: {utd_ratio}, first_refit_env_step: 600,
  refit_every_env_steps: 600}}
"""


def compiles(speed, utd_ratio, num_steps):
    config = from_yaml(CONFIG.format(speed=speed, utd_ratio=utd_ratio, num_steps=num_steps), "test")
    world = world_of("gymnasium")
    return build_agent(config, world).speed.compile, build_generator(config, Codec(world.layout)).speed.compile


@pytest.mark.parametrize("above", [True, False])
def test_by_default_runs_with_enough_updates_to_repay_it_are_compiled(above):
    utd_ratio = MIN_CRITIC_UPDATES / 2500 - (0 if above else 0.1)
    assert compiles("default", utd_ratio, 1) == (above, False)
    num_steps = MIN_GENERATOR_STEPS // 4 - (0 if above else 1)  # fits after 600, 1,200, 1,800 and 2,400
    assert compiles("default", 1, num_steps) == (False, above)


def test_the_other_speeds_do_not_ask_how_long_the_run_is():
    assert compiles("exact", 100, 10_000) == (False, False)
    assert compiles("fast", 0.1, 1) == (True, True)
