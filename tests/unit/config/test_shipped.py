"""Configurations found by their names."""

from pathlib import Path

import pytest

from genreplay import config
from genreplay.config import shipped
from tests.helpers.paths import CONF
from tests.helpers.refusal import refusal


@pytest.mark.parametrize("name", ["sumo_sac", "sumo_sac.yaml", "overcooked/edm", "overcooked/edm.yaml"])
def test_a_name_is_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config.load(name) == config.load(CONF / f"{name.removesuffix('.yaml')}.yaml")


def test_an_existing_file_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("overcooked").mkdir()
    for name in ("smoke", "overcooked/edm.yaml"):
        Path(name).write_text("seed: 77")
        assert config.load(name).seed == 77


def test_a_file_extends_a_name_unless_there_is_such_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("extends: [sumo_sac, agents/redq.yaml]\nseed: 5")
    loaded = config.load("mine.yaml")
    assert (loaded.env.name, loaded.agent.ensemble_size, loaded.seed) == ("sumo", 10, 5)
    Path("sumo_sac").write_text("env: {name: gymnasium}")
    assert config.load("mine.yaml").env.name == "gymnasium"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("smo_pgr", "did you mean sumo_pgr or sumo_redq?"),
        ("elsewhere/edn.yaml", "did you mean generators/edm?"),
        ("qqqq", "write a path or a name;"),
    ],
)
def test_neither_a_file_nor_a_name_is_told_what_is_close(name, remedy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal(lambda: config.load(name)) == (
        f"{name}: no such config file, and no configuration of this name; {remedy} genreplay config --list shows all "
        "names"
    )


def test_the_list_says_each_configuration_in_one_plain_sentence():
    lines = shipped.listing().splitlines()
    assert [line.split()[0] for line in lines] == shipped.names()
    assert len(lines) == len([path for path in CONF.rglob("*.yaml") if path.parent.name != "study"])
    for line in lines:
        assert len(line.split(maxsplit=1)[1]) > 15, line
        assert line[-1] in '.?:;"', line
