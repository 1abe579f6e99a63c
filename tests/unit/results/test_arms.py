"""The comparison of arms that claims rest on (results/arms.py)."""

import sys

import numpy as np
import pytest

from tests.helpers.scripts import load


@pytest.fixture(scope="module")
def arms():
    return load("results", "arms")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_an_area_is_the_mean_of_the_evaluations(arms) -> None:
    arm = {3: {100: 1.0, 200: 3.0}, 1: {100: 0.0, 200: 10.0}}
    assert arms.areas(arm) == {1: 5.0, 3: 2.0}
    assert arms.areas(arm, max) == {1: 10.0, 3: 3.0}


def test_evaluations_are_cut_where_a_round_may_be_late(arms) -> None:
    arm = {0: {2504: 1.0, 5000: 2.0, 7504: 3.0}, 1: {2504: 4.0, 5000: 5.0, 7504: 6.0}}
    assert arms.only(arm, 2500, set()) == {0: {2504: 1.0}, 1: {2504: 4.0}}
    assert arms.only(arm, float("inf"), {1}) == {1: arm[1]}
    assert arms.since(arm, 5000) == {0: {5000: 2.0, 7504: 3.0}, 1: {5000: 5.0, 7504: 6.0}}


def test_arms_are_compared_at_the_same_steps_up_to_a_round(arms) -> None:
    marks = [2500, 5000]
    assert arms.aligned({4: {2504: 1.0, 5000: 2.0}}, marks) == {4: {2500: 1.0, 5000: 2.0}}
    for steps in ((2504, 5200), (2504,), (2504, 5000, 7504)):
        with pytest.raises(SystemExit, match="not evaluated at the same env steps"):
            arms.aligned({4: dict.fromkeys(steps, 1.0)}, marks)


def test_arms_come_back_from_their_table(arms, tmp_path, monkeypatch, capsys) -> None:
    table = tmp_path / "arms.csv"
    lines = [
        f"{arm},{seed},{step},{seed + step + offset}"
        for arm, offset in (("real", 0), ("more", 7))
        for seed in range(4)
        for step in (10, 20)
    ]
    table.write_text("\n".join(["arm,seed,env_step,value", *lines]))
    assert arms.read_csv(str(table))[2] == {10: 12.0, 20: 22.0}
    assert arms.read_csv(f"{table}:more")[2] == {10: 19.0, 20: 29.0}
    with pytest.raises(SystemExit, match="no arm 'less'"):
        arms.read_csv(f"{table}:less")
    folder = tmp_path / "out"
    command = ["arms.py", str(folder), f"a={table}:real", f"b={table}:more", "--uri", f"sqlite:///{tmp_path}/mlflow.db"]
    monkeypatch.setattr(sys, "argv", command)
    arms.main()
    assert "| b | 4 | 23.5 | " in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*command, "--since", "15", "--largest"])
    arms.main()
    assert "| b | 4 | 28.5 | " in capsys.readouterr().out
    assert arms.read_csv(f"{folder / 'arms.csv'}:b") == arms.read_csv(f"{table}:more")
    assert (folder / "arms.png").stat().st_size > 1000


def test_differences_are_of_pairs_where_seeds_are_alike(arms, rng) -> None:
    """Arms that differ by 5 on every seed differ surely, however much the seeds do; unlike seeds cannot tell."""
    one = {seed: 100.0 * seed for seed in range(8)}
    assert arms.difference(one, {seed: area + 5 for seed, area in one.items()}, rng) == (5, 5, 5)
    middle, low, high = arms.difference(one, {seed + 1: area + 5 for seed, area in one.items()}, rng)
    assert middle == pytest.approx(5)
    assert low < -100 < 100 < high


def test_intervals_hold_the_truth_as_often_as_they_say(arms, rng) -> None:
    """Of normal samples, whose interquartile mean is their mean in expectation; eight seeds: somewhat too narrow."""
    held = 0
    for _ in range(200):
        middle, low, high = arms.interval(rng.normal(3.0, 1.0, 8), rng)
        assert low <= middle <= high
        held += low <= 3.0 <= high
    assert 0.8 < held / 200 < 0.99
