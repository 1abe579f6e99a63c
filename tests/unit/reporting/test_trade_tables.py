from dataclasses import replace

import pytest

from genreplay.envs.facets import NamedDemand
from genreplay.evaluation.episode_pool import POLICY, EpisodeSpec, Part
from genreplay.evaluation.result import EvaluationResult
from genreplay.reporting.trade_tables import (
    differences_table,
    green_shares,
    middle_demand,
    modes_table,
    part_tables,
    waits_table,
)

UNITS = {"delay": "s", "wait_p95": "s", "wait_max": "s", "wait_pedestrian": "s", "longest_red": "s"}
MODES = {"delay_passenger": "s", "delay_tram": "s", "person_delay": "s"}


def episode(delay: float) -> dict[str, float]:
    metrics = dict.fromkeys((*UNITS, *MODES), delay)
    return {**metrics, "wait_max": 3 * delay, "green_share_0": delay / 100, "green_share_10": 0.5, "green_share_2": 0.1}


def movement(name: str, delay: float) -> Part:
    return {
        "name": name,
        "approach": "north approach (n)",
        "turn": "left",
        "from_edge": "n",
        "to_edge": "s",
        "vehicles": 40.0,
        "delay": delay,
        "level_of_service": "A",
        "stops": 0.5,
        "longest_red": 61.0,
        "green_share": 0.25,
        "volume_to_capacity": 0.913,
    }


@pytest.fixture
def result() -> EvaluationResult:
    """Two seeds of three demands; the policy is 10 s, then 14 s faster than the plan."""
    delays = {POLICY: [10.0, 20.0], "fixed_plan": [20.0, 34.0]}
    demands = [NamedDemand("1000", True), NamedDemand("1500", True), NamedDemand("2600", False)]
    specs, episodes, parts = [], [], []
    for controller, values in delays.items():
        for demand in demands:
            for seed, delay in enumerate(values):
                specs.append(EpisodeSpec(controller, demand.name, seed))
                episodes.append(episode(delay))
                parts.append([movement("north left (n -> s)", delay), movement("south left (s -> n)", 90.0)])
    grade = lambda part: "A" if part["delay"] <= 15 else "F"  # noqa: E731
    return EvaluationResult(
        specs, episodes, demands, list(delays), "delay", True, UNITS | MODES, parts, "movements", grade
    )


def test_paired_differences(result: EvaluationResult) -> None:
    """Mean -12 s of the pairs -10 and -14; Student's t with one degree of freedom reaches 12.706 * 2 s."""
    table = differences_table(result)
    assert table is not None
    assert table.title == "Delay of the policy minus each baseline's, 95 % interval over seeds (s)"
    assert table.header == ["in range", "unseen"]
    assert table.rows == [("fixed_plan", [("-12.0 (-37.4 to +13.4)", False)] * 2)], "not shown to be better"
    alone = replace(result, controllers=[POLICY])
    assert differences_table(alone) is None


def test_the_worst_episode_counts_for_waits(result: EvaluationResult) -> None:
    table = waits_table(result)
    assert table is not None
    assert table.header == ["wait, 95 % (s)", "worst wait (s)", "mean wait, pedestrian (s)", "longest red (s)"]
    policy = [("15.0", True), ("60.0", True), ("15.0", True), ("20.0", True)]
    plan = [("27.0", False), ("102.0", False), ("27.0", False), ("34.0", False)]
    assert table.rows == [(POLICY, policy), ("fixed_plan", plan)]
    assert waits_table(replace(result, units={"delay": "s"})) is None


def test_delay_by_mode(result: EvaluationResult) -> None:
    table = modes_table(result)
    assert table is not None
    assert table.header == ["car (s)", "tram (s)", "all people (s)"]
    assert modes_table(replace(result, units={"delay": "s", "person_delay": "s"})) is None, "cars alone"


def test_movements(result: EvaluationResult) -> None:
    assert middle_demand(result) == "1500"
    policy, plan = part_tables(result, "1500")
    assert (policy.controller, plan.controller) == (POLICY, "fixed_plan")
    assert policy.header == [
        "vehicles",
        "v/c",
        "delay (s)",
        "level of service",
        "stops per vehicle",
        "longest red (s)",
        "green (%)",
    ]
    name, cells = policy.rows[0]
    assert name == "north left (n -> s)"
    assert [text for text, _ in cells] == ["40.0", "0.91", "15.0", "A", "0.50", "61.0", "25"]
    assert plan.rows[0][1][3][0] == "F", "the grade of the mean delay, not a seed's"
    assert part_tables(replace(result, parts=()), "1500") == []


def test_green_shares_in_the_order_of_stages(result: EvaluationResult) -> None:
    shares = green_shares(result, "1000")
    assert shares == {POLICY: pytest.approx([0.15, 0.1, 0.5]), "fixed_plan": pytest.approx([0.27, 0.1, 0.5])}
    assert green_shares(replace(result, episodes=[{"delay": 1.0}] * len(result.specs)), "1000") == {}
