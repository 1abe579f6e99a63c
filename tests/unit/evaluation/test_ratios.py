import dataclasses
from math import inf

import pytest

from genreplay.envs.facets import NamedDemand
from genreplay.evaluation.episode_pool import POLICY, EpisodeSpec
from genreplay.evaluation.ratios import Ratio, num_above, ratios, rows, sentence
from genreplay.evaluation.result import EvaluationResult
from genreplay.evaluation.tables import tables
from genreplay.reporting.trade_tables import worst_episodes_table

DELAYS = {POLICY: [10.0, 12.0, 30.0, 41.0], "webster": [20.0, 16.0, 40.0, 20.0], "random": [8.0, 90.0, 15.0, 90.0]}
"""Of seeds 1 and 2 at 1000, then at 2600."""
WORST = "worst episode: the policy has 2.05 times the delay of webster, the best baseline there (demand 2600, seed 2); "


@pytest.fixture
def result() -> EvaluationResult:
    specs = [EpisodeSpec(c, d, seed) for c in DELAYS for d in ("1000", "2600") for seed in (1, 2)]
    episodes = [{"delay": x} for delays in DELAYS.values() for x in delays]
    demands = [NamedDemand("1000", True), NamedDemand("2600", False)]
    return EvaluationResult(specs, episodes, demands, list(DELAYS), "delay", True, {"delay": "s"})


def test_each_episode_against_its_own_best_baseline(result: EvaluationResult) -> None:
    """At twice the delay an episode is not yet above the limit."""
    found = ratios(result)
    assert found == [
        Ratio("1000", 1, 1.25, "random"),
        Ratio("1000", 2, 0.75, "webster"),
        Ratio("2600", 1, 2.0, "random"),
        Ratio("2600", 2, 2.05, "webster"),
    ]
    assert num_above(found) == 1
    assert sentence(found, "delay") == WORST + "1 of 4 episodes above 2 times"
    assert rows(result, found) == {
        "1000": ["1.25", "1", "random", "0 of 2"],
        "2600*": ["2.05", "2", "webster", "1 of 2"],
    }


def test_the_tables_say_it(result: EvaluationResult) -> None:
    table = tables(result)[3]
    assert table.title == "Delay (s) of the policy over the best baseline's of the same episode"
    assert [list(column.cells) for column in table.columns][:2] == [["1000", "2600*"], ["1.25", "2.05"]]
    on_page = worst_episodes_table(result)
    assert on_page is not None
    assert on_page.title.endswith("1 of 4 episodes above 2 times")
    assert on_page.rows[1] == ("2600*", [("2.05", False), ("2", False), ("webster", False), ("1 of 2", False)])


def test_nothing_without_a_policy_or_baselines_or_where_more_is_better(result: EvaluationResult) -> None:
    for other in (
        dataclasses.replace(result, controllers=["webster", "random"]),
        dataclasses.replace(result, controllers=[POLICY]),
        dataclasses.replace(result, minimise=False),
    ):
        assert ratios(other) == []
        assert worst_episodes_table(other) is None


def test_a_best_baseline_that_loses_nothing(result: EvaluationResult) -> None:
    episodes = [{"delay": 0.0}, *result.episodes[1:8], {"delay": 0.0}, {"delay": 0.0}, *result.episodes[10:]]
    assert [ratio.value for ratio in ratios(dataclasses.replace(result, episodes=episodes))][:2] == [1.0, inf]
