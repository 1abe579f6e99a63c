"""Traffic-signal control in SUMO as a world to learn in: W simulators in worker processes.

Shapes: W workers, O observation, A action.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf, isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from tensordict.nn import TensorDictModule
from torchrl.data import Bounded

from genreplay.common.errors import UserError
from genreplay.envs.batched import BatchedEnv, EpisodeSeeds, Step
from genreplay.envs.sumo.actions import timing_of
from genreplay.envs.sumo.baselines.search import search_plan
from genreplay.envs.sumo.baselines.table import BASELINES, CONSTANT_PLAN, FIXED_PLAN
from genreplay.envs.sumo.card import describe
from genreplay.envs.sumo.columns import build_layout
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.pictures.film import film
from genreplay.envs.sumo.simulator.process import SimulatorError, SimulatorProcess
from genreplay.envs.sumo.traffic.checks import check_traffic
from genreplay.envs.sumo.traffic.profiles import default_demands, is_in_range, parse_profile
from genreplay.envs.sumo.traffic.scenarios import resolve
from genreplay.envs.world import NO_SETTINGS, FilmRequest, Found, NamedDemand, SearchEpisode, World

logger = logging.getLogger("genreplay")

MAX_FAILURES = 3
"""Failures of one worker in a row, without a decision between them, that end the run."""


METRIC_UNITS = MappingProxyType(
    {
        "delay": "s",
        "waiting_time": "s",
        "travel_time": "s",
        "mean_queue": "vehicles",
        "throughput": "vehicles",
        "teleports": "vehicles",
    }
)


class SumoWorld(World):
    """One signalised intersection, with continuous green durations (a semi-Markov decision process).

    The reward of a decision is minus the vehicle-seconds lost over it, by driving below the speed limit on the
    approaches and by waiting to enter the map. Episodes are cut off, never terminated.
    """

    primary_metric = "delay"
    primary_unit = "s"
    minimise = True
    discount_period = 30.0
    baselines = tuple(BASELINES)
    metric_units = METRIC_UNITS
    can_overlap = True
    has_film = True

    def __init__(self, config: SumoConfig):
        self.config = config
        scenario = resolve(config)
        self.net_file = scenario.net_file
        self._is_given = scenario.is_given
        self.episode_seconds = scenario.episode_seconds
        intersection = read_intersection(scenario.net_file, config.upstream_metres)
        check_traffic(config, scenario, intersection)
        yellow_time = intersection.yellow_time if config.yellow_time is None else config.yellow_time
        all_red_time = intersection.all_red_time if config.all_red_time is None else config.all_red_time
        timing = timing_of(config, len(intersection.greens), yellow_time + all_red_time)
        self.view = View(intersection, timing, config.reward_scale)
        self.intersection = intersection
        self._changes = yellow_time, all_red_time
        self.layout = build_layout(intersection, self.view)

    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> SumoEnv:
        """Simulators in processes of their own; with `evaluation`, at the fixed demand levels."""
        return SumoEnv(self.config, self.view, num_workers, episode_seeds, evaluation)

    def card(self) -> dict[str, Any]:
        """Inputs, outputs and signal, for a controller outside of genreplay."""
        return describe(self.config, self.intersection, self.view, *self._changes)

    @property
    def default_shot(self) -> FilmRequest:
        """Four minutes from the tenth on: there is traffic by then."""
        return FilmRequest(None, 101, 600, 240, 2, None)

    def film(self, policy: TensorDictModule, shot: FilmRequest) -> Iterator[np.ndarray]:
        """Pictures of the intersection, with a baseline beside it where the shot asks for one."""
        if shot.demand is not None:
            self.demands([shot.demand])
        choices = [name for name in BASELINES if name != CONSTANT_PLAN]
        if shot.baseline is not None and shot.baseline not in choices:
            raise UserError(f"--baseline {shot.baseline}: cannot be filmed; choose one of {', '.join(choices)}")
        return film(self, policy, shot)

    def demands(self, names: Sequence[str] | None = None) -> list[NamedDemand]:
        """The named demands (see `profiles`); those inside and outside the range of training where none is named."""
        config = self.config.demand
        if names is None:
            names = default_demands(config, self._is_given)
        profiles = {name: parse_profile(name, config, self._is_given) for name in names}
        return [NamedDemand(name, is_in_range(profile, config, self._is_given)) for name, profile in profiles.items()]

    def baseline(
        self,
        env: BatchedEnv,
        worker_seeds: dict[int, int],
        name: str = FIXED_PLAN,
        settings: Mapping[str, Any] = NO_SETTINGS,
        limit: float = inf,
    ) -> dict[int, dict[str, float]]:
        """Metrics of a baseline, without a name of the map's own fixed plan, on the episodes of these seeds."""
        assert isinstance(env, SumoEnv)
        return env.baseline(name, settings, worker_seeds, limit)

    def search(
        self,
        name: str,
        judge: Callable[[list[SearchEpisode]], list[float]],
        num_episodes: int,
        known: Sequence[Mapping[str, Any]],
    ) -> Found | None:
        """The settings of a baseline that has to be searched for: the greens of the best constant plan."""
        if name != CONSTANT_PLAN:
            return None
        timing = self.view.timing
        found = search_plan(
            self.intersection.green_seconds,
            timing.intergreen,
            timing.min_green,
            lambda heats: judge(
                [SearchEpisode({"greens": list(heat.plan)}, heat.episode, heat.limit) for heat in heats]
            ),
            num_episodes,
            [tuple(settings["greens"]) for settings in known],
        )
        return Found({"greens": list(found.plan)}, found.num_plans)


class SumoEnv(BatchedEnv):
    """W simulators, each in a process of its own, working at the same time.

    A worker that breaks down is reported with SUMO's message and started again; its episode ends as failed.

    Args:
        config: of the world.
        view: of the intersection.
        num_workers: W.
        episode_seeds: the seed of each worker's i-th episode.
        evaluation: take the fixed demand levels.
    """

    def __init__(self, config: SumoConfig, view: View, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool):
        observation_spec = Bounded(torch.zeros(view.width), torch.from_numpy(view.high), dtype=torch.float32)
        action_spec = Bounded(-1.0, 1.0, shape=(view.timing.action_width,), dtype=torch.float32)
        super().__init__(observation_spec, action_spec, num_workers, episode_seeds)
        self._evaluation = evaluation
        self._folder = tempfile.TemporaryDirectory(prefix="genreplay-sumo-", ignore_cleanup_errors=True)
        self.workers = [SimulatorProcess(config, Path(self._folder.name, str(i))) for i in range(num_workers)]
        self._is_asked = False
        self._has_worked = False
        self._num_failures = [0] * num_workers
        self.film: tuple[int, int] | None = None
        """Film what lies between these two seconds, in the episodes that begin from now on; None for none."""
        self._observations: list[np.ndarray] = [np.zeros(view.width, dtype=np.float32)] * num_workers
        self._metrics: list[dict[str, float]] = [{} for _ in range(num_workers)]

    def start(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """Begin an episode in each named worker."""
        answers = self._insist({"command": "start"}, seeds)
        for worker, message in answers.items():
            self._observations[worker] = np.array(message["observation"], dtype=np.float32)
        return {worker: self._observations[worker] for worker in answers}

    def send(self, actions: dict[int, np.ndarray]) -> None:
        """Let each named worker begin with its decision; `advance` then waits for what came of it."""
        self._ask({w: {"command": "decide", "action": action.tolist()} for w, action in actions.items()})
        self._is_asked = True

    def advance(self, actions: dict[int, np.ndarray]) -> dict[int, Step]:
        """One decision in each named worker, all at the same time."""
        if not self._is_asked:
            self.send(actions)
        self._is_asked = False
        answers = self._hear(actions)
        return {worker: self._step_of(worker, answers[worker]) for worker in actions}

    def metrics(self, worker: int) -> dict[str, float]:
        """Of the last episode: `delay`, `waiting_time`, `travel_time` (s, means over all vehicles), `mean_queue`,
        `num_vehicles`, `throughput` (vehicles that arrived), `teleports`, `demand_flow` (vehicles/h) or
        `demand_scale`.
        """
        return self._metrics[worker]

    def baseline(
        self, name: str, settings: Mapping[str, Any], seeds: dict[int, int], limit: float = inf
    ) -> dict[int, dict[str, float]]:
        """Metrics of whole episodes under a baseline, all workers at the same time (see `Simulator.baseline`)."""
        command = {"command": "baseline", "name": name, "settings": dict(settings)}
        answers = self._insist({**command, "limit": limit if isfinite(limit) else None}, seeds)
        for worker in answers:
            self._has_worked, self._num_failures[worker] = True, 0
        return {worker: message["metrics"] for worker, message in answers.items()}

    def frames(self, worker: int) -> list[dict[str, Any]]:
        """What was filmed of the episode in `worker`, so far or to its end (see `camera.Camera`)."""
        self.workers[worker].send({"command": "frames"})
        return self.workers[worker].receive()["frames"]

    def close(self, *, raise_if_closed: bool = True) -> None:
        """End the workers and remove their files."""
        for worker in self.workers:
            worker.close()
        self._folder.cleanup()
        super().close(raise_if_closed=raise_if_closed)

    def _step_of(self, worker: int, message: dict[str, Any] | SimulatorError) -> Step:
        if isinstance(message, SimulatorError):
            self._recover(worker, message)
            return Step(self._observations[worker], 0.0, 0.0, truncated=True, failed=True)
        self._has_worked, self._num_failures[worker] = True, 0
        self._observations[worker] = np.array(message["observation"], dtype=np.float32)
        self._metrics[worker] = message["metrics"]
        return Step(self._observations[worker], message["reward"], message["duration"], truncated=message["truncated"])

    def _ask(self, requests: Mapping[int, dict[str, Any]]) -> None:
        """Ask all before any is heard, so that they work side by side."""
        for worker, request in requests.items():
            self.workers[worker].send(request)

    def _hear(self, workers: Iterable[int]) -> dict[int, dict[str, Any] | SimulatorError]:
        """Wait for the answer of each."""
        answers: dict[int, dict[str, Any] | SimulatorError] = {}
        for worker in workers:
            try:
                answers[worker] = self.workers[worker].receive()
            except SimulatorError as error:
                answers[worker] = error
        return answers

    def _insist(self, command: dict[str, Any], seeds: dict[int, int]) -> dict[int, dict[str, Any]]:
        """Ask until every worker has answered; `_recover` gives up where that is hopeless."""
        done: dict[int, dict[str, Any]] = {}
        episode = {"evaluation": self._evaluation, "demand": self.demand, "film": self.film}
        while missing := {worker: seed for worker, seed in seeds.items() if worker not in done}:
            self._ask({worker: {**command, **episode, "seed": seed} for worker, seed in missing.items()})
            for worker, message in self._hear(missing).items():
                if isinstance(message, SimulatorError):
                    self._recover(worker, message)
                else:
                    done[worker] = message
        return {worker: done[worker] for worker in seeds}

    def _recover(self, worker: int, error: SimulatorError) -> None:
        """Start a broken worker again, or give up: at once where nothing ever worked, else after `MAX_FAILURES`."""
        self._num_failures[worker] += 1
        if not self._has_worked:
            raise UserError(f"env: SUMO cannot run this scenario: {error}")
        if self._num_failures[worker] >= MAX_FAILURES:
            raise UserError(f"env: SUMO failed {MAX_FAILURES} times in a row in worker {worker}: {error}")
        logger.warning("env: the simulator of worker %d broke down and is started again: %s", worker, error)
        self.workers[worker].restart()
