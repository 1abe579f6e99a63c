"""The policies that come with genreplay: each does what its card says, and every command takes it by name."""

import json
from pathlib import Path

import pytest

import genreplay
from genreplay import cli
from genreplay.common.files import read_csv
from genreplay.runs import published
from tests.helpers.browser import opened, requests

SEEDS = [101, 102]
TOLERANCE = 0.05
"""Of the mean over the seeds: another processor rounds otherwise, and a SUMO episode rarely differs by itself."""


@pytest.mark.slow
@pytest.mark.parametrize("name", published.names())
def test_a_policy_does_what_its_card_says(name: str) -> None:
    folder = published.FOLDER / name
    evaluation = published.read_card(folder)["evaluation"]
    demand = next(demand for demand, in_range in evaluation["demands"].items() if in_range)
    told = {
        int(row["seed"]): float(row[evaluation["metric"]])
        for row in read_csv(folder / published.EPISODES)
        if (row["controller"], row["demand"]) == ("policy", demand)
    }
    assert list(told) == evaluation["seeds"]
    assert sum(told.values()) / len(told) == pytest.approx(evaluation["means"]["policy"][demand])
    episodes = genreplay.evaluate(genreplay.load_policy(name), SEEDS, [demand])
    played = [episode[evaluation["metric"]] for episode in episodes]
    expected = [told[seed] for seed in SEEDS]
    assert sum(played) == pytest.approx(sum(expected), rel=TOLERANCE), (
        f"{name}: seeds {SEEDS} gave {played}, and its card says {expected}; if this was meant: make policies"
    )


@pytest.mark.slow
def test_every_command_takes_a_policy_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip("onnxscript", reason="needs genreplay[export]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    named = ["--checkpoint", "cramped_room"]
    evaluate = ["evaluate", *named, "--demand", "self", "--seeds", "101", "--workers", "1"]
    assert cli.main([*evaluate, "--output", "out"]) == 0
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["env_step"] > 0
    assert cli.main(["export", *named, "--output", "out"]) == 0
    assert "the policy of the published folder " in capsys.readouterr().out
    about = json.loads((tmp_path / "out" / "policy.json").read_text())["checkpoint"]
    assert (about["run_id"], about["number"]) == (None, "cramped_room")
    assert cli.main(["render", *named, "--begin", "0", "--seconds", "4", "--output", "film.gif"]) == 0
    assert (tmp_path / "film.gif").stat().st_size > 0
    assert cli.main(["render", *named, "--synthetic", "--output", "rows.gif"]) == 2
    assert capsys.readouterr().err.endswith(
        "--synthetic: a published policy has no synthetic transitions; name a checkpoint of its run\n"
    )
    assert not (tmp_path / "mlruns" / "mlflow.db").exists(), "a published policy belongs to no store"


@pytest.mark.slow
def test_the_page_of_a_published_policy(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "page.html"
    assert cli.main(["report", "--checkpoint", "cramped_room", "--no-film", "--output", str(page)]) == 0
    assert capsys.readouterr().out.startswith(f"{page}: policy cramped_room on one page, ")
    with opened(page, tmp_path / "profile") as browser:
        text = browser.find_element("tag name", "body").text
        assert [url for url in requests(browser) if not url.startswith(("file:", "data:"))] == []
        assert browser.get_log("browser") == []
    card = published.read_card(published.FOLDER / "cramped_room")
    assert f"policy after {card['training']['env_steps']:,} env steps" in text
    assert f"{card['evaluation']['means']['policy']['self']:.1f}" in text
    assert "This is a published policy." in text
    assert "Appendix" not in text, "its store is elsewhere"
