"""Names that no file defines: each refusal contains the remedy, and SUMO refuses the same files."""

import pytest

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.checks import check_traffic
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.paths import DATA
from tests.helpers.plain_sumo import plain_sumo
from tests.helpers.refusal import refusal

NET = DATA / "cross.net.xml"


def check(route_file, additional_files=()):
    config = SumoConfig(
        net_file=str(NET), route_file=str(route_file), additional_files=list(additional_files), episode_seconds=600
    )
    return check_traffic(config, resolve(config), read_intersection(NET, config))


UNKNOWN = [
    (
        '<trip id="a" depart="1" from="n_in" to="s_out"><stop busStop="b" duration="5"/></trip>',
        "trip 'a' names the busStop 'b', which no additional file defines; list the file that does, such as "
        "env.additional_files=[stops.add.xml]",
    ),
    (
        '<person id="a" depart="1"><walk from="n_in" busStop="b"/></person>',
        "person 'a' names the busStop 'b', which no additional file defines; list the file that does, such as "
        "env.additional_files=[stops.add.xml]",
    ),
    (
        '<flow id="a" begin="1" end="9" period="3" fromTaz="N" to="s_out"/>',
        "flow 'a' names the zone 'N', which no additional file defines; list the file that does, such as "
        "env.additional_files=[zones.taz.xml]",
    ),
    (
        '<trip id="a" depart="1" fromJunction="nort" toJunction="south"/>',
        "trip 'a' names the junction 'nort', which is not in the map; did you mean 'north'?",
    ),
    (
        '<person id="a" depart="1"><walk from="n_in" to="s_ou"/></person>',
        "person 'a' uses the edge 's_ou', which is not in the map; did you mean 's_out'? Routes for a piece cut out of "
        "a larger map: see docs/traffic.md",
    ),
    (
        '<person id="a" type="child" depart="1"><walk from="n_in" to="s_out"/></person>',
        "person 'a' has the type 'child', which the file does not define; copy its <vType id=\"child\"> into the file, "
        "list the file that has it in env.additional_files, or leave the type out for SUMO's default car",
    ),
]


@pytest.mark.parametrize(("inside", "message"), UNKNOWN)
def test_unknown_names_are_refused_with_the_remedy(tmp_path, inside, message):
    path = tmp_path / "my.rou.xml"
    path.write_text(f"<routes>{inside}</routes>")
    assert plain_sumo(tmp_path, NET, path).status != 0
    assert refusal(lambda: check(path)) == f"env.route_file: {path}: {message}"


def test_a_bus_needs_its_stops():
    path = DATA / "bus.rou.xml"
    assert refusal(lambda: check(path)) == (
        f"env.route_file: {path}: flow 'line7' names the busStop 'stop_west', which no additional file defines; list "
        "the file that does, such as env.additional_files=[stops.add.xml]"
    )
    assert check(path, [DATA / "stops.add.xml"]).expected()[0].flows.any()
