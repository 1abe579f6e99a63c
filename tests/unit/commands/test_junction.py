"""`genreplay junction`: what it shows of the example, and its mistakes."""

import re
from pathlib import Path

import pytest

from genreplay import cli
from tests.helpers.paths import REPOSITORY

FOLDER = REPOSITORY / "examples/my_junction"
NET, COUNTS = str(FOLDER / "my_junction.net.xml"), str(FOLDER / "counts.csv")


def rows(text):
    return {line.split("  ")[0].strip(): line.split() for line in text.splitlines() if " -> " in line}


def test_the_light_and_its_movements(capsys):
    assert cli.main(["junction", "--net", NET]) == 0
    out = capsys.readouterr().out
    assert "the light 'C' has 2 stages in its fixed programme '0' of 90 s; yellow 3 s, all-red 0 s" in out
    shown = rows(out)
    # Two lanes with 41 of 90 s; left turns find gaps of 2.7 s, as nobody else drives.
    assert shown["west_in -> east_out"][3:] == ["straight", "0", "protected", "1640"]
    assert shown["east_in -> south_out"][3:] == ["left", "(0)", "permissive", "607"]


def test_counts_are_checked_and_summed(capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert cli.main(["junction", "--net", NET, "--counts", COUNTS]) == 0
    out = capsys.readouterr().out
    # 110 + 148 + 163 + 125 vehicles; 163 in the busiest quarter of an hour.
    assert rows(out)["west_in -> east_out"][-6:-4] == ["546", "652"]
    assert "The hardest time is 07:30 to 07:45: 1752 vehicles/h over the light" in out
    assert cli.main(["junction", "--config", "examples/my_junction/junction.yaml"]) == 0
    assert capsys.readouterr().out == out


def test_routes_are_checked_and_summed(capsys, tmp_path):
    routes = tmp_path / "my.rou.xml"
    flow = '<flow id="f" begin="0" end="1800" from="west_in" to="east_out" vehsPerHour="600"/>'
    routes.write_text(f"<routes>{flow}</routes>")
    assert cli.main(["junction", "--net", NET, "--routes", str(routes)]) == 0
    assert rows(capsys.readouterr().out)["west_in -> east_out"][-6:] == ["300", "600", "1640", "0.37", "17", "B"]


def test_sumos_answer_to_routes_is_shown(capsys, tmp_path):
    routes = tmp_path / "my.rou.xml"
    trips = "".join(f'<trip id="{i}" depart="{i}" departPos="9000" from="west_in" to="east_out"/>' for i in range(3))
    routes.write_text(f"<routes>{trips}</routes>")
    assert cli.main(["junction", "--net", NET, "--routes", str(routes)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "SUMO lets in 3 vehicles and 0 persons in an episode under the map's plan."
    assert lines[-1].startswith("SUMO warns: Invalid departPos 9000.00 given for vehicle '0', time=0.00.")
    routes.write_text('<routes><trip id="a" depart="9" departLane="7" from="west_in" to="east_out"/></routes>')
    assert cli.main(["junction", "--net", NET, "--routes", str(routes)]) == 2
    assert capsys.readouterr().err == (
        "genreplay: error: env.route_file: SUMO ends the episode: Invalid departLane definition for vehicle 'a'.\n"
    )


def test_the_remedy_that_is_named_is_accepted(capsys, tmp_path):
    """A message that names an option of env holds on a command line without a config too."""
    routes = tmp_path / "my.rou.xml"
    flow = '<flow id="f" begin="25200" end="27000" from="west_in" to="east_out" vehsPerHour="600"/>'
    routes.write_text(f"<routes>{flow}</routes>")
    argv = ["junction", "--net", NET, "--routes", str(routes)]
    assert cli.main(argv) == 2
    (remedy,) = re.findall(r"set (env\.begin_time=\d+)", capsys.readouterr().err)
    assert cli.main([*argv, remedy]) == 0
    out = capsys.readouterr().out
    assert rows(out)["west_in -> east_out"][-6:] == ["300", "600", "1640", "0.37", "17", "B"]
    assert "The hardest time is 07:00" in out
    assert cli.main([*argv, remedy, "env.yellow_time=5"]) == 0
    assert "yellow 5" in capsys.readouterr().out


def test_a_template_is_written_once(capsys, tmp_path):
    path = tmp_path / "mine.csv"
    assert cli.main(["junction", "--net", NET, "--counts-template", str(path)]) == 0
    assert path.read_text().splitlines()[1] == "07:00,07:15,,,,,,"
    assert f"wrote {path}: fill in the counts" in capsys.readouterr().out.replace("\n", " ")
    assert cli.main(["junction", "--net", NET, "--counts-template", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"genreplay: error: --counts-template: {path} exists already; choose another name, or remove it\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one of the arguments --net --config is required; see genreplay junction --help"),
        (
            ["--net", NET, "--routes", "a", "--counts", "b"],
            "argument --counts: not allowed with argument --routes; see genreplay junction --help",
        ),
        (
            ["--net", NET, "seed=1"],
            "seed=1: has no effect on --net, which takes options of env alone; leave it out",
        ),
        (
            ["--net", NET, "env.begin_tme=3"],
            "override 'env.begin_tme=3': env.begin_tme: unknown key; did you mean 'begin_time'?",
        ),
        (
            ["--net", NET, "env.name=gymnasium"],
            "--net: env.name is 'gymnasium', which has no junction; set env.name: sumo",
        ),
        (["--net", "none.net.xml"], f"env.net_file: there is no file {Path.cwd()}/none.net.xml; write the path of one"),
        (
            ["--config", str(REPOSITORY / "conf/pendulum_pgr.yaml")],
            f"{REPOSITORY}/conf/pendulum_pgr.yaml: env.name is 'gymnasium', which has no junction; set env.name: sumo",
        ),
    ],
)
def test_mistakes(capsys, options, message):
    assert cli.main(["junction", *options]) == 2
    assert capsys.readouterr() == ("", f"genreplay: error: {message}\n")
