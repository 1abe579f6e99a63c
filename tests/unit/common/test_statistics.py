"""Interquartile means and bootstrap intervals: against SciPy, and by hand."""

import numpy as np
import pytest
from rliable import metrics as rliable
from scipy import stats

from genreplay.common.statistics import (
    interquartile_mean,
    mean_interval,
    optimality_gap,
    percentile_interval,
    pooled,
    probability_of_improvement,
    resamples,
    student_interval,
)


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


@pytest.fixture(params=[0, 1, 2])
def scores(request):
    """Two algorithms, `[runs, tasks]` each, with ties."""
    rng = np.random.default_rng(request.param)
    return rng.normal(1.0, 1.0, (7, 3)).round(1), rng.normal(1.3, 1.0, (5, 3)).round(1)


def test_aggregates_are_rliables(scores):
    x, y = scores
    assert pooled(interquartile_mean)(*x.T) == pytest.approx(rliable.aggregate_iqm(x))
    assert pooled(lambda values, axis: optimality_gap(values, 1.2, False, axis))(*x.T) == pytest.approx(
        rliable.aggregate_optimality_gap(x, 1.2)
    )
    of_tasks = [probability_of_improvement(x[:, task], y[:, task], minimise=False) for task in range(3)]
    assert np.mean(of_tasks) == pytest.approx(rliable.probability_of_improvement(x, y))


def test_improvement_and_gap_by_hand_where_lower_is_better():
    values, baseline = np.array([1.0, 3.0]), np.array([3.0, 4.0])
    # 1 beats both, 3 ties with 3 and beats 4.
    assert probability_of_improvement(values, baseline, minimise=True) == 3.5 / 4
    assert probability_of_improvement(values, baseline, minimise=False) == 0.5 / 4
    assert optimality_gap(np.array([18.0, 20.0, 25.0]), 20.0, minimise=True) == pytest.approx(5 / 3)


def test_resamples_keep_to_their_strata():
    """Strata without spread of their own leave no spread of the whole; without strata there would be some."""
    strata = [np.full(4, 1.0), np.full(4, 9.0)]
    assert np.ptp(resamples(strata, pooled(np.mean))) == 0
    assert np.ptp(resamples([np.concatenate(strata)], np.mean)) > 2


def test_intervals_are_scipys_bootstrap_of_percentiles():
    values = np.random.default_rng(5).exponential(size=9)
    found = resamples([values], interquartile_mean, num_resamples=500)
    for level in (0.8, 0.95):
        expected = stats.bootstrap(
            (values,),
            lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
            n_resamples=500,
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        assert percentile_interval(found, level) == pytest.approx((expected.low, expected.high))


def test_many_statistics_are_resampled_at_once():
    values = np.random.default_rng(6).normal(size=(3, 8))
    together = resamples([values], interquartile_mean)
    for row, found in zip(values, together, strict=True):
        assert np.array_equal(found, resamples([row], interquartile_mean))
