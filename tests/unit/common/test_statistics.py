"""Interquartile means and bootstrap intervals: against SciPy, and by hand."""

import numpy as np
import pytest
from scipy import stats

from genreplay.common.statistics import interquartile_mean, mean_interval, student_interval


@pytest.mark.parametrize("num", [1, 2, 3, 4, 5, 7, 8, 30])
def test_interquartile_mean_is_scipys_trimmed_mean(num):
    values = np.random.default_rng(num).exponential(size=num).tolist()
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))


def test_interquartile_mean_does_not_see_one_gridlock():
    assert interquartile_mean([10.0, 11.0, 12.0, 13.0, 900.0]) == 12.0


def test_the_interval_is_that_of_a_mean():
    values = np.random.default_rng(3).normal(5.0, 2.0, size=400)
    low, high = mean_interval(values)
    half = 1.96 * values.std() / 20  # the normal approximation
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)
    assert mean_interval([4.0]) == (4.0, 4.0)


@pytest.mark.parametrize("num", [2, 5, 30])
def test_students_interval_is_scipys(num):
    values = np.random.default_rng(num).normal(5.0, 2.0, size=num)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert student_interval(values) == pytest.approx((expected.low, expected.high))


def test_one_value_has_no_interval_by_students_t():
    assert np.isnan(student_interval([4.0])).all()


def test_an_interquartile_mean_may_be_taken_along_any_axis():
    values = np.random.default_rng(0).normal(size=(5, 8))
    assert np.array_equal(interquartile_mean(values), [interquartile_mean(row) for row in values])
    assert np.array_equal(interquartile_mean(values, axis=0), [interquartile_mean(column) for column in values.T])
