"""Maps that do not fit: each message has a remedy, and the remedy works."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import sumo

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.paths import REPOSITORY
from tests.helpers.refusal import refusal

NETS = resolve(SumoConfig()).net_file.parents[1]
EXAMPLE = REPOSITORY / "examples/my_junction/my_junction.net.xml"


def message_of(net_file):
    message = refusal(lambda: read_intersection(net_file, SumoConfig()))
    assert "\n" not in message
    return message


def follow(message, folder):
    """Run the command that a message gives, up to its output file, one.net.xml."""
    (command,) = re.findall(r"netconvert -?.*one\.net\.xml", message)
    program, *options = shlex.split(command)
    subprocess.run(
        [Path(sumo.SUMO_HOME) / "bin" / program, *options], cwd=folder, check=True, capture_output=True, timeout=60
    )
    return folder / "one.net.xml"


@pytest.mark.parametrize(
    ("name", "listed", "largest"),
    [("2x2grid/2x2", "4 traffic lights (1, 2, 5, 6)", "1"), ("double/network", "2 traffic lights (B, E)", "B")],
)
def test_one_of_several_lights_is_named(name, listed, largest):
    net_file = NETS / f"{name}.net.xml"
    assert message_of(net_file) == (
        f"env.net_file: {net_file} has {listed}; name the one to control with env.light, such as env.light={largest} "
        "(the others keep their programmes)"
    )
    intersection = read_intersection(net_file, SumoConfig(light=largest))
    assert intersection.light == largest
    assert len(intersection.approaches) == 4


def test_an_unknown_light_is_refused():
    net_file = NETS / "double/network.net.xml"
    assert refusal(lambda: read_intersection(net_file, SumoConfig(light="C"))) == (
        f"env.light: {net_file} has no traffic light 'C'; it has B, E"
    )


def test_a_light_can_be_added(tmp_path):
    net_file = NETS / "simple/simple.net.xml"
    message = message_of(net_file)
    assert message == (
        f"env.net_file: {net_file} has no traffic light; add one, such as with: netconvert -s {net_file} --tls.set B "
        "-o one.net.xml"
    )
    assert read_intersection(follow(message, tmp_path), SumoConfig()).light == "B"


def test_one_green_phase_is_not_enough(tmp_path):
    net_file = tmp_path / "single.net.xml"
    text = EXAMPLE.read_text()
    net_file.write_text(re.sub(r'<phase duration="42" state="rrrGGGrr"/>\s*<phase [^>]*>', "", text))
    message = message_of(net_file)
    assert message == (
        f"env.net_file: the traffic light 'C' of {net_file} has 1 green phase(s) in its programme '0', but at least "
        "two are needed; add phases in netedit, or make a new plan with: "
        f"netconvert -s {net_file} --tls.rebuild -o one.net.xml"
    )
    assert len(read_intersection(follow(message, tmp_path), SumoConfig()).plan.stages) >= 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is not a SUMO network \(no element found.*\); make one with netconvert"),
        ("<net><edge", r"is not a SUMO network \(.*\); make one with netconvert"),
        ("a,b\n1,2\n", r"is not a SUMO network \(.*\); make one with netconvert"),
        (
            "<routes/>",
            r"is not a SUMO network but a file of <routes>; name the \.net\.xml file that netedit or netconvert wrote",
        ),
        (
            "<osm/>",
            r"is not a SUMO network but a file of <osm>; convert it with: netconvert --osm-files .*my\.net\.xml "
            r"--tls\.join --output-file one\.net\.xml",
        ),
        ("<net/>", r"is not a SUMO network \(.*\); make one with netconvert"),
        ('<net version="1.20"/>', r"has no traffic light; use a map of a junction"),
    ],
)
def test_files_that_are_no_maps(tmp_path, text, message):
    net_file = tmp_path / "my.net.xml"
    net_file.write_text(text)
    assert re.fullmatch(rf"env\.net_file: {re.escape(str(net_file))} {message}", message_of(net_file))
