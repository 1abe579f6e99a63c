"""A user's route files: errors are reported before training, each with a remedy."""

import pytest

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.checks import check_traffic
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.paths import REPOSITORY
from tests.helpers.refusal import refusal

NET = REPOSITORY / "examples/my_junction/my_junction.net.xml"
GOOD = '<trip id="good" depart="5" from="west_in" to="east_out"/>'


def check(net_file=NET, route_file=None):
    config = SumoConfig(net_file=str(net_file), route_file=route_file and str(route_file))
    return check_traffic(config, resolve(config), read_intersection(net_file, SumoConfig()))


def write(folder, inside):
    path = folder / "my.rou.xml"
    path.write_text(f"<routes>{inside}</routes>")
    return path


BROKEN = [
    ("", " has no vehicles; add trips, vehicles or flows with a time to depart"),
    (
        '<trip id="a" depart="25200" from="west_in" to="east_out"/><trip id="b" depart="28799.5" from="west_in" '
        'to="east_out"/>',
        ": no vehicle departs in the episode, 0 to 1800 s; the file's vehicles depart from 25200 to 28799.5 s, so set "
        "env.begin_time=25200",
    ),
    (
        '<trip id="a" depart="3" from="west_in" to="west_in"/>',
        ": no vehicle of the episode crosses the light 'C'; a route has to use one of its movements, such as "
        "edges 'east_in' then 'west_out'",
    ),
    *(
        (
            f'<trip id="a" {depart} from="west_in" to="east_out"/>',
            f": trip 'a' {problem} depart time; write seconds, such as depart=\"25200\", or HH:MM:SS",
        )
        for depart, problem in [('depart="soon"', "has 'soon' as"), ('depart="-3"', "has '-3' as"), ("", "has no")]
    ),
    (
        '<flow id="f" begin="x" from="west_in" to="east_out" vehsPerHour="9"/>',
        ": flow 'f' has 'x' as begin time; write seconds, such as begin=\"25200\", or HH:MM:SS",
    ),
    (
        '<flow id="f" begin="0" from="west_in" to="east_out"/>',
        ": flow 'f' does not say how many vehicles; add for example vehsPerHour=\"300\"",
    ),
    (
        '<flow id="f" begin="0" from="west_in" to="east_out" vehsPerHour="lots"/>',
        ": flow 'f' has 'lots' as vehsPerHour; write a number above 0",
    ),
    (
        '<flow id="f" begin="0" from="west_in" to="east_out" period="0"/>',
        ": flow 'f' has '0' as period; write a number above 0",
    ),
    (
        '<trip depart="1" from="west_in" to="east_out"/>',
        ": a trip has no id; give each one a unique id",
    ),
    (GOOD + GOOD, ": trip 'good' is duplicated; give each one a unique id"),
    (
        '<trip id="a" type="lorry" depart="1" from="west_in" to="east_out"/>',
        ": trip 'a' has the type 'lorry', which the file does not define; copy its <vType id=\"lorry\"> into the file, "
        "list the file that has it in env.additional_files, or leave the type out for SUMO's default car",
    ),
    (
        '<vehicle id="a" route="r" depart="1"/>',
        ": vehicle 'a' uses the route 'r', which the file does not define; define it first",
    ),
    (
        '<trip id="a" depart="1" from="west_inn" to="east_out"/>',
        ": trip 'a' uses the edge 'west_inn', which is not in the map; did you mean 'west_in'? Routes for a piece cut "
        "out of a larger map: see docs/traffic.md",
    ),
    (
        '<route id="r" edges="west_in 4711"/>' + GOOD,
        ": route 'r' uses the edge '4711', which is not in the map; was the route made for another map? Routes for a "
        "piece cut out of a larger map: see docs/traffic.md",
    ),
    (
        '<vehicle id="a" depart="1"><route edges="west_in south_in"/></vehicle>',
        ": vehicle 'a' goes from edge 'west_in' to 'south_in', which are not connected; fix the route, or run "
        "duarouter --repair",
    ),
    (
        '<vehicle id="a" depart="1"><route edges=""/></vehicle>',
        ": vehicle 'a' has no edges; write their ids, separated by spaces",
    ),
    (
        '<trip id="a" depart="1" from="east_out" to="west_in"/>',
        ": trip 'a' goes from 'east_out' to 'west_in', but no road leads there; fix it or the map",
    ),
    (
        '<vehicle id="a" depart="1"/>',
        ": vehicle 'a' has no route; give it one, or the edges from and to",
    ),
]


@pytest.mark.parametrize(("inside", "message"), BROKEN)
def test_broken_routes_are_named(tmp_path, inside, message):
    path = write(tmp_path, inside)
    assert refusal(lambda: check(route_file=path)) == f"env.route_file: {path}{message}"


@pytest.mark.parametrize(
    "inside",
    [
        GOOD,
        '<vType id="lorry" vClass="truck"/><trip id="a" type="lorry" depart="0:10:00" from="west_in" to="east_out"/>',
        '<route id="r" edges="south_in east_out"/><vehicle id="a" route="r" depart="0"/>',
        '<flow id="f" type="DEFAULT_VEHTYPE" from="west_in" to="east_out" end="60" period="exp(0.1)"/>',
        '<routeDistribution id="d"><route id="r" edges="west_in east_out"/></routeDistribution>'
        '<flow id="f" route="d" begin="0" end="600" number="9"/>' + GOOD,
        '<vehicle id="late" depart="99999"><route edges="west_in east_out"/></vehicle>' + GOOD,
    ],
)
def test_good_routes_pass(tmp_path, inside):
    traffic = check(route_file=write(tmp_path, inside)).sample(1, True)
    assert len(traffic.root) > 0


def test_a_file_of_something_else_is_no_route_file():
    assert refusal(lambda: check(route_file=NET)) == (
        f"env.route_file: {NET} is not a SUMO route file but one of <net>; use a .rou.xml with <routes>, as duarouter "
        "and jtrrouter write it"
    )


def test_a_light_without_cars_is_refused(tmp_path):
    net_file = tmp_path / "trams.net.xml"
    net_file.write_text(NET.read_text().replace("<lane id=", '<lane allow="tram" id='))
    assert refusal(lambda: check(net_file)) == (
        f"env.net_file: cars may not cross the light 'C' of {net_file}; use another map, or allow passenger cars "
        "there in netedit"
    )
