"""A map with one light over two junctions."""

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.chains import Chains, read_chains
from tests.helpers.paths import DATA

NET = DATA / "staggered.net.xml"


def staggered_chains() -> Chains:
    """The ways over its light."""
    return read_chains(read_intersection(NET, SumoConfig()), NET)
