"""Observations of the maps in tests/data/signals."""

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.sensors.table import KINDS
from genreplay.envs.sumo.signals.timing import timing_of
from tests.helpers.signals import MAPS


def view_of(kind, name="ped", **options):
    """What sensors of this kind see on the map `name`."""
    config = SumoConfig(net_file=str(MAPS / f"{name}.net.xml"), **options)
    intersection = read_intersection(MAPS / f"{name}.net.xml", config)
    timing = timing_of(config, intersection.plan)
    return View(intersection, timing, KINDS[kind](intersection, timing))
