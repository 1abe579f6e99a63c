import dataclasses
import io

import pytest
from rich.console import Console

from genreplay.envs.facets import NamedDemand
from genreplay.evaluation.episode_pool import POLICY, EpisodeSpec
from genreplay.evaluation.greens import Greens, summarise
from genreplay.evaluation.result import EvaluationResult
from genreplay.evaluation.tables import tables

DELAYS = {POLICY: (20.0, 10.0, 70.0), "webster": (30.0, 20.0, 40.0), "random": (90.0, 90.0, 1.0)}
LENGTHS = {"2000": [[30, 40], [10, 20, 30]], "1000": [[10, 12], []], "surge": [[5], [5]]}
"""Of each stage, in every episode of a demand."""


@pytest.fixture
def result() -> EvaluationResult:
    """Two seeds; the policy has the least delay at 1000 of the range, the best baseline over it is Webster's plan."""
    specs = [EpisodeSpec(c, d, seed) for c in DELAYS for d in LENGTHS for seed in (1, 2)]
    episodes = [{"delay": x} for delays in DELAYS.values() for x in delays for _ in (1, 2)]
    demands = [NamedDemand(name, name != "surge") for name in LENGTHS]
    greens = summarise(specs, [LENGTHS[spec.demand] for spec in specs])
    return EvaluationResult(specs, episodes, demands, list(DELAYS), "delay", True, {"delay": "s"}, greens=greens)


def test_figures_of_one_stage_by_hand() -> None:
    """Of 10, 20, 30, 40 and 50 s the 10 % quantile lies 0.4 of the way from the first to the second."""
    specs = [EpisodeSpec("webster", "1000", seed) for seed in (1, 2)]
    rows = summarise(specs, [[[30, 10], [75]], [[50, 20, 40], [75]]])
    assert rows == [
        Greens("webster", "1000", 0, 5, 30.0, pytest.approx(14.0), pytest.approx(46.0), 0.5),
        Greens("webster", "1000", 1, 2, 75.0, 75.0, 75.0, 0.5),
    ]


def test_a_stage_that_is_never_shown_has_no_quantiles() -> None:
    (shown, never) = summarise([EpisodeSpec("webster", "1000", 1)], [[[10], []]])
    assert (shown.number, shown.share) == (1, 1.0)
    assert never == Greens("webster", "1000", 1, 0, None, None, None, 0.0)


def test_an_environment_without_stages_has_no_rows() -> None:
    assert summarise([EpisodeSpec(POLICY, "default", 1)], [[]]) == []


def test_light_and_heavy_demand_of_the_policy_and_the_best_baseline(result: EvaluationResult) -> None:
    assert list(result.shown_greens()) == [(POLICY, "1000"), (POLICY, "2000"), ("webster", "1000"), ("webster", "2000")]
    alone = dataclasses.replace(result, controllers=["webster", "random"], demands=result.demands[2:])
    assert list(alone.shown_greens()) == [("random", "surge")], "without a policy, and of one demand"
    assert dataclasses.replace(result, greens=[]).shown_greens() == {}


def test_the_table_of_greens(result: EvaluationResult) -> None:
    table = tables(result)[-2]
    assert table.title == "Greens by stage: median and 10 to 90 % (s), share of green time"
    text = io.StringIO()
    Console(file=text, width=160).print(table)
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.getvalue().splitlines() if "│" in line]
    assert cells[0][:3] == ["0", "11 (10 to 12), 100 %", "35 (30 to 40), 54 %"]
    assert cells[1][:3] == ["1", "none", "20 (10 to 30), 46 %"]
