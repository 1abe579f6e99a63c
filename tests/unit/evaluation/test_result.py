import csv
import dataclasses
import io
from types import MappingProxyType

import pytest
from rich.console import Console

from genreplay.common.errors import UserError
from genreplay.envs.facets import NamedDemand
from genreplay.envs.world import World
from genreplay.evaluation.episode_pool import POLICY, EpisodeSpec
from genreplay.evaluation.files import read_episodes, write_episodes, write_greens, write_parts, write_summary
from genreplay.evaluation.greens import Greens
from genreplay.evaluation.result import (
    BaselineComparison,
    EvaluationResult,
    GroupComparison,
)
from genreplay.evaluation.tables import primary_table, tables


@pytest.fixture
def result():
    """Two controllers, one demand inside and one outside the range, four seeds, of which one gridlocks."""
    delays = {
        (POLICY, "1500"): [10.0, 12.0, 14.0, 16.0],
        (POLICY, "2600"): [20.0, 20.0, 20.0, 500.0],
        ("fixed_plan", "1500"): [26.0, 26.0, 26.0, 26.0],
        ("fixed_plan", "2600"): [30.0, 30.0, 30.0, 30.0],
    }
    specs = [EpisodeSpec(c, d, seed) for (c, d), values in delays.items() for seed in range(len(values))]
    episodes = [{"delay": value, "throughput": 100.0} for values in delays.values() for value in values]
    episodes[0]["return"] = -3.0  # what only a policy has
    demands = [NamedDemand("1500", True), NamedDemand("2600", False)]
    units = {"delay": "s", "throughput": "vehicles"}
    return EvaluationResult(specs, episodes, demands, [POLICY, "fixed_plan"], "delay", True, units)


def printed(table):
    file = io.StringIO()
    Console(file=file, width=200, force_terminal=True, color_system=None).print(table)
    return file.getvalue()


def cells(text, row):
    line = next(line for line in text.splitlines() if f"│ {row}" in line)
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_statistics(result):
    assert result.values(POLICY, "1500", "delay") == [10, 12, 14, 16]
    assert result.statistic("mean", POLICY, ["2600"], "delay") == 140
    assert result.statistic("median", POLICY, ["2600"], "delay") == 20
    assert result.statistic("interquartile_mean", POLICY, ["1500", "2600"], "delay") == (13 + 20) / 2


def test_the_table_compares_the_policy_with_each_baseline(result):
    text = printed(primary_table(result, "mean"))
    assert "Mean delay (s), over seeds" in text
    assert "2600*" in text
    assert cells(text, POLICY) == [POLICY, "13.0", "140.0", "13.0", "140.0", "8.9 to 17.1", "", ""]
    row = ["fixed_plan", "26.0", "30.0", "26.0", "30.0"]
    assert cells(text, "fixed_plan") == [*row, "26.0 to 26.0", "+50 %", "-13.0 (-17.1 to -8.9)"]
    assert cells(printed(primary_table(result, "median")), "fixed_plan") == [*row, "+50 %"]


def test_tables_tell_what_each_controller_sees(result, tmp_path):
    seeing = dataclasses.replace(result, sees={POLICY: "lanes", "fixed_plan": "nothing"})
    text = printed(primary_table(seeing, "median"))
    assert [cells(text, name)[1] for name in (POLICY, "fixed_plan")] == ["lanes", "nothing"]
    write_summary(seeing, tmp_path / "summary.csv")
    assert (tmp_path / "summary.csv").read_text().splitlines()[1].startswith(f"{POLICY},lanes,1500,")
    assert "sees" not in printed(primary_table(result, "median"))


def test_the_table_tells_what_is_saved_against_the_best_baseline_in_range(result):
    rules = [("max_pressure", [12.0, 12.0, 12.0, 12.0], 900.0), ("longest_queue", [12.5] * 4, 1.0)]
    specs = [EpisodeSpec(name, d, seed) for name, *_ in rules for d in ("1500", "2600") for seed in range(4)]
    episodes = [{"delay": x, "throughput": 1.0} for _, inside, out in rules for x in (*inside, *[out] * 4)]
    wider = dataclasses.replace(
        result,
        specs=[*result.specs, *specs],
        episodes=[*result.episodes, *episodes],
        controllers=[*result.controllers, *(name for name, *_ in rules)],
    )
    text = printed(primary_table(wider, "mean"))
    assert "in range: policy 13.0, best baseline max_pressure 12.0, saved -8 %" in text
    assert "best baseline" not in printed(primary_table(dataclasses.replace(wider, controllers=[POLICY]), "mean"))


def test_a_policy_alone_has_a_line_for_each_demand(result):
    alone = dataclasses.replace(result, controllers=[POLICY])
    first, figures = tables(alone)
    text = printed(first)
    assert cells(text, "1500")[:4] == ["1500", "13.0", "13.0", "13.0"]
    assert cells(text, "2600*")[:4] == ["2600*", "140.0", "20.0", "20.0"]
    assert cells(text, "1500")[4] == "8.9 to 17.1"  # 13 -+ 3.182 * 2.582 / sqrt(4), by Student's t
    assert "throughput" in printed(figures)
    assert [table.title for table in tables(result)][:1] == ["Mean delay (s), over seeds"]


def test_the_best_of_each_column_is_bold(result):
    table = primary_table(result, "mean")
    columns = [list(column.cells) for column in table.columns]
    assert columns[1] == ["[bold]13.0[/bold]", "26.0"]
    assert columns[2] == ["140.0", "[bold]30.0[/bold]"]


def test_csv_files_hold_every_episode_and_every_statistic(result, tmp_path):
    write_episodes(result, tmp_path / "episodes.csv")
    write_summary(result, tmp_path / "summary.csv")
    with (tmp_path / "episodes.csv").open() as file:
        episodes = list(csv.DictReader(file))
    assert len(episodes) == 16
    assert episodes[0] == {
        "controller": POLICY,
        "demand": "1500",
        "in_range": "1",
        "seed": "0",
        "delay": "10.0",
        "throughput": "100.0",
        "return": "-3.0",
    }
    with (tmp_path / "summary.csv").open() as file:
        summary = list(csv.DictReader(file))
    assert len(summary) == 2 * 2 * 2
    row = next(r for r in summary if (r["controller"], r["demand"], r["metric"]) == (POLICY, "2600", "delay"))
    assert [float(row[name]) for name in ("mean", "median", "interquartile_mean")] == [140, 20, 20]
    assert row["policy_minus"] == ""
    row = next(r for r in summary if (r["controller"], r["demand"], r["metric"]) == ("fixed_plan", "1500", "delay"))
    assert [float(row[name]) for name in ("low", "high", "policy_minus")] == [26, 26, -13]
    pair = [float(row[name]) for name in ("policy_minus_low", "policy_minus_high")]
    assert pair == pytest.approx([-17.108, -8.892], abs=1e-3)


def test_one_seed_has_no_interval(result, tmp_path):
    keep = [i for i, spec in enumerate(result.specs) if spec.seed == 1]
    alone = dataclasses.replace(
        result, specs=[result.specs[i] for i in keep], episodes=[result.episodes[i] for i in keep]
    )
    assert cells(printed(primary_table(alone, "mean")), "fixed_plan")[-1] == "-14.0"
    write_summary(alone, tmp_path / "summary.csv")
    assert "nan" not in (tmp_path / "summary.csv").read_text()


def with_parts(result):
    """Two movements of every episode; the second one loses 20 s more."""
    parts = [
        [{"name": f"{side} left", "delay": episode["delay"] + extra, "turn": "left"}]
        for episode in result.episodes
        for side, extra in (("north", 0.0), ("east", 20.0))
    ]
    pairs = [[*parts[2 * i], *parts[2 * i + 1]] for i in range(len(result.episodes))]
    return dataclasses.replace(result, parts=pairs, parts_name="movements", grade=lambda part: "AF"[part["delay"] > 30])


def test_means_of_the_parts_over_seeds(result):
    assert with_parts(result).part_means(POLICY, "1500") == [
        {"name": "north left", "delay": 13.0, "turn": "left", "grade": "A"},
        {"name": "east left", "delay": 33.0, "turn": "left", "grade": "F"},
    ]


def test_the_table_of_parts(result):
    table = tables(with_parts(result))[-2]
    assert table.title == "Delay (s) of movements, demand 1500, means over seeds"
    assert cells(printed(table), "east left") == ["east left", "33.0 F", "46.0 F"]


def test_parts_are_read_as_they_were_written(result, tmp_path):
    class Junction(Signals):
        parts_name = "movements"

    whole = with_parts(result)
    write_episodes(whole, tmp_path / "episodes.csv")
    write_parts(whole, tmp_path / "movements.csv")
    assert read_episodes(tmp_path / "episodes.csv", Junction()) == whole
    first = (tmp_path / "movements.csv").read_text().splitlines()[:2]
    assert first == ["controller,demand,in_range,seed,name,delay,turn", "policy,1500,1,0,north left,10.0,left"]


def test_greens_are_read_as_they_were_written(result, tmp_path):
    whole = dataclasses.replace(
        result,
        greens=(
            Greens(POLICY, "1500", 0, 3, 20.0, 8.5, 31.0, 1.0),
            Greens(POLICY, "1500", 1, 0, None, None, None, 0.0),
        ),
    )
    write_episodes(whole, tmp_path / "episodes.csv")
    write_greens(whole, tmp_path / "greens.csv")
    assert read_episodes(tmp_path / "episodes.csv", Signals()) == whole
    assert (tmp_path / "greens.csv").read_text().splitlines() == [
        "controller,demand,stage,number,median,low,high,share",
        "policy,1500,0,3,20.0,8.5,31.0,1.0",
        "policy,1500,1,0,,,,0.0",
    ]


class Signals(World):
    """What reading needs of a world."""

    primary_metric, primary_unit, minimise = "delay", "s", True
    metric_units = MappingProxyType({"delay": "s", "throughput": "vehicles", "teleports": "vehicles"})

    def __init__(self):
        pass

    def make_env(self, *arguments):
        raise NotImplementedError


def test_a_result_is_read_as_it_was_written(result, tmp_path):
    path = tmp_path / "episodes.csv"
    write_episodes(result, path)
    assert read_episodes(path, Signals()) == result


def test_another_file_is_no_verdict(tmp_path):
    for text in ("", "controller,demand\npolicy,1500\n", "controller,demand,in_range,seed,delay\na,b,1,x,2\n"):
        (tmp_path / "episodes.csv").write_text(text)
        with pytest.raises(UserError, match="is not what genreplay evaluate wrote; evaluate the run again"):
            read_episodes(tmp_path / "episodes.csv", Signals())


def test_standings_by_hand(result):
    known, unseen = result.comparisons("fixed_plan")
    assert known == GroupComparison("in range", 1, 13.0, BaselineComparison("fixed_plan", 26.0, 1), None)
    assert unseen == GroupComparison("unseen", 1, 140.0, BaselineComparison("fixed_plan", 30.0, 0), None)
    assert result.comparisons("webster")[0] == GroupComparison(
        "in range", 1, 13.0, None, BaselineComparison("fixed_plan", 26.0, 1)
    )


def test_the_best_other_baseline_is_the_best_on_the_mean_over_the_demands():
    """`a` is best on one demand, `b` on their mean; in a world that maximises the most counts."""
    values = {"policy": (5.0, 5.0), "incumbent": (1.0, 1.0), "a": (9.0, 0.0), "b": (6.0, 6.0)}
    specs = [EpisodeSpec(name, demand, 1) for name in values for demand in ("x", "y")]
    episodes = [{"return": value} for pair in values.values() for value in pair]
    demands = [NamedDemand("x", True), NamedDemand("y", True)]
    for minimise, best in ((False, BaselineComparison("b", 6.0, 0)), (True, BaselineComparison("a", 4.5, 1))):
        result = EvaluationResult(specs, episodes, demands, list(values), "return", minimise, {"return": ""})
        (group,) = result.comparisons("incumbent")
        assert (group.num_demands, group.own, group.best) == (2, 5.0, best)
    assert (
        EvaluationResult(specs[2:], episodes[2:], demands, ["incumbent", "a", "b"], "return", True, {}).comparisons(
            "incumbent"
        )
        == []
    )
