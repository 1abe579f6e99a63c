"""Progress of a run in words."""

import re

import pytest

from genreplay.common.progress import Bars, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (44.2, "45 s"),
        (60, "60 s"),
        (61, "2 min"),
        (3540, "59 min"),
        (3541, "1 h 0 min"),
        (12_000, "3 h 20 min"),
    ],
)
def test_a_duration_is_rounded_up(seconds, words):
    assert duration(seconds) == words


def test_the_position_tells_the_time_left_from_the_second_step_on():
    bars = Bars(6000)
    assert bars.position(0) == "0 of 6000"
    bars.advance(1000)  # a resumed run
    assert bars.position(1000) == "1000 of 6000"
    assert re.fullmatch(r"1200 of 6000, \d+ s left", bars.position(1200))
    assert bars.position(6000) == "6000 of 6000, 0 s left"
