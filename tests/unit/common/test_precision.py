"""The values of the option `speed`."""

import pytest

from genreplay import config
from genreplay.common.errors import UserError
from genreplay.common.precision import AGENT_SPEEDS, GENERATOR_SPEEDS, Speed
from genreplay.config.schema import SPEEDS
from tests.helpers.paths import CONF


def test_each_part_has_a_speed_for_each_value_of_the_option():
    assert list(AGENT_SPEEDS) == list(GENERATOR_SPEEDS) == list(SPEEDS)
    assert AGENT_SPEEDS["exact"] == GENERATOR_SPEEDS["exact"] == AGENT_SPEEDS["default"] == Speed("highest")
    assert GENERATOR_SPEEDS["default"] == Speed("medium")


def test_another_value_is_named_with_the_choices():
    path = str(CONF / "pendulum_pgr.yaml")
    with pytest.raises(UserError) as error:
        config.load(path, ["speed=turbo"])
    assert str(error.value) == "override 'speed=turbo': speed: must be one of exact, default, fast, not 'turbo'"
