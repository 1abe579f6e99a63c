"""Evaluations of several training seeds: joined, read again, and as a table of means."""

import pytest

from genreplay import cli

HEADER = "controller,demand,in_range,seed,delay\n"


def episodes(*delays: float, controller: str = "policy") -> str:
    """Two demands, the second one unseen, with two episodes each."""
    places = [("1500", 1, 101), ("1500", 1, 102), ("2600", 0, 101), ("2600", 0, 102)]
    lines = [f"{controller},{d},{known},{s},{v}" for (d, known, s), v in zip(places, delays, strict=True)]
    return HEADER + "\n".join(lines) + "\n"


def test_one_policy_by_demand_with_intervals_over_training_seeds(tmp_path, capsys, caplog):
    folders = []
    for seed, text in enumerate((episodes(10, 20, 30, 40), episodes(20, 30, 50, 60))):
        folders.append(tmp_path / str(seed))
        folders[-1].mkdir()
        (folders[-1] / "episodes.csv").write_text(text)
    assert cli.main(["compare", *map(str, folders), "--evaluations", "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[2:] == ["| 1500 | 20 | 15 to 25 |", "| 2600 | 45 | 35 to 55 |"]
    assert caplog.messages == ["compare: there are 2 training seeds: the intervals are too narrow to rely on"]
    lines = (tmp_path / "out" / "partners.csv").read_text().splitlines()
    assert lines[:2] == ["training_seed,demand,seed,delay", "0,1500,101,10"]
    assert len(lines) == 9
    assert cli.main(["compare", str(tmp_path / "out"), "--evaluations"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["out"],
            "out: holds neither partners.csv nor evaluation_seed_*.csv nor episodes.csv; name evaluations to join",
        ),
        (["one", "none"], "none: holds no episodes.csv; name what genreplay evaluate --output wrote"),
        (
            ["one", "--metric", "dely"],
            "--metric dely: an episode does not have it; choose one of training_seed, demand, seed, dely",
        ),
    ],
)
def test_mistakes(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "episodes.csv").write_text(episodes(1, 2, 3, 4))
    assert cli.main(["compare", "--evaluations", *arguments]) == 2
    assert capsys.readouterr() == ("", f"genreplay: error: {message}\n")
