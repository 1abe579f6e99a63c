import gzip

import pytest

from genreplay.common.errors import UserError
from genreplay.envs.sumo.traffic.route_files import read_additional, read_routes
from tests.helpers.refusal import refusal


def write(path, text):
    path.write_text(text)
    return path


def ids(root):
    return [(element.tag, element.get("id")) for element in root]


def test_a_broken_route_file_is_named(tmp_path):
    path = write(tmp_path / "broken.rou.xml", "<routes><trip")
    with pytest.raises(UserError) as error:
        read_routes([path])
    assert str(error.value).startswith(f"env.route_file: {path} is not a SUMO route file (")
    assert str(error.value).endswith("); write XML, plain or compressed by gzip")


@pytest.mark.parametrize("name", ["my.rou.xml.gz", "compressed.rou.xml"])
def test_compressed_files_are_read_whatever_their_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(b'<routes><trip id="a" depart="1"/></routes>'))
    assert ids(read_routes([path])) == [("trip", "a")]


def test_a_truncated_compressed_file_is_named(tmp_path):
    path = tmp_path / "cut.rou.xml.gz"
    path.write_bytes(gzip.compress(b"<routes></routes>")[:15])
    assert refusal(lambda: read_routes([path])).startswith(f"env.route_file: {path} is not a SUMO route file (")


def test_several_files_are_one(tmp_path):
    first = write(tmp_path / "a.rou.xml", '<routes><vType id="t"/><trip id="a" depart="9"/></routes>')
    second = write(tmp_path / "b.rou.xml", '<routes><trip id="b" depart="1"/></routes>')
    assert ids(read_routes([first, second])) == [("vType", "t"), ("trip", "a"), ("trip", "b")]


def test_included_files_stand_where_they_are_included(tmp_path):
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner/types.xml", '<routes><vType id="t"/><include href="more.xml"/></routes>')
    write(tmp_path / "inner/more.xml", '<routes><vType id="u"/></routes>')
    path = write(tmp_path / "a.rou.xml", '<routes><include href="inner/types.xml"/><trip id="a" depart="9"/></routes>')
    assert ids(read_routes([path])) == [("vType", "t"), ("vType", "u"), ("trip", "a")]


def test_a_file_that_includes_itself_is_refused(tmp_path):
    path = write(tmp_path / "a.rou.xml", '<routes><include href="a.rou.xml"/></routes>')
    message = f"env.route_file: {path} includes {path}, which was read before; remove that <include>"
    assert refusal(lambda: read_routes([path])) == message


def test_flows_of_an_interval_get_its_times(tmp_path):
    inside = '<interval begin="0" end="60"><flow id="f" period="4"/><flow id="g" begin="9" period="4"/></interval>'
    root = read_routes([write(tmp_path / "a.rou.xml", f"<routes>{inside}</routes>")])
    assert [(flow.get("id"), flow.get("begin"), flow.get("end")) for flow in root] == [
        ("f", "0", "60"),
        ("g", "9", "60"),
    ]


def test_additional_files_give_definitions_and_write_nothing(tmp_path):
    inside = '<busStop id="s" lane="l_0"/><e1Detector id="d" file="out.xml"/><rerouter id="r" file="in.xml"/>'
    first = write(tmp_path / "a.add.xml", f"<additional>{inside}</additional>")
    write(tmp_path / "in.xml", "<rerouter/>")
    second = write(tmp_path / "b.xml", '<tazs><taz id="z" edges="e"/></tazs>')
    root = read_additional([first, second])
    assert ids(root) == [("busStop", "s"), ("e1Detector", "d"), ("rerouter", "r"), ("taz", "z")]
    assert root[1].get("file") == "NUL"
    assert root[2].get("file") == str(tmp_path / "in.xml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '<additional><flow id="f"/></additional>',
            "has the flow 'f'; traffic that is to be scaled belongs to env.route_file, so move it there",
        ),
        (
            '<additional><tlLogic id="J"/></additional>',
            "has the signal programme tlLogic 'J', but programmes are read from the map; put it there with: netconvert "
            "-s MAP.net.xml --tllogic-files PROGRAMME.xml -o new.net.xml",
        ),
        ("<net/>", "is not a SUMO additional file but one of <net>; list files with <additional>"),
    ],
)
def test_additional_files_that_change_traffic_or_signals_are_refused(tmp_path, text, problem):
    path = write(tmp_path / "a.add.xml", text)
    assert refusal(lambda: read_additional([path])) == f"env.additional_files: {path} {problem}"
