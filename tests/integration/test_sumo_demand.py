"""Users' route files in the environment: as many vehicles as plain SUMO lets in, and its warnings once."""

import logging
import shutil
from contextlib import closing

import numpy as np
import pytest

from genreplay.envs.facets import BaselineRun
from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.world import SumoWorld
from tests.helpers.paths import DATA
from tests.helpers.plain_sumo import plain_sumo

FIXED = BaselineRun("fixed_plan")


def world(route_file, net_file, seconds=600, **settings):
    demand = DemandConfig(scale_range=[1.0, 1.0])
    return SumoWorld(
        SumoConfig(
            net_file=str(net_file), route_file=str(route_file), episode_seconds=seconds, demand=demand, **settings
        )
    )


def play(here, num_workers=1):
    """Metrics of one evaluation episode in each worker under the map's plan."""
    with closing(here.make_env(num_workers, lambda worker, index: worker, evaluation=True)) as env:
        return env.play_baseline(FIXED, {worker: worker for worker in range(num_workers)})


@pytest.mark.parametrize(
    ("name", "net", "seconds", "num_vehicles", "settings"),
    [
        ("persons", "peds", 600, 150, {}),
        ("hourly", "cross", 300, 76, {}),
        ("dist", "cross", 600, 100, {}),
        ("bus", "cross", 600, None, {"additional_files": [str(DATA / "stops.add.xml")]}),
    ],
)
def test_an_episode_has_the_vehicles_of_plain_sumo(tmp_path, caplog, name, net, seconds, num_vehicles, settings):
    routes, net_file = DATA / f"{name}.rou.xml", DATA / f"{net}.net.xml"
    with caplog.at_level(logging.WARNING, "genreplay"):
        (metrics,) = play(world(routes, net_file, seconds, **settings)).values()
    assert caplog.messages == []
    assert not (DATA / "loop.xml").exists()  # the detector's output
    if num_vehicles is not None:
        assert plain_sumo(tmp_path, net_file, routes, end=seconds).num_vehicles == num_vehicles
        assert metrics["num_vehicles"] == num_vehicles
    else:  # 5 buses, and a car with probability 0.15 in each second: five standard deviations
        assert abs(metrics["num_vehicles"] - 5 - 90) < 44


def test_warnings_reach_the_user_once(tmp_path, caplog):
    routes = tmp_path / "my.rou.xml"
    trips = "".join(f'<trip id="{i}" depart="{7 * i}" departPos="9000" from="n_in" to="s_out"/>' for i in range(9))
    routes.write_text(f"<routes>{trips}</routes>")
    here = world(routes, DATA / "cross.net.xml", 60)
    with caplog.at_level(logging.WARNING, "genreplay"):
        play(here, num_workers=2)
        with closing(here.make_env(1, lambda worker, index: index)) as env:
            env.demand = "0.2"  # so that fewer warnings are alike
            for seed in range(3):
                env.start({0: seed})
                while not env.advance({0: np.zeros(env.action_spec.shape[-1])})[0].truncated:
                    pass
    (message,) = caplog.messages
    assert message.startswith("env: SUMO warns: Invalid departPos 9000.00 given for vehicle '0', time=0.00.")


def test_a_folder_with_a_comma(tmp_path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    for name in ("cross.net.xml", "dist.rou.xml"):
        shutil.copyfile(DATA / name, folder / name)
    (metrics,) = play(world(folder / "dist.rou.xml", folder / "cross.net.xml")).values()
    assert metrics["num_vehicles"] == 100


def test_one_light_over_two_junctions_counts_each_vehicle_once():
    counts = SumoConfig(net_file=str(DATA / "staggered.net.xml"), count_file=str(DATA / "staggered_c.csv"))
    (metrics,) = play(SumoWorld(counts)).values()
    # Poisson with mean 550: five standard deviations. At the rate of the counts none stays between the stop lines.
    assert abs(metrics["num_vehicles"] - 550) < 118
    assert metrics["throughput"] > 0.8 * metrics["num_vehicles"]
