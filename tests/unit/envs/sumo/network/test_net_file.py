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
    message = refusal(lambda: read_intersection(net_file, 300.0))
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


@pytest.mark.parametrize(("name", "num_lights", "light"), [("2x2grid/2x2", 4, "1"), ("double/network", 2, "B")])
def test_one_of_several_lights_can_be_cut_out(tmp_path, name, num_lights, light):
    net_file = NETS / f"{name}.net.xml"
    message = message_of(net_file)
    names = {2: "B, E", 4: "1, 2, 5, 6"}[num_lights]
    assert message.startswith(
        f"env.net_file: {net_file} has {num_lights} traffic lights ({names}), but only one can be controlled; "
        f"cut one out, such as {light} with: netconvert -s {net_file} --keep-edges.in-boundary "
    )
    intersection = read_intersection(follow(message, tmp_path), 300.0)
    assert intersection.light == light
    assert len(intersection.approaches) == 4


def test_stumps_of_a_cut_lose_their_light(tmp_path):
    """Cologne's roads end in turns back, which keep their light in the cut."""
    first = follow(message_of(NETS / "RESCO/cologne3/cologne3.net.xml"), tmp_path)
    cut = first.rename(tmp_path / "cut.net.xml")
    message = message_of(cut)
    assert "; take the light from all but GS_cluster_2415878664_254486231_359566_359576 with: netconvert" in message
    intersection = read_intersection(follow(message, tmp_path), 300.0)
    assert intersection.light == "GS_cluster_2415878664_254486231_359566_359576"
    assert len(intersection.approaches) == 4


def test_a_light_can_be_added(tmp_path):
    net_file = NETS / "simple/simple.net.xml"
    message = message_of(net_file)
    assert message == (
        f"env.net_file: {net_file} has no traffic light; add one, such as with: netconvert -s {net_file} --tls.set B "
        "-o one.net.xml"
    )
    assert read_intersection(follow(message, tmp_path), 300.0).light == "B"


def test_one_green_phase_is_not_enough(tmp_path):
    net_file = tmp_path / "single.net.xml"
    text = EXAMPLE.read_text()
    net_file.write_text(re.sub(r'<phase duration="42" state="rrrGGGrr"/>\s*<phase [^>]*>', "", text))
    message = message_of(net_file)
    assert message == (
        f"env.net_file: the traffic light 'C' of {net_file} has 1 green phase(s), but at least two are needed; "
        f"add phases in netedit, or make a new plan with: netconvert -s {net_file} --tls.rebuild -o one.net.xml"
    )
    assert len(read_intersection(follow(message, tmp_path), 300.0).greens) >= 2


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
