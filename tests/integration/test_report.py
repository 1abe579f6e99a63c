"""The page of a run: whole and right, in a real browser, without network, and the same for every world."""

import base64
import csv
import html
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genreplay import cli
from genreplay.envs.facets import FilmRequest
from genreplay.envs.sumo.camera import IntersectionCamera
from genreplay.reporting import page
from genreplay.runs import find
from genreplay.runs.checkpoint import exists
from tests.helpers.browser import opened, requests
from tests.helpers.paths import CONF

TINY = [
    "agent.hidden_width=16",
    "agent.critic_updates_per_actor_update=4",
    "replay.batch_size=16",
    "loop.utd_ratio=4",
    "loop.checkpoint_every_env_steps=1000",
    "loop.log_every_env_steps=20",
    "evaluation.seeds=[1,2]",
    "fabric.accelerator=cpu",
    "fabric.num_threads=1",
]
GENERATOR = [
    "generator.network.hidden_width=16",
    "generator.network.num_blocks=1",
    "generator.fit.num_steps=20",
    "generator.sampler.num_steps=4",
    "relevance.hidden_width=16",
    "loop.num_synthetic_rows=64",
]
SUMO = [
    "env.episode_seconds=240",
    "loop.num_env_steps=70",
    "loop.warmup_env_steps=30",
    "loop.first_refit_env_step=40",
    "loop.refit_every_env_steps=20",
    "loop.evaluate_every_env_steps=40",
]
PENDULUM = [
    "env.max_episode_steps=40",
    "loop.num_env_steps=100",
    "loop.warmup_env_steps=30",
    "loop.first_refit_env_step=40",
    "loop.refit_every_env_steps=40",
    "loop.evaluate_every_env_steps=50",
]
PHONE = 375
"""Width of a phone's screen, pixels."""
NASTY = '<script>alert(1)</script> & "quotes" <b>\''

SHOWN = """
    for (const details of document.querySelectorAll('details')) details.open = true;
    return [...document.images].map(image => ({
        shown: image.complete && image.naturalWidth > 0 && image.getBoundingClientRect().width > 0,
        alt: image.alt, source: image.src}));
"""
LINKS = (
    "return [...document.querySelectorAll('[src],[href]')].map(e => e.getAttribute('src') || e.getAttribute('href'))"
)
CLIPPED = """
    for (const details of document.querySelectorAll('details')) details.open = true;
    const page = document.documentElement.clientWidth;
    return [...document.querySelectorAll('table, img, pre')].filter(
        element => element.getBoundingClientRect().right > page + 1).map(element => element.innerText || element.alt);
"""
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the run is; its store is there too."""
    monkeypatch.chdir(tmp_path)
    # By its whole path: MLflow keeps the stores it has opened by their names, whatever folder they were named from.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    return tmp_path


def fit(config: str, *overrides: str) -> None:
    assert cli.main(["fit", "--config", str(CONF / config), *TINY, *overrides]) == 0


def artifacts() -> Path:
    return find.resolve_run("last", os.environ["MLFLOW_TRACKING_URI"], exists).parent


def check(page_file: Path, folder: Path) -> list[dict]:
    """Opens the page as a user does; its pictures."""
    for width in (1280, PHONE):
        with opened(page_file, folder / f"profile_{width}", width) as browser:
            pictures = browser.execute_script(SHOWN)
            asked = requests(browser)
            assert asked, "at least for the page itself"
            assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
            resources = "return performance.getEntriesByType('resource').map(entry => entry.name)"
            assert [name for name in browser.execute_script(resources) if not name.startswith("data:")] == []
            assert [link for link in browser.execute_script(LINKS) if not link.startswith(("data:", "#"))] == []
            assert browser.get_log("browser") == [], "no error and no warning on the console"
            assert browser.execute_script("return document.scripts.length") == 0
            assert browser.execute_script("return window.innerWidth") == width
            assert browser.execute_script(OVERFLOW) <= 0, "no wider than the screen"
        assert pictures
        for picture in pictures:
            assert picture["shown"], picture["alt"]
            assert picture["alt"]
    return pictures


def check_paper(page_file: Path, folder: Path) -> None:
    """On A4 nothing is cut, whatever could be scrolled on a screen."""
    with opened(page_file, folder / "profile_paper") as browser:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        inside = round((210 - 2 * 12) / 25.4 * 96)
        screen = {"width": inside, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        assert browser.execute_script(CLIPPED) == []
        pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
        assert re.search(rb"/MediaBox \[0 0 59[45][.\d]* 84[12][.\d]*\]", pdf), "A4, in points"


@pytest.mark.slow
def test_the_page_of_an_evaluated_run(folder: Path, capsys: pytest.CaptureFixture, monkeypatch) -> None:
    fit("sumo_pgr.yaml", *SUMO, *GENERATOR)
    command = ["evaluate", "--run", "last", "--demand", "1500,2600", "--seeds", "101,102", "--workers", "1"]
    assert cli.main([*command, "--baselines", "fixed_plan,webster,max_pressure"]) == 0
    monkeypatch.setattr(IntersectionCamera, "default_request", FilmRequest(None, 101, 600, 40, 10, None))
    output = folder / "pages" / "run.html"
    capsys.readouterr()
    assert cli.main(["report", "--run", "last", "--output", str(output)]) == 0
    assert re.fullmatch(
        rf"{re.escape(str(output))}: run \S+ \(\w{{32}}\) on one page, \d\.\d MB\n", capsys.readouterr().out
    )

    check_paper(output, folder)
    pictures = check(output, folder)
    kinds = [picture["source"].partition(";")[0] for picture in pictures]
    assert kinds.count("data:image/gif") == 1
    assert kinds.count("data:image/png") == 2, "a figure for each fit of the generator"
    titles = " ".join(picture["alt"] for picture in pictures)
    for text in (
        "Share of the time for which each stage is green",
        "Learning curve",
        "Critic loss",
        "Generator loss",
        "Novelty",
        "Q of the critics",
        "throughput",
    ):
        assert text in titles
    gif = next(picture["source"] for picture in pictures if picture["source"].startswith("data:image/gif"))
    with Image.open(io.BytesIO(base64.b64decode(gif.partition(",")[2]))) as film:
        assert film.n_frames == 4  # type: ignore[attr-defined]
        first = np.asarray(film.convert("RGB"))
        film.seek(3)
        assert (np.asarray(film.convert("RGB")) != first).any(axis=-1).sum() > 200, "it moves"

    # The tables of the trade come first, then the film, then learning; losses and distances are the appendix.
    text = plain(output)
    order = [
        "Mean delay over seeds (s)",
        "Delay of the policy minus each baseline's, 95 % interval",
        "Delay of the policy over the best baseline's of the same episode; worst episode",
        "Waits and reds over all demands and seeds",
        "Movements at demand 1500",
        "level of service",
        "Green time of each stage at demand 1500",
        "Greens in light and in heavy traffic",
        "The policy at work",
        "Learning The deterministic policy",
        "Appendix: training",
        "Appendix: synthetic data",
        "What was run Configuration",
    ]
    below = text.partition("Every controller had the very same episodes")[2]
    places = [below.index(words) for words in order]
    assert places == sorted(places)
    with (artifacts() / "evaluation" / "episodes.csv").open() as file:
        for row in csv.DictReader(file):
            shares = [float(value) for name, value in row.items() if name.startswith("green_share_")]
            assert len(shares) == 4, "the stages of the map"
            assert 0.5 < sum(shares) < 1

    # Every mean of the evaluation stands on the page, as does what it says of the policy.
    text = plain(output)
    with (artifacts() / "evaluation" / "summary.csv").open() as file:
        means = {
            (row["controller"], row["demand"]): float(row["mean"])
            for row in csv.DictReader(file)
            if row["metric"] == "delay"
        }
    assert len(means) == 8
    for controller in ("policy", "fixed_plan", "webster", "max_pressure"):
        known, unseen = means[controller, "1500"], means[controller, "2600"]
        row = f"{controller.replace('_', ' ')} {known:.1f} {unseen:.1f} {known:.1f} {unseen:.1f}"
        assert row in text, "each demand, then those in range and unseen"
    for where, demand in (("in range", "1500"), ("unseen in training", "2600")):
        own, plan = means["policy", demand], means["fixed_plan", demand]
        best, rule = min((means[name, demand], name) for name in ("webster", "max_pressure"))
        for value, words in ((plan, "the fixed plan"), (best, f"the best other baseline, {rule.replace('_', ' ')}")):
            share = f"{100 * abs(1 - own / value):.0f} %"
            compared = "as much as" if share == "0 %" else f"{share} {'less' if own < value else 'more'} than"
            expected = f"{compared} {words} ({value:.1f} s); better on {int(own < value)} of 1 demands"
            assert expected in text.partition(f"Delay {where} {own:.1f} s")[2]

    # The page is an artifact of the run, and its film serves again.
    assert (artifacts() / "report" / "run.html").read_bytes() == output.read_bytes()
    monkeypatch.setattr(page, "film", None)
    assert cli.main(["report", "--run", "last"]) == 0
    assert gif in (folder / "report.html").read_text()
    assert cli.main(["report", "--run", "last", "--no-film", "--output", "still.html"]) == 0
    assert "image/gif" not in (folder / "still.html").read_text()


def test_the_page_of_a_run_that_was_not_evaluated(folder: Path) -> None:
    """A world without baselines and pictures."""
    fit("pendulum_pgr.yaml", *PENDULUM, *GENERATOR)
    assert cli.main(["report", "--run", "last"]) == 0
    pictures = check(folder / "report.html", folder)
    assert not any(picture["source"].startswith("data:image/gif") for picture in pictures)
    text = plain(folder / "report.html")
    run_id = artifacts().parent.name
    assert f"This run was not evaluated yet. Evaluate it with genreplay evaluate --run {run_id}" in text
    assert "Appendix: synthetic data" in text
    assert "Pendulum-v1" in text
    assert "fixed plan" not in text
    assert cli.main(["evaluate", "--run", "last", "--seeds", "1-3", "--baselines", "none"]) == 0
    assert cli.main(["report", "--run", "last"]) == 0
    text = plain(folder / "report.html")
    assert "not evaluated yet" not in text
    assert "3 episodes for each demand (seeds 1, 2, 3). Higher is better" in text


def test_a_run_without_generator_whose_name_is_html(folder: Path) -> None:
    fit(
        "pendulum_pgr.yaml",
        *PENDULUM,
        "generator.name=none",
        "relevance.name=none",
        f"tracking.run_name={json.dumps(NASTY)}",
    )
    assert cli.main(["report", "--run", "last"]) == 0
    check(folder / "report.html", folder)
    source = (folder / "report.html").read_text()
    assert "<script" not in source
    assert f"<h1>{html.escape(NASTY, quote=False)}" in source.replace("&#34;", '"').replace("&#39;", "'")
    assert source.count("&lt;script&gt;alert(1)") == 3, "in the title, above the page, and in the config"
    assert "Appendix: synthetic data" not in source


def test_mistakes_are_one_line(folder: Path, capsys: pytest.CaptureFixture) -> None:
    fit("pendulum_pgr.yaml", *PENDULUM, "generator.name=none", "relevance.name=none")
    saved = str(artifacts())
    (folder / "file").write_text("")
    capsys.readouterr()
    for argv, message in (
        (["--run", "last", "--output", "."], "--output .: is a folder; name a file in it, such as report.html"),
        (["--run", "last", "--output", "file/x.html"], "--output file/x.html: cannot be written to"),
        (["--run", "nobody"], "--run nobody: there is no such run or folder"),
        (
            ["--run", saved, "tracking.uri=sqlite:///elsewhere/x.db"],
            "--run: the store sqlite:///elsewhere/x.db has no run",
        ),
        (["--run", "last", "seed=1"], "seed=1: has no effect here"),
        ([], "one of the arguments --run --checkpoint is required"),
    ):
        assert cli.main(["report", *argv]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1), err
        assert message in err


def plain(page_file: Path) -> str:
    """What a reader reads, with single blanks."""
    body = page_file.read_text().partition("<body>")[2]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", body)))
