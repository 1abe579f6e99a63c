"""The evaluations that are compared: the same env steps of all runs, nothing interpolated."""

import math

import pytest

from genreplay.common.errors import UserError
from genreplay.comparison.align import align
from tests.helpers.comparisons import run

FOREVER = math.inf


def values(runs):
    return [{step: point.value for step, point in one.points.items()} for one in runs]


def test_equal_runs_stay_as_they_are():
    runs = [run("a", 0, [1.0, 2.0]), run("b", 0, [3.0, 4.0])]
    assert align(runs, 0, FOREVER) == (runs, [])


def test_a_late_evaluation_counts_as_the_step_it_was_due_at():
    runs = [run("a", 0, {2504: 1.0, 5000: 2.0, 7500: 3.0}), run("b", 0, {2500: 4.0, 5004: 5.0, 7504: 6.0})]
    aligned, notes = align(runs, 0, 7500)
    assert values(aligned) == [{2500: 1.0, 5000: 2.0, 7500: 3.0}, {2500: 4.0, 5000: 5.0, 7500: 6.0}]
    assert notes == []


def test_evaluations_close_to_each_other_stay_apart():
    runs = [run("a", 0, {10: 1.0, 20: 2.0, 30: 3.0}), run("b", 0, {10: 1.0, 20: 2.0, 30: 3.0})]
    assert list(align(runs, 0, FOREVER)[0][0].points) == [10, 20, 30]


def test_only_common_steps_are_compared_and_it_says_so():
    runs = [run("a", 0, {20: 1.0, 40: 2.0}), run("b", 3, {10: 5.0, 20: 6.0, 30: 7.0, 40: 8.0})]
    aligned, notes = align(runs, 0, FOREVER)
    assert values(aligned) == [{20: 1.0, 40: 2.0}, {20: 6.0, 40: 8.0}]
    assert notes == ["compared at the 2 env steps that all runs were evaluated at, of 4"]


def test_unequal_length_is_named():
    aligned, notes = align([run("a", 0, [1.0, 2.0, 3.0]), run("b", 3, [4.0, 5.0])], 0, FOREVER)
    assert values(aligned) == [{10: 1.0, 20: 2.0}, {10: 4.0, 20: 5.0}]
    assert notes == [
        "of unequal length: the longest runs end at env step 30, b/3 at 20",
        "compared at the 2 env steps that all runs were evaluated at, of 3",
    ]


def test_what_is_not_a_number_is_left_out_of_all_runs():
    aligned, notes = align([run("a", 0, [1.0, math.nan, 3.0]), run("b", 3, [4.0, 5.0, 6.0])], 0, FOREVER)
    assert values(aligned) == [{10: 1.0, 30: 3.0}, {10: 4.0, 30: 6.0}]
    assert notes[0] == "left out, as a value is not a number: a/0 at 20"


def test_each_environment_has_its_own_steps():
    runs = [run("a", 0, [1.0, 2.0], "x"), run("a", 0, {15: 3.0}, "y"), run("b", 0, [4.0], "x")]
    aligned, notes = align(runs, 0, FOREVER)
    assert values(aligned) == [{10: 1.0}, {15: 3.0}, {10: 4.0}]
    assert notes[0] == "x: of unequal length: the longest runs end at env step 20, b/0 at 10"


def test_the_window():
    aligned, _ = align([run("a", 0, [1.0, 2.0, 3.0, 4.0])], 20, 30)
    assert values(aligned) == [{20: 2.0, 30: 3.0}]


@pytest.mark.parametrize(
    ("runs", "since", "until", "message"),
    [
        ([run("a", 0, [1.0])], 21, FOREVER, "--since 21: the last evaluation is at 10; name an earlier env step"),
        ([run("a", 0, [1.0, 2.0])], 0, 1, "--until 1: the first evaluation is at 10; name a later env step"),
        (
            [run("a", 0, {10: 1.0, 1000: 1.0}), run("b", 1, {500: 1.0, 1500: 1.0})],
            0,
            FOREVER,
            "compare: there is no env step at which all runs were evaluated (a/0: 10, 1000; b/1: 500, 1500); leave "
            "some out",
        ),
        (
            [run("a", 0, [math.nan])],
            0,
            FOREVER,
            "compare: a/0 has no evaluation that is a number; leave it out with --seeds",
        ),
    ],
)
def test_mistakes(runs, since, until, message):
    with pytest.raises(UserError) as error:
        align(runs, since, until)
    assert str(error.value) == message
