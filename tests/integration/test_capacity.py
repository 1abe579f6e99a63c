"""What `genreplay junction` says of a junction's capacity is what happens in SUMO."""

from contextlib import closing

import pytest

from genreplay.envs.facets import BaselineRun
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.world import SumoWorld
from tests.helpers.signals import MAPS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("net", "counts", "name", "bounds"),
    [
        ("allred", "four_full", "fixed_plan", (80, 400)),  # 1.27 of its fullest lane in the hardest interval
        ("allred", "four_full", "webster", (0, 80)),  # 0.89
        ("ped", "four_heavy", "webster", (120, 400)),  # 1.66
        ("ped", "four_light", "webster", (0, 20)),  # 0.28
    ],
)
def test_a_verdict_holds_in_the_simulator(net, counts, name, bounds):
    """Delay of the counts' hour under one plan, s."""
    world = SumoWorld(SumoConfig(net_file=str(MAPS / f"{net}.net.xml"), count_file=str(MAPS / f"{counts}.csv")))
    with closing(world.make_env(1, lambda worker, index: index, evaluation=True)) as env:
        env.demand = "1"
        delay = env.play_baseline(BaselineRun(name), {0: 101})[0]["delay"]
    assert bounds[0] < delay < bounds[1]
