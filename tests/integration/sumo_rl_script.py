"""What `test_sumo_rl_peers.py` runs as a program of its own: delays of an episode played in two ways each, as JSON."""

import json
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from genreplay.common.seeding import derive_seed
from genreplay.config.reader import load as load_config
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.simulator.tripinfo import read_trips
from genreplay.envs.sumo.traffic.demand import Demand
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.scripts import load

peers, episodes = load("sumo_rl_peers"), load("sumo_rl_episodes")
SEED, DEMAND = 101, "1500"


def phases():
    """A green phase of sumo-rl for 15 s, then the next one."""
    step = -1
    while True:
        step += 1
        yield step // 3 % 4


def measured(config: SumoConfig, folder: Path, is_fixed: bool) -> float:
    chosen = phases()
    simulator = episodes.Measured(config, folder)
    return simulator.play(SEED, DEMAND, None if is_fixed else lambda observation: next(chosen))["delay"]


def as_it_ships(config: SumoConfig, folder: Path) -> float:
    """The same traffic and phases in sumo-rl's own environment; SUMO's record of the trips tells the delay."""
    routes, trips = folder / "demand.rou.xml", folder / "trips.xml"
    scenario = resolve(config)
    demand = Demand(config.demand, scenario, read_intersection(scenario.net_file, config))
    ElementTree.ElementTree(demand.sample(SEED, True, DEMAND).root).write(routes, encoding="unicode")
    flags = "--tripinfo-output.write-unfinished --tripinfo-output.write-undeparted"
    env = episodes.make_env(config, routes, f"--tripinfo-output {trips} {flags}")
    env.reset(seed=derive_seed(SEED, "sumo"))
    for phase in phases():
        if env.step(phase)[3]:
            break
    env.close()
    return float(read_trips(trips).delay.mean())


def baseline(config: SumoConfig, folder: Path) -> float:
    request = episodes.EpisodeRequest(SEED, True, DEMAND)
    return episodes.Simulator(config, folder).baseline(request, "fixed_plan", {})["delay"]


def main() -> None:
    config = load_config(peers.CONF / peers.MAPS["2way"], ["env.episode_seconds=300"]).env
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "measured": peers.in_fork(lambda: measured(config, folder, is_fixed=False)),
            "sumo-rl": peers.in_fork(lambda: as_it_ships(config, folder)),
            "measured fixed": peers.in_fork(lambda: measured(config, folder, is_fixed=True)),
            "baseline": peers.in_fork(lambda: baseline(config, folder)),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
