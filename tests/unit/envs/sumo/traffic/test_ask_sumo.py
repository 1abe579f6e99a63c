"""What the check accepts is what SUMO accepts; an episode holds what SUMO lets in."""

import gzip

import pytest

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.ask_sumo import Answer
from genreplay.envs.sumo.traffic.checks import check_traffic, simulate
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.paths import DATA
from tests.helpers.plain_sumo import plain_sumo
from tests.helpers.refusal import refusal

pytestmark = pytest.mark.slow

NET = DATA / "peds.net.xml"
ENDS = 'from="n_in" to="s_out"'
GOOD = f'<trip id="good" depart="1" {ENDS}/>'


def check(route_file, net_file=NET, **settings):
    settings.setdefault("episode_seconds", 600)
    config = SumoConfig(net_file=str(net_file), route_file=str(route_file), **settings)
    return check_traffic(config, resolve(config), read_intersection(net_file, config))


def write(folder, inside):
    path = folder / "my.rou.xml"
    path.write_text(f"<routes>{GOOD}{inside}</routes>")
    return path


@pytest.mark.parametrize(
    "inside",
    [
        *(
            f'<flow id="f" begin="2" end="90" {rate} {ENDS}/>'
            for rate in (
                'vehsPerHour="9"',
                'vehsPerHour="0"',
                'perHour="9"',
                'personsPerHour="9"',
                'probability="0.2"',
                'probability="2"',
                'period="0:00:05"',
                'period="exp(0.1)"',
                'period="0"',
                'number="3"',
                "",
                'number="3" period="9"',
            )
        ),
        *(f'<trip id="a" depart="{word}" {ENDS}/>' for word in ("triggered", "begin", "now", "soon", "-3")),
        f'<flow id="f" begin="triggered" number="2" {ENDS}/>',
        f'<flow id="f" begin="90" end="5" number="2" {ENDS}/>',
        f'<flow id="f" begin="2" number="2" {ENDS}/>',
        f'<flow id="f" period="20" {ENDS}/>',
        f'<interval begin="2" end="90"><flow id="f" period="20" {ENDS}/></interval>',
        '<trip id="a" depart="2" from="n_in"/>',
        '<trip id="a" depart="2"/>',
        f'<trip depart="2" {ENDS}/>',
        f'<trip id="good" depart="2" {ENDS}/>',
        f'<person id="good" depart="2"><walk {ENDS}/></person>',
        '<route id="r" edges="n_in s_out"/><vehicle id="a" depart="2" route="r"/>'
        '<flow id="a" begin="3" end="90" number="2" route="r"/>',
        f'<person id="a" depart="2"><walk {ENDS}/></person><container id="a" depart="3"><tranship {ENDS}/></container>',
        '<route id="unused" edges="n_in e_in"/>',
        '<route id="unused" edges="n_in nowhere"/>',
        '<vehicle id="a" depart="2"><route edges="n_in e_in"/></vehicle>',
        '<vehicle id="a" depart="2" route="unknown"/>',
        f'<trip id="a" depart="2" type="unknown" {ENDS}/>',
        f'<trip id="a" depart="2" departPos="middle" {ENDS}/>',
        '<vType id="t"/><vType id="t"/>',
        '<vType id="t" vClass="spaceship"/>',
        '<vTypeDistribution id="m"><vType id="s" probability="1"/></vTypeDistribution>'
        f'<trip id="a" depart="2" type="m" {ENDS}/>',
        '<routeDistribution id="d"><route id="s" edges="n_in s_out" probability="1"/></routeDistribution>'
        '<flow id="f" begin="2" end="90" number="9" route="d"/>',
        '<trip id="a" depart="2" fromXY="300,500" toXY="300,100"/>',
        "<unknown/>",
    ],
)
def test_the_check_accepts_what_sumo_accepts(tmp_path, inside):
    path = write(tmp_path, inside)
    accepted = plain_sumo(tmp_path, NET, path).status == 0
    try:
        check(path)
    except UserError:
        assert not accepted
    else:
        assert accepted


@pytest.mark.parametrize(
    "inside",
    [
        '<person id="p" depart="5"><ride from="n_in" to="s_out" lines="bus"/></person>'
        '<vehicle id="bus" depart="triggered"><route edges="n_in s_out"/></vehicle>',
        f'<trip id="z" depart="40" {ENDS}/><person id="p" depart="triggered"><ride lines="z" to="s_out"/></person>',
        '<personFlow id="p" begin="5" end="300" period="exp(0.1)"><walk edges="n_in s_out"/></personFlow>',
        '<personFlow id="p" begin="5" number="7"><personTrip from="n_in" to="s_out"/></personFlow>',
        '<containerFlow id="c" begin="5" end="90" period="30"><transport from="n_in" to="s_out" lines="truck"/>'
        f'</containerFlow><flow id="truck" line="truck" begin="6" end="600" containersPerHour="60" {ENDS}/>',
        f'<flow id="a" begin="7" number="50" {ENDS}/><flow id="b" begin="7" end="9000" number="900" {ENDS}/>',
        f'<flow id="a" begin="300" end="900" vehsPerHour="600" {ENDS}/>',
        f'<flow id="a" begin="300" end="950" number="77" {ENDS}/>',
        f'<flow id="a" begin="301" number="90" period="7" {ENDS}/>',
    ],
)
def test_an_episode_lets_in_what_plain_sumo_lets_in(tmp_path, inside):
    path = write(tmp_path, inside)
    run, answer = plain_sumo(tmp_path, NET, path, "--seed", "0"), simulate(check(path))
    assert run.status == 0
    assert answer == Answer("", [], run.num_vehicles, run.num_persons)
    assert run.num_vehicles >= 1


@pytest.mark.parametrize(
    ("name", "net", "seconds", "vehicles"),
    [
        ("persons", "peds", 600, 150),
        ("hourly", "cross", 300, 76),
        ("hourly", "cross", 4000, 1001),
        ("dist", "cross", 600, 100),
    ],
)
def test_the_files_of_users(tmp_path, name, net, seconds, vehicles):
    path, net_file = DATA / f"{name}.rou.xml", DATA / f"{net}.net.xml"
    run = plain_sumo(tmp_path, net_file, path, end=seconds)
    answer = simulate(check(path, net_file, episode_seconds=seconds))
    assert answer == Answer("", [], run.num_vehicles, run.num_persons)
    assert answer.num_vehicles == vehicles


def test_an_hour_of_a_day(tmp_path):
    """Later and earlier hours are left out; a flow that began before the episode goes on."""
    flows = "".join(
        f'<flow id="h{hour}" begin="{3600 * hour}" end="{3600 * hour + 5400}" vehsPerHour="{100 + hour}" {ENDS}/>'
        for hour in range(1, 24)
    )
    number = f'<flow id="n" begin="20000" end="40000" number="900" {ENDS}/>'
    path = write(tmp_path, number + flows)
    run = plain_sumo(tmp_path, NET, path, begin=25200, end=28800)
    answer = simulate(check(path, begin_time=25200, episode_seconds=3600))
    assert answer == Answer("", [], run.num_vehicles, 0)


def test_a_zone_file_and_compressed_routes_in_a_folder_with_a_comma(tmp_path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    net_file, zones = folder / "n.net.xml", folder / "zones.add.xml"
    net_file.write_bytes(NET.read_bytes())
    zones.write_text('<additional><taz id="N" edges="n_in"/><taz id="S" edges="s_out"/></additional>')
    path = folder / "my.rou.xml.gz"
    flow = '<flow id="f" begin="0" end="600" number="20" fromTaz="N" toTaz="S"/>'
    path.write_bytes(gzip.compress(f"<routes>{flow}</routes>".encode()))
    demand = check(path, net_file, additional_files=[str(zones)])
    assert simulate(demand) == Answer("", [], 20, 0)
    assert demand.expected()[0].vehicles == pytest.approx(120)


def test_trips_and_walks_between_junctions(tmp_path):
    ends = 'fromJunction="north" toJunction="south"'
    path = write(
        tmp_path,
        f'<person id="p" depart="2"><walk {ends}/></person><trip id="t" depart="3" {ends}/>'
        f'<flow id="f" begin="4" end="600" number="7" {ends} viaJunctions="mid"/>',
    )
    zones = tmp_path / "zones.add.xml"
    zones.write_text('<additional><taz id="north" edges="n_in"/></additional>')
    run = plain_sumo(tmp_path, NET, path, "--junction-taz")
    demand = check(path)
    assert simulate(demand) == Answer("", [], run.num_vehicles, run.num_persons) == Answer("", [], 9, 1)
    assert demand.expected()[0].vehicles == pytest.approx(9 * 6)
    assert simulate(check(path, additional_files=[str(zones)])).notices == []


def test_warnings_are_passed_on(tmp_path):
    inside = "".join(f'<trip id="{i}" depart="2" departPos="9000" {ENDS}/>' for i in range(4))
    assert simulate(check(write(tmp_path, inside))).notices == [
        "SUMO warns: Invalid departPos 9000.00 given for vehicle '0', time=2.00. Inserting at lane end instead. (6 "
        "times like this)"
    ]


@pytest.mark.parametrize(("kind", "accepted"), [("car", False), ("bus", True), ("any", True), ("mix", True)])
def test_a_road_for_buses_is_open_to_buses(tmp_path, kind, accepted):
    net_file, path = tmp_path / "buses.net.xml", tmp_path / "my.rou.xml"
    lane = '<lane id="w_out_{}" index'
    text = (DATA / "cross.net.xml").read_text()
    for i in range(2):
        assert lane.format(i) in text
        text = text.replace(lane.format(i), lane.format(i).replace("index", 'allow="bus" index'))
    net_file.write_text(text)
    types = """<vType id="car"/><vType id="bus" vClass="bus"/><vType id="any" vClass="ignoring"/>
    <vTypeDistribution id="mix"><vType id="b1" vClass="bus"/><vType id="b2" vClass="bus"/></vTypeDistribution>"""
    path.write_text(f'<routes>{types}<trip id="a" type="{kind}" depart="1" from="n_in" to="w_out"/></routes>')
    assert (plain_sumo(tmp_path, net_file, path).status == 0) == accepted
    if accepted:
        assert simulate(check(path, net_file)).num_vehicles == 1
    else:
        assert refusal(lambda: check(path, net_file)) == (
            f"env.route_file: {path}: trip 'a' goes from 'n_in' to 'w_out', but no road leads there; fix it or the map"
        )


@pytest.mark.parametrize(
    ("attribute", "error"),
    [
        ('departLane="7"', "Invalid departLane definition for vehicle 'a'."),
        (
            'departSpeed="99"',
            "Departure speed for vehicle 'a' is too high for the vehicle type 'DEFAULT_VEHTYPE'.",
        ),
    ],
)
def test_a_vehicle_that_cannot_depart_ends_the_episode(tmp_path, attribute, error):
    demand = check(write(tmp_path, f'<trip id="a" depart="9" {attribute} {ENDS}/>'))
    assert simulate(demand).error == error


def test_errors_after_which_sumo_goes_on_are_passed_on(tmp_path):
    assert simulate(check(write(tmp_path, '<vType id="t" vClass="spaceship"/>'))).notices == [
        "SUMO reports an error: The vehicle class 'spaceship' for vType 't' is not known."
    ]


def test_sumos_own_words_where_nothing_else_is_known(tmp_path):
    path = write(tmp_path, f'<trip id="a" depart="2" departPos="middle" {ENDS}/>')
    assert refusal(lambda: check(path)) == (
        f"env.route_file: {path}: SUMO cannot read it: Invalid departPos definition for trip 'a'; must be one of "
        '("random", "random_free", "free", "base", "last" or a float)'
    )


def test_additional_files_are_read_with_random_traffic_too(tmp_path):
    path = tmp_path / "my.add.xml"
    path.write_text('<additional><busStop id="s" lane="nowhere_0"/></additional>')
    config = SumoConfig(net_file=str(NET), additional_files=[str(path)])
    message = refusal(lambda: check_traffic(config, resolve(config), read_intersection(NET, config)))
    assert message.startswith("env.additional_files: SUMO cannot read them: ")
    assert "nowhere_0" in message
