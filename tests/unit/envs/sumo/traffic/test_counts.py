"""Count tables: broken ones are named by line and column, good ones become the expected traffic."""

import csv

import numpy as np
import pytest

from genreplay.common.errors import FieldError, UserError
from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.counts import heading, read_counts, write_template
from genreplay.envs.sumo.traffic.demand import Demand, mean_flows
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.paths import REPOSITORY
from tests.helpers.refusal import refusal

EXAMPLE = REPOSITORY / "examples/my_junction"
NET = EXAMPLE / "my_junction.net.xml"
HEAD = "begin,end,west_in -> east_out,south_in -> west_out\n"


def demand(count_file, config=None, **settings):
    scenario = resolve(SumoConfig(net_file=str(NET), count_file=str(count_file), **settings))
    return Demand(config or DemandConfig(), scenario, read_intersection(NET, SumoConfig()))


def table(tmp_path, text):
    path = tmp_path / "counts.csv"
    path.write_text(text)
    return path


BROKEN = [
    ("", " is empty; create a table with: genreplay junction --net FILE --counts-template counts.csv"),
    (
        HEAD,
        " has a heading but no counts; add a row for each interval, such as 07:00,07:15,92,14",
    ),
    (
        "hour,a -> b\n7,3\n",
        ": the heading must begin with the columns begin and end, not with ['hour', 'a -> b']",
    ),
    (
        "begin,end\n07:00,08:00\n",
        ": the heading names no movement; add a column for each, such as 'west_in -> east_out'",
    ),
    (
        "begin,end,west\n07:00,08:00,3\n",
        ": the column 'west' is not a movement; name the edges it leads from and to as 'FROM -> TO'",
    ),
    (
        "begin,end,a -> b,a  ->  b\n07:00,08:00,3,4\n",
        ": the column 'a -> b' is duplicated; keep one of them",
    ),
    (
        HEAD + "07:00,08:00,3\n",
        ": line 2 has 3 cells, but the heading has 4; write one for each column, 0 if no vehicle was counted",
    ),
    (HEAD + "7am,08:00,3,4\n", ": line 2: '7am' is not a time; write HH:MM, such as 07:15, or seconds"),
    (HEAD + "07:75,08:00,3,4\n", ": line 2: '07:75' is not a time; write HH:MM, such as 07:15, or seconds"),
    (
        HEAD + "23:00,00:00,3,4\n",
        ": line 2: begins at 23:00 and ends at 00:00; write an end after the beginning; midnight at the end of a "
        "day is 24:00",
    ),
    (
        HEAD + "07:00,07:30,3,4\n07:15,07:45,3,4\n",
        ": line 3: begins at 07:15, before the row above ends (07:30); give each time one row, in order",
    ),
    (
        HEAD + "07:00,07:15,3,4\n\n07:30,07:45,3,4\n",
        ": line 4: 07:15 to 07:30 is missing; add a row for it, with 0 if no vehicle was counted",
    ),
    *(
        (
            HEAD + f"07:00,08:00,3,{cell}\n",
            f": line 2, column 'south_in -> west_out': {problem}; "
            "write a number of vehicles, 0 if no vehicle was counted",
        )
        for cell, problem in [
            ("-4", "'-4' is not a count"),
            ("many", "'many' is not a count"),
            ("nan", "'nan' is not a count"),
            ("", "is empty"),
        ]
    ),
    (
        "begin,end,west_in -> north_out\n07:00,08:00,4\n",
        ": the light has no movement 'west_in -> north_out'; from 'west_in' it has 'west_in -> south_out', "
        "'west_in -> east_out'",
    ),
    (
        "begin,end,wst_in -> east_out\n07:00,08:00,4\n",
        ": column 'wst_in -> east_out': no edge 'wst_in' leads to the light 'C'; did you mean 'west_in -> east_out'?",
    ),
    (
        "begin,end,q -> z\n07:00,08:00,4\n",
        ": column 'q -> z': no edge 'q' leads to the light 'C'; the light's approaches are 'east_in', 'south_in', "
        "'west_in'",
    ),
    (
        HEAD + "07:00,08:00,0,0\n",
        " counts no vehicles from 07:00 to 08:00; fill in the table, or set env.begin_time and env.episode_seconds "
        "(s) to when there is traffic",
    ),
    (
        HEAD + "06:00,12:00,600,600\n",
        " covers 06:00 to 12:00 (21600 to 43200 s), too long for one episode; set env.begin_time and "
        "env.episode_seconds (s) to the hours to train on, such as 21600 and 3600",
    ),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_broken_table_is_named(tmp_path, text, message):
    path = table(tmp_path, text)
    assert refusal(lambda: demand(path)) == f"env.count_file: {path}{message}"


def test_a_spreadsheet_saved_as_such_is_refused(tmp_path):
    path = tmp_path / "counts.xlsx"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(UserError, match=r"counts\.xlsx is not a text file \(.*\); save the sheet as CSV UTF-8$"):
        demand(path)


def test_the_episode_must_lie_within_the_table(tmp_path):
    path = table(tmp_path, HEAD + "07:00,08:00,3,4\n")
    assert refusal(lambda: demand(path, begin_time=0)) == (
        f"env.count_file: {path} covers 07:00 to 08:00 (25200 to 28800 s), but the episode is 00:00 to 08:00; set "
        "env.begin_time and env.episode_seconds (s) to a time within the table"
    )
    with pytest.raises(UserError, match=r"but the episode is 07:30 to 08:30; set env\.begin_time"):
        demand(path, begin_time=27000, episode_seconds=3600)


def test_counts_belong_to_a_map_and_exclude_routes(tmp_path):
    with pytest.raises(FieldError, match=r"^count_file: belongs to net_file; set net_file too"):
        SumoConfig(count_file="a.csv")
    with pytest.raises(
        FieldError, match=r"^count_file: route_file gives the traffic already; set one of them to null$"
    ):
        SumoConfig(net_file="a", route_file="b", count_file="c")
    with pytest.raises(UserError, match=r"^env\.count_file: there is no file .*none\.csv; write the path of one$"):
        resolve(SumoConfig(net_file=str(NET), count_file=str(tmp_path / "none.csv")))


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_what_spreadsheets_write(tmp_path, mark):
    lines = [
        ["Begin", "END", "west_in  -> east_out", "south_in -> west_out"],
        ["7:00", "07:15:00", "92", "14.0"],
        ["26100", "7:45", "131", "20"],
        ["", "", "", ""],
    ]
    path = tmp_path / "counts.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(mark.join(line) for line in lines).encode())
    read = read_counts(path)
    assert read.edges == (25200, 26100, 27900)
    assert read.columns == ("west_in -> east_out", "south_in -> west_out")
    np.testing.assert_array_equal(read.counts, [[92, 14], [131, 20]])


def test_counts_become_flows_by_interval():
    here = demand(EXAMPLE / "counts.csv")
    assert (here.scenario.begin_time, here.scenario.episode_seconds) == (25200, 3600)
    names = [heading(movement) for movement in here.intersection.movements]
    flows = [dict(zip(names, segment.flows, strict=True)) for segment in here.counted]
    assert [(segment.begin, segment.end) for segment in here.counted] == [
        (25200, 26100),
        (26100, 27000),
        (27000, 27900),
        (27900, 28800),
    ]
    assert [of["west_in -> east_out"] for of in flows] == pytest.approx([440, 592, 652, 500])
    assert [of["south_in -> west_out"] for of in flows] == pytest.approx([124, 176, 188, 144])
    assert mean_flows(here.counted)[names.index("west_in -> east_out")] == pytest.approx(110 + 148 + 163 + 125)


def test_an_episode_may_cut_intervals(tmp_path):
    here = demand(table(tmp_path, HEAD + "0,600,60,0\n600,1200,120,0\n"), begin_time=300, episode_seconds=600)
    assert [(segment.begin, segment.end) for segment in here.counted] == [(300, 600), (600, 900)]
    assert mean_flows(here.counted).sum() == pytest.approx((360 + 720) / 2)


def test_sampled_vehicles_have_the_counted_numbers():
    """Vehicles of 200 episodes by interval and movement against the counts: five standard deviations of a Poisson."""
    scale, num_seeds = 1.5, 200
    here = demand(EXAMPLE / "counts.csv")
    sampled = np.zeros((4, 6))
    for seed in range(num_seeds):
        for vehicle in here.sample(seed, False, f"{scale}").root.findall("vehicle"):
            sampled[int((float(vehicle.attrib["depart"]) - 25200) // 900), int(vehicle.attrib["route"][1:])] += 1
    expected = scale * num_seeds * np.array([segment.flows for segment in here.counted]) / 4
    assert np.all(np.abs(sampled - expected) < 5 * np.sqrt(expected))


def test_routes_lead_over_the_counted_movement():
    here = demand(EXAMPLE / "counts.csv")
    root = here.sample(1, True).root
    edges = {route.attrib["id"]: route.attrib["edges"] for route in root.findall("route")}
    assert edges == {f"m{i}": f"{m.from_edge} {m.to_edge}" for i, m in enumerate(here.intersection.movements)}


def test_seeds_and_factors():
    config = DemandConfig(scale_range=[0.5, 0.7], evaluation_scales=[0.8, 1.2])
    here = demand(EXAMPLE / "counts.csv", config)
    departures = [[v.get("depart") for v in here.sample(seed, False).root.iter("vehicle")] for seed in (1, 1, 2)]
    assert departures[0] == departures[1] != departures[2]
    trained = [here.sample(seed, False).level["demand_scale"] for seed in range(30)]
    assert 0.5 <= min(trained) < 0.55
    assert 0.65 < max(trained) <= 0.7
    assert [here.sample(seed, True).level for seed in (1, 2)] == [{"demand_scale": 1.2}, {"demand_scale": 0.8}]


def test_webster_gets_the_scaled_counts():
    here = demand(EXAMPLE / "counts.csv")
    flows = here.sample(3, False, "1.1").flows
    np.testing.assert_allclose(flows, 1.1 * mean_flows(here.counted))
    by_name = dict(zip([heading(m) for m in here.intersection.movements], flows / 1.1, strict=True))
    assert by_name["south_in -> east_out"] == pytest.approx(93)
    assert by_name["south_in -> west_out"] == pytest.approx(158)


def test_template_filled_and_read_again(tmp_path):
    intersection = read_intersection(NET, SumoConfig())
    path = tmp_path / "mine.csv"
    write_template(path, intersection.movements)
    with pytest.raises(UserError, match=r"line 2, column 'east_in -> west_out': is empty; write a number of vehicles"):
        demand(path)
    rows = list(csv.reader(path.open()))
    filled = [row[:2] + [str(10 * i + k) for k in range(len(row) - 2)] for i, row in enumerate(rows[1:])]
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([rows[0], *filled])
    here = demand(path)
    counts = np.array([[10 * i + k for k in range(6)] for i in range(8)])
    np.testing.assert_allclose([segment.flows / 4 for segment in here.counted], counts)
    assert (
        refusal(lambda: write_template(path, intersection.movements))
        == f"--counts-template: {path} exists already; choose another name, or remove it"
    )
