"""Progress of a run in words."""

import io
import re

import pytest
from rich.console import Console

from genreplay.common import progress
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


def test_without_a_terminal_long_work_says_now_and_then_how_far_it_is(monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    screen = io.StringIO()
    bars = Bars(80, Console(file=screen), "episodes")
    bars.go_on(12)
    bars.go_on(13)
    with bars.passing("fit") as update:
        update(40_000, 100_000, "loss 0.5")
    with bars.passing("search") as update:
        update(7, None, "7 episodes")
    first, second, fit, search = screen.getvalue().splitlines()
    assert first == "episodes 12 of 80"
    assert re.fullmatch(r"episodes 13 of 80, \d+ s left", second)
    assert re.fullmatch(r"fit: 40000 of 100000, \d+ s left, loss 0\.5", fit)
    assert search == "search: 7 episodes"
    monkeypatch.setattr(progress, "LINE_SECONDS", 1000.0)
    bars.go_on(14)
    assert len(screen.getvalue().splitlines()) == 4


def test_a_terminal_has_bars_in_place_of_lines(monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    screen = io.StringIO()
    Bars(80, Console(file=screen, force_terminal=True), "episodes").go_on(12)
    assert screen.getvalue() == ""
