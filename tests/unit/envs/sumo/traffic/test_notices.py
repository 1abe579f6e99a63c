"""SUMO's warnings in words, and what an episode let in compared with what its route file holds."""

from xml.etree import ElementTree

import pytest

from genreplay.envs.sumo.traffic.elements import VEHICLES
from genreplay.envs.sumo.traffic.notices import LONGEST, Expected, differences, expect, kind, messages, read_log

LOG = """Warning: Route file should be sorted by departure time, ignoring 'b'!
Warning: Vehicle 'a' performs emergency braking on lane 'x_0' with decel=9.00, wished=4.50, severity=1.00, time=30.00.
Warning: No connection between edge 'a' and edge 'b' found.
 Try another one.
Warning: Flow 'b' has no instances; will skip it.
Warning: Flow 'c' has no instances; will skip it.
Error: Vehicle 'a' has no valid route.
Quitting (on error).
Warning: 12 total messages of type: Route file should be sorted by departure time, ignoring '%'!
Warning: 3 total messages of type: Vehicle '%' performs emergency braking on lane '%' with decel=%, wished=%, time=%.
"""


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "sumo.log"
    path.write_text(LOG)
    return path


def test_each_kind_of_warning_is_reported_once(log):
    assert read_log(log) == [
        "SUMO warns: Route file should be sorted by departure time, ignoring 'b'! (12 times like this)",
        "SUMO warns: No connection between edge 'a' and edge 'b' found. Try another one.",
        "SUMO warns: Flow 'b' has no instances; will skip it.",
        "SUMO reports an error: Vehicle 'a' has no valid route.",
    ]


def test_errors_are_read_apart(log):
    assert messages(log, "Error") == ["Vehicle 'a' has no valid route."]


def test_long_warnings_are_shortened(tmp_path):
    (tmp_path / "sumo.log").write_text(f"Warning: {'long ' * 100}\n")
    (notice,) = read_log(tmp_path / "sumo.log")
    assert len(notice) == len("SUMO warns: ") + LONGEST
    assert notice.endswith("...")


def test_without_a_log_there_are_no_notices(tmp_path):
    assert read_log(tmp_path / "none.log") == []


def test_kinds_leave_out_names_and_numbers():
    assert kind("Flow 'b' begins at 3.50 s") == kind("Flow 'x y' begins at 12 s")
    assert kind("Flow 'b' ends") == kind("Flow 'c' ends (12 times like this)") != kind("Flow 'b' begins")


ROUTES = """<routes><trip depart="1"/><vehicle depart="triggered"/><person depart="3"/>
<flow begin="0" end="300" period="10"/><flow begin="0" end="300" probability="0.12"/>
<personFlow begin="0" end="300" perHour="120"/></routes>"""


def test_what_a_file_holds():
    root = ElementTree.fromstring(ROUTES)
    assert expect(root, VEHICLES, 0, 200) == Expected(2 + 20 + 24, pytest.approx(1 + 1 + 6 * 24**0.5 + 6))
    assert expect(root, ("person", "personFlow"), 0, 300) == Expected(1 + 10, 1)


@pytest.mark.parametrize(
    ("vehicles", "persons", "notices"),
    [
        (46, 7, []),
        (5, 7, ["SUMO let in 5 vehicles in an episode whose routes hold about 46"]),
        (99, 7, ["SUMO let in 99 vehicles in an episode whose routes hold about 46"]),
        (46, 0, ["SUMO let in 0 persons in an episode whose routes hold about 8"]),
    ],
)
def test_a_difference_is_reported(vehicles, persons, notices):
    assert differences(ElementTree.fromstring(ROUTES), 0, 200, vehicles, persons) == notices


def test_without_flows_one_vehicle_makes_a_difference():
    root = ElementTree.fromstring('<routes><trip depart="1"/><trip depart="2"/></routes>')
    assert differences(root, 0, 200, 2, 0) == []
    assert differences(root, 0, 200, 1, 0) == ["SUMO let in 1 vehicles in an episode whose routes hold 2"]
