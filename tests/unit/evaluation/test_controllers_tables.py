"""Several training seeds and arms beside the baselines: every figure by hand."""

import pytest

from genreplay import cli
from tests.unit.evaluation.test_seeds_table import episodes


def tables(tmp_path, capsys, files, *arguments):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert cli.main(["compare", str(tmp_path), "--evaluations", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


BASELINES = episodes(20, 30, 40, 20, controller="a") + episodes(30, 10, 10, 70, controller="b").partition("\n")[2]


def test_means_differences_from_the_best_baseline_and_the_worst_episode(tmp_path, capsys):
    files = {
        "evaluation_seed_0.csv": episodes(10, 20, 30, 40),
        "evaluation_seed_10.csv": episodes(14, 20, 50, 60),
        "evaluation_baselines.csv": BASELINES,
        "evaluation_other_greens.csv": episodes(1, 1, 1, 1, controller="b"),
    }
    # By seed the differences are -5 and -3 on 1500, and +5 and +25 on 2600; Student's t of two values is 12.706.
    assert tables(tmp_path, capsys, files) == [
        "| controller | 1500 | 2600* | range |",
        "|---|---|---|---|",
        "| policy | 16.0 (15.0 to 17.0) | 45.0 (35.0 to 55.0) | 16.0 (15.0 to 17.0) |",
        "| a | 25.0 | 30.0 | 25.0 |",
        "| b | 20.0 | 40.0 | 20.0 |",
        "",
        "| less the best baseline | 1500 | 2600* | range |",
        "|---|---|---|---|",
        "| best baseline | b | a | b |",
        "| policy | -4.00 (-16.71 to +8.71) | +15.00 (-112.06 to +142.06) | -4.00 (-16.71 to +8.71) |",
        "",
        "policy: at worst 5.00 times the best baseline of an episode (2600, seed 101, training seed 10); 3 of 8 above "
        "2 times",
    ]


def test_arms_are_compared_with_the_first_one_seed_by_seed(tmp_path, capsys):
    files = {
        "evaluation_pgr_seed_1.csv": episodes(10, 20, 30, 40),
        "evaluation_pgr_seed_2.csv": episodes(20, 20, 30, 40),
        "evaluation_real_only_seed_2.csv": episodes(30, 40, 30, 20),
    }
    lines = tables(tmp_path, capsys, files)
    assert lines[2:4] == [
        "| pgr | 17.5 (15.0 to 20.0) | 35.0 (35.0 to 35.0) | 17.5 (15.0 to 20.0) |",
        "| real_only | 35.0 | 25.0 | 35.0 |",
    ]
    assert lines[5:] == [
        "| less pgr | 1500 | 2600* | range |",
        "|---|---|---|---|",
        "| real_only | +15.00 | -10.00 | +15.00 |",
    ]


def test_of_a_metric_that_is_better_higher_the_best_is_the_highest(tmp_path, capsys):
    files = {"evaluation_seed_0.csv": episodes(10, 20, 30, 40), "evaluation_baselines.csv": BASELINES}
    lines = tables(tmp_path, capsys, files, "--better", "higher")
    assert lines[8:10] == ["| best baseline | a | b | a |", "| policy | -10.00 | -5.00 | -10.00 |"]
    assert lines[-1].startswith("policy: at worst 3.00 times the best baseline of an episode (1500, seed 101")


def test_a_baseline_without_an_episode_of_a_policy(tmp_path, capsys):
    (tmp_path / "evaluation_seed_0.csv").write_text(episodes(10, 20, 30, 40))
    (tmp_path / "evaluation_baselines.csv").write_text(BASELINES.replace("b,2600,0,102,70\n", ""))
    assert cli.main(["compare", str(tmp_path), "--evaluations"]) == 2
    assert capsys.readouterr().err == (
        "genreplay: error: evaluation_baselines*.csv: b has no episode of demand 2600 with seed 102; evaluate the "
        "baselines on the policies' demands and seeds\n"
    )


@pytest.mark.parametrize("name", ["evaluation_seed_0.csv", "evaluation_real_seed_0.csv"])
def test_the_metric_is_named(tmp_path, capsys, name):
    (tmp_path / name).write_text(episodes(10, 20, 30, 40))
    assert cli.main(["compare", str(tmp_path), "--evaluations", "--metric", "dely"]) == 2
    assert "--metric dely: an episode does not have it; choose one of controller" in capsys.readouterr().err
