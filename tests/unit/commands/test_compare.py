"""`genreplay compare` from the store to its files."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from genreplay import cli
from genreplay.common.files import read_csv
from tests.helpers.browser import opened, requests
from tests.helpers.comparisons import HOSTILE, store, write_run
from tests.helpers.studies import write

FILES = {"comparison.csv", "comparison.md", "comparison.tex", "comparison.html", "runs.csv", "curves.csv"} | {
    f"{name}.{ending}" for name in ("curves", "profile", "differences") for ending in ("png", "svg")
}
PHONE = 375


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One store for all tests, as a new one takes seconds, with the finished cells of the tiny study."""
    uri = store(tmp_path_factory.mktemp("store"))
    for arm, offset in (("slow", -1.0), ("usual", 0.0)):
        for seed in (0, 1):
            tags = {"study": "tiny", "arm": arm, "seed": str(seed), "name": f"{arm}-seed{seed}"}
            rate = {"agent.actor_learning_rate": "0.0001" if arm == "slow" else "0.0003"}
            write_run(uri, "tiny", seed, [offset - 1000 + 10 * seed, offset - 900], tags=tags, params=rate)
    return uri


@pytest.fixture
def uri(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    write(tmp_path)
    return place


def test_a_study_is_compared_as_planned(uri, capsys, caplog):
    assert cli.main(["compare", "tiny.yaml", "--output", "out"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("plan: area of return; 2 seeds; expected to be lower than usual\nnot pre-registered: the")
    assert "Area under the curve of return, higher is better (planned, not pre-registered)" in printed
    assert "Last evaluation of return, higher is better (exploratory)" in printed
    assert "slow: as expected (-1.00, -1.00 to -1.00)" in printed
    assert "slow differs from usual in agent.actor_learning_rate" in printed
    assert caplog.messages == [
        f"compare: {arm} has 2 seeds: its interval is too narrow to rely on" for arm in ("slow", "usual")
    ]
    assert {path.name for path in Path("out").iterdir()} == FILES
    first, second = read_csv(Path("out/comparison.csv"))[:2]
    assert (first["arm"], first["measure"], first["iqm"], first["difference"]) == ("usual", "area", "-947.5", "")
    assert (second["arm"], second["difference"], second["paired"], second["improvement"]) == (
        "slow",
        "-1.0",
        "1",
        "0.25",
    )
    assert [row["area"] for row in read_csv(Path("out/runs.csv"))] == ["-951.0", "-946.0", "-950.0", "-945.0"]
    for name in ("curves", "profile", "differences"):
        with Image.open(f"out/{name}.png") as picture:
            assert picture.width > 900
        ET.parse(f"out/{name}.svg")


def test_the_comparison_is_a_run_that_links_to_its_runs(uri, capsys):
    assert cli.main(["compare", "tiny.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "mlruns/comparisons/tiny/comparison.html" in printed
    client = MlflowClient(uri)
    kept = client.get_run(re.search(r"kept as run (\w+) of the experiment comparisons", printed)[1])
    assert kept.info.experiment_id == client.get_experiment_by_name("comparisons").experiment_id
    assert (kept.info.status, kept.info.run_name) == ("FINISHED", "Study tiny")
    experiment = client.get_experiment_by_name("tiny").experiment_id
    ids = {run.info.run_id for run in client.search_runs([experiment])}
    assert set(re.findall(r"[0-9a-f]{32}", kept.data.tags["arm.0"] + kept.data.tags["arm.1"])) == ids
    note = kept.data.tags["mlflow.note.content"]
    assert set(re.findall(rf"\]\(#/experiments/{experiment}/runs/(\w+)\)", note)) == ids
    assert (kept.data.tags["study"], kept.data.tags["standing"]) == ("tiny", "planned, not pre-registered")
    assert {entry.path for entry in client.list_artifacts(kept.info.run_id)} == FILES


def test_another_window_than_planned_makes_all_exploratory(uri, capsys):
    assert cli.main(["compare", "tiny.yaml", "--since", "20", "--output", "out"]) == 0
    printed = capsys.readouterr().out
    assert "Exploratory as a whole: --since replaced what the plan states." in printed
    assert "(planned" not in printed


def test_options_that_say_what_is_planned_change_nothing(uri, capsys):
    same = ["--metric", "return", "--baseline", "usual", "--since", "0", "--seeds", "0,1"]
    assert cli.main(["compare", "tiny.yaml", *same, "--output", "out"]) == 0
    assert "(planned, not pre-registered)" in capsys.readouterr().out


def test_its_points_are_compared_again(uri, capsys):
    assert cli.main(["compare", "tiny.yaml", "--output", "out"]) == 0
    capsys.readouterr()
    again = ["compare", "out/curves.csv", "--baseline", "usual", "--output", "again", "--seeds", "0,1"]
    assert cli.main([*again, "--axis", "seconds", "--threshold", "-950"]) == 0
    printed = capsys.readouterr().out
    assert "Env steps to the threshold, lower is better (exploratory)" in printed
    first, second = (read_csv(Path(f"{folder}/comparison.csv"))[:2] for folder in ("out", "again"))
    for one, other in zip(first, second, strict=True):
        assert {**one, "standing": ""} | {"optimality_gap": "", "reached": ""} == {
            **other, "standing": "", "reached": "", **{f"optimality_gap{end}": "" for end in ("", "_low", "_high")}
        }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny.yaml", "--baseline", "x"], "--baseline x: there is no such arm; choose one of slow, usual"),
        (["old.csv", "--metric", "return", "--axis", "seconds"], "--axis seconds: is not known of a/0; leave it out"),
    ],
)  # fmt: skip
def test_mistakes(uri, capsys, arguments, message):
    Path("old.csv").write_text("arm,seed,env_step,value\na,0,10,1\n")
    assert cli.main(["compare", *arguments, "--output", "out"]) == 2
    assert capsys.readouterr() == ("", f"genreplay: error: {message}\n")


@pytest.mark.slow
def test_the_page_is_whole_with_hostile_names(uri, tmp_path, capsys):
    for seed in range(6):
        for name, offset in ((HOSTILE, 0.0), ("b", 1.0)):
            tags = {"method": name, "name": f"{HOSTILE}-{seed}"}
            write_run(uri, "all", seed, [offset + seed, offset + 2.0 * seed], tags=tags)
    assert cli.main(["compare", "all", "--output", "out", "--threshold", "3", "--baseline", HOSTILE]) == 0
    page = Path("out/comparison.html")
    for width in (1280, PHONE):
        with opened(page, tmp_path / f"profile{width}", width) as browser:
            assert requests(browser) == [page.resolve().as_uri()]
            assert [entry["message"] for entry in browser.get_log("browser")] == []
            assert browser.execute_script("return document.scripts.length") == 0
            assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
            assert HOSTILE in browser.execute_script("return document.querySelector('table th[scope=row]').textContent")
            labels = browser.execute_script("return [...document.querySelectorAll('svg')].map(e => e.ariaLabel)")
            assert len(labels) == 3
            assert all(labels)
            shown = browser.execute_script("return [...document.querySelectorAll('svg text')].map(e => e.textContent)")
            assert HOSTILE[:30] in " ".join(shown)
