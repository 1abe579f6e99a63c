"""The statistics of arms, on which claims rest."""

import numpy as np
import pytest

from genreplay.common.files import read_csv
from genreplay.comparison import compare
from genreplay.comparison.compare import ALL, Estimate, rows
from genreplay.comparison.measures import measures
from genreplay.comparison.runs import Metric
from tests.helpers.comparisons import run
from tests.helpers.paths import REPOSITORY

METRIC = Metric("return", "", False)
AREA = measures(METRIC, None)[0]


def of(runs, baseline="real", metric=METRIC, threshold=None):
    return rows(runs, measures(metric, threshold)[0], metric, baseline, threshold)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_arms_that_differ_by_the_same_on_every_seed_differ_surely():
    """However much the seeds differ; of other seeds nothing is paired."""
    base = [run("real", seed, [100.0 * seed]) for seed in range(8)]
    paired = of([*base, *(run("pgr", seed, [100.0 * seed + 5]) for seed in range(8))])[1]
    assert (paired.is_paired, paired.difference) == (True, Estimate(5, 5, 5))
    apart = of([*base, *(run("pgr", seed + 1, [100.0 * seed + 5]) for seed in range(8))])[1]
    assert not apart.is_paired
    assert apart.difference.value == pytest.approx(5)
    assert apart.difference.low < -100 < 100 < apart.difference.high


def test_a_row_by_hand():
    runs = [run("real", s, [v]) for s, v in enumerate([1.0, 2.0, 3.0, 10.0])]
    runs += [run("pgr", s, [v]) for s, v in enumerate([2.0, 4.0, 5.0, 6.0])]
    real, pgr = of(runs, threshold=4.0)
    assert (real.iqm.value, real.median.value, real.mean, real.num_runs) == (2.5, 2.5, 4.0, 4)
    assert real.gap.value == (3 + 2 + 1 + 0) / 4
    assert (real.reached, pgr.reached) == (0.25, 0.75)
    assert pgr.difference.value == 1.5  # of 1, 2, 2 and -4 the middle two are 1 and 2
    assert (real.difference, real.improvement, pgr.adjusted) == (None, None, None)
    # Of 16 pairs 2 ties with 2; 4, 5 and 6 beat three each; 2 beats 1.
    assert pgr.improvement.value == (0.5 + 1 + 9) / 16


def test_the_baseline_is_first_and_is_what_the_others_are_compared_with():
    runs = [run(arm, s, [v + s]) for arm, v in (("a", 1.0), ("b", 2.0), ("c", 3.0)) for s in range(5)]
    found = of(runs, "b")
    assert [row.arm for row in found] == ["b", "a", "c"]
    assert [row.difference.value for row in found[1:]] == [-1.0, 1.0]


def test_several_comparisons_have_wider_intervals_that_hold_together(rng):
    noise = rng.normal(size=(3, 10))
    runs = [run(arm, s, [noise[i, s]]) for i, arm in enumerate(("real", "a", "b")) for s in range(10)]
    for row in of(runs)[1:]:
        assert row.adjusted.low < row.difference.low < row.difference.value < row.difference.high < row.adjusted.high
        drawn = [noise[("real", "a", "b").index(row.arm)] - noise[0]]
        value, resampled = compare.difference(drawn, [np.zeros(10)], True, np.random.default_rng(9))
        low, high = np.quantile(resampled, [0.0125, 0.9875])  # 0.05 divided by two comparisons
        assert (value, low, high) == pytest.approx(row.adjusted, abs=0.06)


def test_environments_are_strata():
    runs = [
        run(arm, seed, [offset + gain], world)
        for arm, gain in (("real", 0.0), ("pgr", 1.0))
        for world, offset in (("easy", 100.0), ("hard", 0.0))
        for seed in range(5)
    ]
    found = of(runs)
    assert [(row.world, row.arm) for row in found] == [
        (world, arm) for world in ("easy", "hard", ALL) for arm in ("real", "pgr")
    ]
    # No spread within an environment, so none of the whole.
    assert found[-1].iqm == (51.0, 51.0, 51.0)
    assert found[-1].improvement == (1.0, 1.0, 1.0)
    assert [row.world for row in of(runs[:-5])] == ["easy", "easy", "hard"]


def test_one_seed_has_no_interval():
    real, pgr = of([run("real", 0, [1.0]), run("pgr", 0, [2.0])])
    for estimate in (real.iqm, real.median, pgr.difference, pgr.improvement):
        assert np.isnan([estimate.low, estimate.high]).all()
    assert pgr.difference.value == 1.0


def test_intervals_hold_the_truth_as_often_as_they_say(rng):
    """Of normal samples, whose interquartile mean is their mean in expectation; eight seeds: somewhat too narrow."""
    held = 0
    for _ in range(200):
        middle, low, high = compare.estimate([rng.normal(3.0, 1.0, 8)], compare.interquartile_mean, rng)
        assert low <= middle <= high
        held += low <= 3.0 <= high
    assert 0.8 < held / 200 < 0.99


def test_the_published_table_of_synthetic_replay_in_sumo():
    """`results/sumo_2way/replay/README.md`, mean from 750."""
    points: dict[tuple[str, int], dict[int, float]] = {}
    for line in read_csv(REPOSITORY / "results" / "sumo_2way" / "replay" / "curves.csv"):
        if int(line["env_step"]) >= 750:
            points.setdefault((line["arm"], int(line["seed"])), {})[int(line["env_step"])] = float(line["value"])
    runs = [run(arm, seed, values) for (arm, seed), values in points.items()]
    real, *others = of(runs, metric=Metric("delay", "s", True))
    assert [round(value, 1) for value in real.iqm] == [33.0, 26.0, 37.7]
    assert {row.arm: [round(value, 1) for value in row.difference] for row in others} == {
        "SynthER": [-3.5, -7.1, 0.2],
        "PGR": [-3.5, -7.0, -2.5],
        "real, 10 critics": [-6.7, -11.6, 0.5],
    }
