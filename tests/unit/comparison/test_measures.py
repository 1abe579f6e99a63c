"""What is made of one run's curve, by hand."""

import pytest

from genreplay.comparison.measures import measured, measures
from genreplay.comparison.runs import Metric
from genreplay.studies.config import MEASURES
from tests.helpers.comparisons import run

LOWER, HIGHER = Metric("delay", "s", True), Metric("return", "", False)
CURVE = run("a", 0, [30.0, 10.0, 20.0])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (LOWER, {"area": 20.0, "end": 20.0, "worst": 30.0, "steps_to_threshold": 20.0, "seconds_to_threshold": 10.0}),
        (HIGHER, {"area": 20.0, "end": 20.0, "worst": 10.0, "steps_to_threshold": 10.0, "seconds_to_threshold": 5.0}),
    ],
)
def test_every_measure_by_hand(metric, expected):
    wanted = measures(metric, 15.0)
    assert [measure.name for measure in wanted] == list(MEASURES)
    assert {measure.name: measured(CURVE, measure, metric, 15.0) for measure in wanted} == expected


def test_a_run_that_never_reaches_the_threshold_has_its_whole_length():
    steps, seconds = measures(LOWER, 5.0)[-2:]
    assert measured(CURVE, steps, LOWER, 5.0) == 30
    assert measured(CURVE, seconds, LOWER, 5.0) == 15
    assert steps.minimise
    assert measures(HIGHER, 5.0)[-1].minimise


def test_without_a_threshold_there_is_no_time_to_it():
    assert [measure.name for measure in measures(LOWER, None)] == ["area", "end", "worst"]
