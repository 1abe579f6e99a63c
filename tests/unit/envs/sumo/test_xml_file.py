"""Nets, routes and additional files of strangers: SUMO writes and reads nothing because of them."""

import gzip
import re
from pathlib import Path

import pytest

from genreplay.common.errors import UserError
from genreplay.envs.sumo import xml_file
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.checks import check_traffic, simulate
from genreplay.envs.sumo.traffic.route_files import read_additional, read_routes
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.refusal import refusal

NET = Path("tests/data/cross.net.xml").resolve()
WRITERS = (
    '<inductionLoop id="d1" lane="e_in_0" pos="5" freq="10" file="{}"/>',
    '<inductionLoop xmlns="urn:x" id="d2" lane="e_in_0" pos="5" freq="10" file="{}"/>',
    '<e1Detector id="d3" lane="e_in_0" pos="5" period="10" file="{}"/>',
    '<instantInductionLoop id="d4" lane="e_in_0" pos="5" file="{}"/>',
    '<laneAreaDetector id="d5" lane="e_in_0" pos="1" endPos="5" freq="10" file="{}"/>',
    '<edgeData id="d6" freq="10" file="{}"/>',
    '<laneData id="d7" freq="10" file="{}"/>',
    '<routeProbe id="d8" edge="e_in" period="10" file="{}"/>',
    '<vTypeProbe id="d9" period="10" file="{}"/>',
    '<timedEvent type="SaveTLSStates" source="mid" dest="{}"/>',
    '<timedEvent type="SaveTLSSwitchTimes" source="mid" dest="{}"/>',
    '<timedEvent type="SaveTLSProgram" source="mid" dest="{}"/>',
)
"""Each made SUMO write the file when it was in a net, and in an additional file."""
DEVICES = (
    '<param key="has.ssm.device" value="1"/><param key="device.ssm.file" value="{}"/>',
    '<param key="has.ssm.device" value="1"/>',
    '<param key="has.toc.device" value="1"/><param key="device.toc.file" value="{}"/>'
    '<param key="device.toc.manualType" value="t2"/><param key="device.toc.automatedType" value="plain"/>',
)
"""Of a vehicle type in a route file; the second one wrote to the working folder."""


def test_sumo_writes_nothing_for_routes_and_additional_files(tmp_path, monkeypatch):
    out = tmp_path / "out"
    work = tmp_path / "work"
    out.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    types = [f'<vType id="t{i}">{params.format(out / f"t{i}")}</vType>' for i, params in enumerate(DEVICES)]
    trips = [f'<trip id="v{i}" type="t{i}" depart="{i}" from="e_in" to="w_out"/>' for i in range(len(DEVICES))]
    own = f'<param key="has.ssm.device" value="1"/><param key="device.ssm.file" value="{out / "own"}"/>'
    trips.append(f'<trip id="own" depart="4" from="e_in" to="n_out">{own}</trip>')
    detectors = [text.format(out / f"d{i}") for i, text in enumerate(WRITERS)]
    routes, additional = tmp_path / "a.rou.xml", tmp_path / "a.add.xml"
    routes.write_text(f'<routes><vType id="plain"/>{"".join([*types, *detectors, *trips])}</routes>')
    additional.write_text(f"<additional>{''.join(detectors)}</additional>")
    config = SumoConfig(
        net_file=str(NET), route_file=str(routes), additional_files=[str(additional)], episode_seconds=60
    )
    demand = check_traffic(config, resolve(config), read_intersection(NET, config))
    answer = simulate(demand)
    assert (answer.error, answer.num_vehicles) == ("", 4)
    assert list(out.iterdir()) == []
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("text", [*WRITERS, '<include href="{}"/>', "<vType id='t'/>", "<calibrator output='{}'/>"])
def test_a_net_with_more_than_a_road_network_is_refused(tmp_path, text):
    net = tmp_path / "my.net.xml"
    net.write_text(NET.read_text().replace("</net>", f"{text.format('/tmp/x')}</net>"))
    tag = re.match(r"<(\w+)", text)[1]
    assert refusal(lambda: read_intersection(net, SumoConfig())) == (
        f"env.net_file: {net} has <{tag}>, by which SUMO could open or write other files; delete it, and list the "
        "additional file it came from in env.additional_files"
    )


def test_a_programme_that_writes_its_detectors_is_refused(tmp_path):
    net = tmp_path / "my.net.xml.gz"
    param = '<param key="file" value="{}"/>'
    text = re.sub(r"(<tlLogic [^>]*>)", rf"\1{param}", NET.read_text(), count=1)
    net.write_bytes(gzip.compress(text.format("/tmp/x").encode()))
    assert refusal(lambda: read_intersection(net, SumoConfig())).startswith(
        f'env.net_file: {net} has <param key="file">, by which SUMO could open or write other files; delete it'
    )
    net.write_bytes(gzip.compress(text.format("NUL").encode()))
    assert read_intersection(net, SumoConfig()).light == "mid"


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<{0}><x>&b;</x></{0}>"
)
OUTSIDE = '<!DOCTYPE {0} [<!ENTITY e SYSTEM "/etc/hostname">]><{0}>&e;</{0}>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "it has a <!DOCTYPE>, which SUMO's files never need; delete it"),
        (OUTSIDE, "it has a <!DOCTYPE>, which SUMO's files never need; delete it"),
        ('<?xml version="1.0" encoding="UTF-7"?><{0}/>', "its encoding is UTF-7; save it as UTF-8"),
        (f"<{{0}}>{'<edge>' * 60}{'</edge>' * 60}</{{0}}>", "its elements nest more than 50 deep"),
        (" " * 4000 + "<{0}/>", "it holds more than 0 MB"),
    ],
)
def test_bombs_are_refused(tmp_path, monkeypatch, text, reason):
    monkeypatch.setattr(xml_file, "MAX_BYTES", 3000)
    path = tmp_path / "a.xml"
    for tag, name, read in (
        ("net", "env.net_file: {} is not a SUMO network ({})", lambda: read_intersection(path, SumoConfig())),
        ("routes", "env.route_file: {} is not a SUMO route file ({})", lambda: read_routes([path])),
        ("additional", "env.additional_files: {} is not a SUMO additional file ({})", lambda: read_additional([path])),
    ):
        path.write_bytes(gzip.compress(text.format(tag).encode()))
        assert refusal(read).startswith(name.format(path, reason))


@pytest.mark.parametrize("name", ["../b.xml", "/dev/zero", "link.xml"])
def test_included_files_lie_in_the_folder_of_the_file(tmp_path, name):
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "b.xml").write_text("<routes/>")
    (folder / "link.xml").symlink_to(tmp_path / "b.xml")
    path = folder / "a.xml"
    for text in (f'<include href="{name}"/>', f'<poly file="{name}"/>'):
        path.write_text(f"<additional>{text}</additional>")
        assert refusal(lambda: read_additional([path])) == (
            f"env.additional_files: {path} names the file {name}, which is not in {folder}; copy it there"
        )


def test_includes_where_only_sumo_would_see_them_are_refused(tmp_path):
    path, inner = tmp_path / "a.xml", tmp_path / "b.xml"
    path.write_text('<routes><vType id="t"><include href="b.xml"/></vType></routes>')
    assert refusal(lambda: read_routes([path])) == (
        f"env.route_file: {path} has an <include> inside of <vType>; move it out of there"
    )
    path.write_text('<additional><rerouter id="r" edges="e_in" file="b.xml"/></additional>')
    inner.write_text('<rerouter><include href="/dev/zero"/></rerouter>')
    with pytest.raises(UserError, match=re.escape(f"{inner} has an <include>; put there what it includes")):
        read_additional([path])
