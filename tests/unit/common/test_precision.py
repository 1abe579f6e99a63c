"""The values of the option `speed`."""

from genreplay.common.precision import AGENT_SPEEDS, GENERATOR_SPEEDS, Speed
from genreplay.config.schema import SPEEDS


def test_each_part_has_a_speed_for_each_value_of_the_option():
    assert list(AGENT_SPEEDS) == list(GENERATOR_SPEEDS) == list(SPEEDS)
    assert AGENT_SPEEDS["exact"] == GENERATOR_SPEEDS["exact"] == Speed("highest")
    assert AGENT_SPEEDS["default"] == Speed("highest", compile=True, eager_fallback=True)
    assert GENERATOR_SPEEDS["default"] == Speed("medium", compile=True, eager_fallback=True)
    assert AGENT_SPEEDS["fast"] == Speed("medium", compile=True)
