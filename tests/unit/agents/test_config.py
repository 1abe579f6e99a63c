"""Options of the agents, and the environments that each of them fits."""

import math

import pytest
from omegaconf import OmegaConf

from genreplay.agents.config import DiscreteRedqSacConfig, RedqSacConfig
from genreplay.agents.continuous.redq_sac import RedqSac
from genreplay.agents.discrete.redq_sac import DiscreteRedqSac
from genreplay.common.errors import FieldError, UserError
from genreplay.transitions.columns import Column, Seats, TransitionLayout
from tests.helpers.discrete_redq_sac import PERMUTATION, A, O
from tests.helpers.paths import CONF
from tests.helpers.refusal import refusal

CONTINUOUS = [
    (
        {"ensemble_size": 2, "target_subset_size": 3},
        "target_subset_size: must be at most ensemble_size (2), not 3; lower it or raise ensemble_size",
    ),
    ({"hidden_width": 0}, "hidden_width: must be at least 1, not 0"),
    ({"critic_updates_per_actor_update": 0}, "critic_updates_per_actor_update: must be at least 1, not 0"),
    ({"gamma": 1.01}, "gamma: must lie in (0, 1], not 1.01"),
    ({"target_update_rate": 0.0}, "target_update_rate: must lie in (0, 1], not 0.0"),
    ({"initial_temperature": 0.0}, "initial_temperature: must be positive, not 0.0"),
    ({"actor_learning_rate": math.inf}, "actor_learning_rate: must be positive and finite, not inf"),
    ({"target_mode": "median"}, "target_mode: must be one of min, mean, not 'median'"),
    (
        {"target_entropy": math.nan},
        "target_entropy: must be a finite number of nats, or null for minus the action width, not nan",
    ),
]
DISCRETE = [
    ({"target_entropy_start": 1.5}, "target_entropy_start: must lie in [0, 1], not 1.5"),
    ({"target_entropy_end": -0.1}, "target_entropy_end: must lie in [0, 1], not -0.1"),
    ({"target_entropy_env_steps": 0}, "target_entropy_env_steps: must be at least 1, not 0"),
    ({"shaping_env_steps": -1}, "shaping_env_steps: must be at least 0, not -1"),
    ({"gamma": 1.01}, "gamma: must lie in (0, 1], not 1.01"),
]


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [(RedqSacConfig, *case) for case in CONTINUOUS] + [(DiscreteRedqSacConfig, *case) for case in DISCRETE],
)
def test_values_out_of_range_are_named(config, options, message):
    assert refusal(lambda: config(**options), FieldError) == message


@pytest.mark.parametrize(("fragment", "sizes"), [("sac", (2, 2, 1)), ("redq", (10, 2, 20)), ("redq_small", (2, 2, 20))])
def test_fragments_are_the_published_settings(fragment, sizes):
    file = OmegaConf.load(CONF / "agents" / f"{fragment}.yaml")
    assert set(file) == {"agent"}
    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(RedqSacConfig), file.agent))
    assert (config.ensemble_size, config.target_subset_size, config.critic_updates_per_actor_update) == sizes
    assert config.name == "redq_sac"


COLUMNS = (Column("observation", 0, "categorical", "state", O), Column("action", 0, "categorical", "actions", 2 * A))


def test_each_agent_says_which_environments_it_fits():
    seated = TransitionLayout(COLUMNS, seats=Seats(PERMUTATION, A))
    agent = DiscreteRedqSac.for_layout(DiscreteRedqSacConfig(hidden_width=8), seated, 1.0)
    assert agent.actor.network[0].in_features == O
    assert agent.critics.value.weight.shape == (10, 8, A)
    with pytest.raises(UserError, match=r"^agent.name: 'discrete_redq_sac' needs an environment with two seats and "):
        DiscreteRedqSac.for_layout(DiscreteRedqSacConfig(), TransitionLayout(COLUMNS), 1.0)
    with pytest.raises(UserError, match=r"^agent.name: 'redq_sac' acts in continuous actions, .* discrete_redq_sac$"):
        RedqSac.for_layout(RedqSacConfig(), seated, 1.0)
