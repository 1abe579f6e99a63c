"""The comparison of arms over training seeds, on which claims rest."""

import numpy as np
import pytest

from genreplay import cli
from genreplay.common.errors import UserError
from genreplay.evaluation import compare
from genreplay.evaluation.compare import Estimate


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_an_area_is_the_mean_of_the_evaluations() -> None:
    arm = {3: {100: 1.0, 200: 3.0}, 1: {100: 0.0, 200: 10.0}}
    assert compare.areas(arm) == {1: 5.0, 3: 2.0}
    assert compare.areas(arm, max) == {1: 10.0, 3: 3.0}


def test_evaluations_are_cut_where_a_round_may_be_late() -> None:
    arm = {0: {2504: 1.0, 5000: 2.0, 7504: 3.0}, 1: {2504: 4.0, 5000: 5.0, 7504: 6.0}}
    assert compare.only(arm, 2500, set()) == {0: {2504: 1.0}, 1: {2504: 4.0}}
    assert compare.only(arm, float("inf"), {1}) == {1: arm[1]}
    assert compare.since(arm, 5000) == {0: {5000: 2.0, 7504: 3.0}, 1: {5000: 5.0, 7504: 6.0}}


def test_arms_are_compared_at_the_same_steps_up_to_a_round() -> None:
    marks = [2500, 5000]
    assert compare.aligned({4: {2504: 1.0, 5000: 2.0}}, marks) == {4: {2500: 1.0, 5000: 2.0}}
    for steps in ((2504, 5200), (2504,), (2504, 5000, 7504)):
        with pytest.raises(UserError, match="not evaluated at the same env steps"):
            compare.aligned({4: dict.fromkeys(steps, 1.0)}, marks)


def test_arms_come_back_from_their_table(tmp_path, caplog, capsys) -> None:
    table = tmp_path / "arms.csv"
    lines = [
        f"{arm},{seed},{step},{seed + step + offset}"
        for arm, offset in (("real", 0), ("more", 7))
        for seed in range(4)
        for step in (10, 20)
    ]
    table.write_text("\n".join(["arm,seed,env_step,value", *lines]))
    assert compare.read_arm(f"{table}:real")[2] == {10: 12.0, 20: 22.0}
    assert compare.read_arm(f"{table}:more")[2] == {10: 19.0, 20: 29.0}
    with pytest.raises(UserError) as error:
        compare.read_arm(f"{table}:less")
    assert str(error.value) == f"{table}: has no arm 'less'; choose one of real, more"
    with pytest.raises(UserError) as error:
        compare.read_arm(f"{tmp_path}/none.csv")
    assert str(error.value) == (
        f"{tmp_path}/none.csv: there is no such file; write NAME=FILE.csv:ARM or NAME=EXPERIMENT"
    )
    folder = tmp_path / "out"
    command = ["compare", str(folder), f"a={table}:real", f"b={table}:more", "--metric", "anything"]
    assert cli.main(command) == 0
    assert "| b | 4 | 23.5 | " in capsys.readouterr().out
    assert caplog.messages == [
        f"compare: {name} has 4 seeds: its interval is too narrow to rely on" for name in ("a", "b")
    ]
    assert cli.main([*command, "--since", "15", "--largest", "--seeds", "1-3"]) == 0
    assert "| b | 3 | 29.0 | " in capsys.readouterr().out
    assert compare.read_arm(f"{folder / 'arms.csv'}:b") == compare.only(
        compare.read_arm(f"{table}:more"), 20, {1, 2, 3}
    )
    assert (folder / "arms.png").stat().st_size > 1000
    for option, value, message in (
        ("--since", "21", "--since 21: the last evaluation is at 20; name an earlier env step"),
        ("--seeds", "9", "compare: the arm 'a' has no evaluation left; change --seeds or --until"),
    ):
        assert cli.main([*command, option, value]) == 2
        assert capsys.readouterr() == ("", f"genreplay: error: {message}\n")


def test_differences_are_of_pairs_where_seeds_are_alike(rng) -> None:
    """Arms that differ by 5 on every seed differ surely, however much the seeds do; unlike seeds cannot tell."""
    one = {seed: 100.0 * seed for seed in range(8)}
    assert compare.difference(one, {seed: area + 5 for seed, area in one.items()}, rng) == Estimate(5, 5, 5)
    middle, low, high = compare.difference(one, {seed + 1: area + 5 for seed, area in one.items()}, rng)
    assert middle == pytest.approx(5)
    assert low < -100 < 100 < high


def test_intervals_hold_the_truth_as_often_as_they_say(rng) -> None:
    """Of normal samples, whose interquartile mean is their mean in expectation; eight seeds: somewhat too narrow."""
    held = 0
    for _ in range(200):
        middle, low, high = compare.estimate(rng.normal(3.0, 1.0, 8), rng)
        assert low <= middle <= high
        held += low <= 3.0 <= high
    assert 0.8 < held / 200 < 0.99
