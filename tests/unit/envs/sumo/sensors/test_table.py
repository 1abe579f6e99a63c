"""Kinds of sensors: their parts of the observation, who calls, and failures."""

from xml.etree import ElementTree

import numpy as np
import pytest

from genreplay.envs.sumo.actions import Signal
from genreplay.envs.sumo.config import SENSORS, SumoConfig
from genreplay.envs.sumo.network.groups import groups_of
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.sensors.table import KINDS, detectors_to_xml, failed_lanes
from tests.helpers.signals import MAPS
from tests.helpers.views import view_of


def test_the_configuration_names_every_kind():
    assert tuple(KINDS) == SENSORS


def test_parts_of_each_kind():
    """8 lanes, 4 crossings, 4 roads: everything, or what the detectors of the lanes and the buttons see."""
    parts = {kind: {part.quantity: len(part.places) for part in view_of(kind).sensors.parts} for kind in KINDS}
    lanes, sections = parts["zones"]["zone_count"], parts["full"]["density"]
    groups = len(groups_of(view_of("full").intersection))
    assert parts["full"] == {
        "density": sections,
        "queue": sections,
        "time_loss": sections,
        **{f"within_{metres}": groups for metres in (20, 50, 100)},
        "backlog": 4,
        "mean_backlog": 4,
    }
    assert parts["zones"] == {"zone_count": lanes, "zone_standing": lanes, "button": 4}
    assert sections == lanes + 4
    each = ("occupied", "occupancy", "counted", "gap")
    loops = {f"{loop}_{what}": lanes for loop in ("stop_line", "upstream") for what in each}
    assert parts["loops"] == loops | {"button": 4}


def test_detectors_lie_where_a_street_has_them():
    """The lanes between the two junctions are 19.2 m long."""
    loops, zones = (
        {each.get("id"): each for each in detectors_to_xml(view_of(kind, "staggered").sensors.detectors)}
        for kind in ("loops", "zones")
    )
    assert ElementTree.tostring(loops["stop_line AB_0"], encoding="unicode") == (
        '<inductionLoop id="stop_line AB_0" lane="AB_0" pos="14.20" length="5.00" file="NUL" />'
    )
    assert [loops[f"upstream {lane}"].get("pos") for lane in ("AB_0", "wA_0")] == ["0.00", "249.60"]
    assert [(zones[f"zone {lane}"].get("pos"), zones[f"zone {lane}"].get("endPos")) for lane in ("AB_0", "wA_0")] == [
        ("0.00", "19.20"), ("239.60", "289.60"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_is_seen_calls_the_stage_that_serves_him(kind):
    view = view_of(kind)
    num_stages = view.timing.num_stages
    waited = np.full((1, num_stages), 30.0)
    state = Signal(np.eye(num_stages)[:1], waited, waited, waited)
    called = {}
    for i, name in enumerate(view.callers):
        waits = view.with_calls(state, np.eye(len(view.callers))[[i]]).waited[0]
        called[name] = frozenset(np.flatnonzero(waits).tolist())
    assert not view.with_calls(state, np.zeros((1, len(view.callers)))).waited.any()
    everything = dict(zip(view_of("full").callers, view_of("full").calls[:, 0].astype(bool), strict=True))
    assert called == {name: frozenset(np.flatnonzero(everything[name]).tolist()) for name in called}
    assert len(set(called.values())) > 1


def test_a_share_of_the_lanes_has_failed_by_the_seed():
    here = read_intersection(MAPS / "ped.net.xml", SumoConfig(net_file=str(MAPS / "ped.net.xml")))
    failed = np.array([failed_lanes(here, 0.25, seed) for seed in range(400)])
    assert failed.mean() == pytest.approx(0.25, abs=0.02)
    assert len({tuple(row) for row in failed}) > 20
    np.testing.assert_array_equal(failed[7], failed_lanes(here, 0.25, 7))
    assert not failed_lanes(here, 0.0, 1).any()
    assert failed_lanes(here, 1.0, 1).all()
