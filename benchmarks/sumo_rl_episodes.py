"""sumo-rl's environment as it ships: episodes of our training traffic to learn from, and our evaluation episodes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import gymnasium
import numpy as np
import sumo

os.environ.setdefault("SUMO_HOME", sumo.SUMO_HOME)  # sumo-rl needs it at import
os.environ.setdefault("LIBSUMO_AS_TRACI", "1")

from sumo_rl import SumoEnvironment
from sumo_rl.environment.traffic_signal import TrafficSignal

from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.simulator.episode import EpisodeRequest
from genreplay.envs.sumo.simulator.simulator import Simulator
from genreplay.envs.sumo.traffic.demand import Demand
from genreplay.envs.sumo.traffic.scenarios import resolve

Choose = Callable[[np.ndarray], int]
"""The next green phase from sumo-rl's observation."""


def make_env(config: SumoConfig, routes: Path, options: str = "") -> SumoEnvironment:
    """sumo-rl's environment on the map of `config`, with its own observation, reward and times.

    Two things differ from its defaults: vehicles pass one that blocks the junction, as in our simulator, and nothing is
    written to `info`.

    Args:
        config: names the map.
        routes: the traffic; read anew at each reset.
        options: more of SUMO's.
    """
    scenario = resolve(config)
    return SumoEnvironment(
        str(scenario.net_file),
        str(routes),
        begin_time=scenario.begin_time,
        num_seconds=scenario.episode_seconds,
        single_agent=True,
        sumo_warnings=False,
        additional_sumo_cmd=f"--no-step-log --ignore-junction-blocker {config.junction_blocker_seconds} {options}",
        add_system_info=False,
        add_per_agent_info=False,
    )


class TrainingTraffic(gymnasium.Wrapper):
    """Each reset begins the next episode that a training run of genreplay with one simulator begins.

    Args:
        config: the map and the range of its demand.
        seed: of the run.
    """

    def __init__(self, config: SumoConfig, seed: int):
        self._folder = tempfile.TemporaryDirectory(prefix="sumo-rl-")
        self._routes = Path(self._folder.name, "demand.rou.xml")
        scenario = resolve(config)
        self._demand = Demand(config.demand, scenario, read_intersection(scenario.net_file, config))
        self._seed, self.num_episodes = seed, 0
        super().__init__(make_env(config, self._routes))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Sample and write the traffic of the next episode; `seed` has no effect."""
        episode = derive_seed(self._seed, "episode", 0, self.num_episodes)
        self.num_episodes += 1
        ElementTree.ElementTree(self._demand.sample(episode, False).root).write(self._routes, encoding="unicode")
        return self.env.reset(seed=derive_seed(episode, "sumo"))


class Measured(Simulator):
    """sumo-rl's signal and step in our simulator, which begins and measures an episode as `genreplay evaluate` does."""

    def __init__(self, config: SumoConfig, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(config, folder)
        self.add_system_info = self.add_per_agent_info = False

    def play(self, seed: int, demand: str, choose: Choose | None) -> dict[str, float]:
        """Metrics of an evaluation episode, and `num_decisions`; without `choose` under the map's own plan
        (sumo-rl's `fixed_ts`).
        """
        request = EpisodeRequest(seed, True, demand)
        self._begin(request, self._demand.sample(seed, True, demand), is_cut=True)
        self.episode.step = self.sumo.simulationStep
        self.vehicles, self.fixed_ts = {}, choose is None
        (light,) = self.ts_ids
        times = (self.delta_time, self.yellow_time, self.min_green, self.max_green, self.begin_time)
        self.traffic_signals = {light: TrafficSignal(self, light, *times, self.reward_fn, self.sumo)}
        observation, num_decisions = self._compute_observations()[light], 0
        while not self.episode.is_over:
            self.episode.clear()
            observations, *_ = self.step({} if choose is None else {light: choose(observation)})
            observation = observations[light]
            num_decisions += 1
        return {"num_decisions": float(num_decisions), **self._finish()}

    def _sumo_step(self) -> None:
        self.episode.run(1)
