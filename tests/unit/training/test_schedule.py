import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genreplay.training.schedule import Counters, Every, Ratio

ratios = st.sampled_from([0.0, 0.05, 0.1, 1 / 3, 0.25, 1.0, 5 / 3, 2.7, 20.0])


def through_json(state):
    return json.loads(json.dumps(state))


@given(per_step=ratios, splits=st.lists(st.integers(0, 50), max_size=40))
def test_ratio_counts_the_same_however_steps_are_split(per_step, splits):
    ratio = Ratio(per_step)
    assert sum(ratio(n) for n in splits) == Ratio(per_step)(sum(splits))


@given(per_step=ratios, before=st.lists(st.integers(0, 20), max_size=10), after=st.integers(0, 100))
def test_ratio_is_conserved_across_a_checkpoint(per_step, before, after):
    straight, stopped = Ratio(per_step), Ratio(per_step)
    counts = [(straight(n), stopped(n)) for n in before]
    resumed = Ratio(per_step)
    resumed.load_state_dict(through_json(stopped.state_dict()))
    assert [a for a, _ in counts] == [b for _, b in counts]
    assert straight(after) == resumed(after)


def test_ratio_means_the_decimal_or_the_third_it_was_given():
    tenth, third = Ratio(0.1), Ratio(1 / 3)
    assert [tenth(1) for _ in range(10)] == [0] * 9 + [1]
    assert [third(1) for _ in range(6)] == [0, 0, 1, 0, 0, 1]


def test_ratio_does_not_drift_over_ten_million_steps():
    ratio = Ratio(0.3)
    total = sum(ratio(997) for _ in range(10_031))
    assert total == math.floor(Fraction(3, 10) * 997 * 10_031)


@pytest.mark.parametrize("per_step", [-1.0, math.nan, math.inf])
def test_ratio_refuses_what_is_no_ratio(per_step):
    with pytest.raises(ValueError, match=f"^Ratio: per_step must be a number >= 0, not {per_step}$"):
        Ratio(per_step)


def test_ratio_refuses_negative_steps():
    with pytest.raises(ValueError, match=r"^Ratio: num_steps must be >= 0, not -2$"):
        Ratio(1.0)(-2)


def test_every_fires_at_each_mark_and_once_for_a_jump_over_several():
    every = Every(10)
    assert [every(c) for c in (9, 10, 11, 20, 57, 58, 59, 60)] == [
        False,
        True,
        False,
        True,
        True,
        False,
        False,
        True,
    ]


def test_every_counts_from_its_first_mark():
    every = Every(100, first=30)
    assert [c for c in range(0, 400) if every(c)] == [30, 130, 230, 330]


@given(period=st.integers(1, 30), first=st.integers(0, 50), jumps=st.lists(st.integers(0, 70), max_size=30))
def test_every_never_skips_a_mark(period, first, jumps):
    every, counter, last = Every(period, first), 0, -1
    for jump in jumps:
        counter += jump
        marks = range(first, counter + 1, period)
        assert every(counter) == any(mark > last for mark in marks)
        last = counter


@given(period=st.integers(1, 30), before=st.integers(0, 200), jumps=st.lists(st.integers(0, 40), max_size=20))
def test_every_is_the_same_after_a_checkpoint(period, before, jumps):
    straight, resumed = Every(period), Every(period)
    straight(before)
    resumed.load_state_dict(through_json(straight.state_dict()))
    counter = before
    for jump in jumps:
        counter += jump
        assert straight(counter) == resumed(counter)


def test_every_refuses_a_period_below_one():
    with pytest.raises(ValueError, match=r"^Every: period must be at least 1, not 0$"):
        Every(0)


def test_counters_round_trip_and_refuse_a_state_that_lacks_one():
    counters, loaded = Counters(env_step=3, gradient_step=60, generator_step=1000, episodes=2), Counters()
    state = through_json(counters.state_dict())
    loaded.load_state_dict(state)
    assert loaded == counters
    del state["episodes"]
    with pytest.raises(KeyError, match="episodes"):
        loaded.load_state_dict(state)
