"""SUMO simulators in worker processes behind one TorchRL environment.

Shapes: W workers, O observation, A action.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from torchrl.data import Bounded

from genreplay.common.scratch import Scratch
from genreplay.envs.batched import BatchedEnv, EpisodeSeeds, Step
from genreplay.envs.facets import BaselineRun
from genreplay.envs.faults import EnvironmentFault
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.simulator.process import SimulatorError, SimulatorProcess
from genreplay.envs.sumo.traffic.notices import kind

logger = logging.getLogger("genreplay")

_REPORTED: set[tuple[str, ...]] = set()
"""Notices that this process has logged: map, route file, kind."""
MAX_FAILURES = 3
"""Consecutive failures of one worker, without a decision between them, that end the run."""


class SumoEnv(BatchedEnv):
    """W simulators in parallel, each in a separate process.

    A worker that fails is reported with SUMO's message and restarted; its episode ends as failed.

    Args:
        config: the environment's.
        view: the intersection's observations.
        num_workers: W.
        episode_seeds: the seed of each worker's i-th episode.
        evaluation: take the demand levels of evaluation.
    """

    in_process = False

    def __init__(self, config: SumoConfig, view: View, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool):
        observation_spec = Bounded(torch.zeros(view.width), torch.from_numpy(view.high), dtype=torch.float32)
        action_spec = Bounded(-1.0, 1.0, shape=(view.timing.action_width,), dtype=torch.float32)
        super().__init__(observation_spec, action_spec, num_workers, episode_seeds)
        self._evaluation = evaluation
        self._places = (str(config.scenario or config.net_file), str(config.route_file))
        self._folder = Scratch("sumo")
        self.workers = [SimulatorProcess(config, self._folder.folder / str(i)) for i in range(num_workers)]
        self._is_sent = False
        self._has_worked = False
        self._num_failures = [0] * num_workers
        self.film: tuple[int, int] | None = None
        """Record episodes that begin from now on between these two seconds; None to record nothing."""
        self._observations: list[np.ndarray] = [np.zeros(view.width, dtype=np.float32)] * num_workers
        self._metrics: list[dict[str, float]] = [{} for _ in range(num_workers)]

    def start(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """Begin an episode in each given worker."""
        answers = self._request({"command": "start"}, seeds)
        for worker, message in answers.items():
            self._observations[worker] = np.array(message["observation"], dtype=np.float32)
        return {worker: self._observations[worker] for worker in answers}

    def send(self, actions: dict[int, np.ndarray]) -> None:
        """Let each given worker begin its decision; `advance` then waits for the result."""
        self._send_all({w: {"command": "decide", "action": action.tolist()} for w, action in actions.items()})
        self._is_sent = True

    def advance(self, actions: dict[int, np.ndarray]) -> dict[int, Step]:
        """One decision in each given worker, in parallel."""
        if not self._is_sent:
            self.send(actions)
        self._is_sent = False
        answers = self._receive_all(actions)
        return {worker: self._step_of(worker, answers[worker]) for worker in actions}

    def metrics(self, worker: int) -> dict[str, float]:
        """Metrics of the last episode (see `simulator.metrics`), `mean_queue`, `longest_red` (s; not in training),
        `teleports`, `demand_flow` (vehicles/h) or `demand_scale`.
        """
        return self._metrics[worker]

    def parts(self, worker: int) -> list[dict[str, float | str]]:
        """What each movement went through in the last episode (see `movement_rows`)."""
        return self._ask(worker, "movements")

    def greens(self, worker: int) -> list[list[int]]:
        """What the light showed in the last episode (see `results.greens`)."""
        return self._ask(worker, "greens")

    def play_baseline(self, run: BaselineRun, seeds: dict[int, int]) -> dict[int, dict[str, float]]:
        """Metrics of whole episodes under a baseline, in parallel (see `Simulator.baseline`)."""
        command = {"command": "baseline", "name": run.name, "settings": dict(run.settings), "brief": run.brief}
        answers = self._request({**command, "limit": run.limit if isfinite(run.limit) else None}, seeds)
        for worker, message in answers.items():
            self._has_worked, self._num_failures[worker] = True, 0
            self._report(message["notices"])
        return {worker: message["metrics"] for worker, message in answers.items()}

    def frames(self, worker: int) -> list[dict[str, Any]]:
        """Frames recorded so far of the episode in `worker` (see `Recorder`)."""
        return self._ask(worker, "frames")

    def close(self, *, raise_if_closed: bool = True) -> None:
        """End the workers and remove their files."""
        SimulatorProcess.close_all(self.workers)
        self._folder.cleanup()
        super().close(raise_if_closed=raise_if_closed)

    def _ask(self, worker: int, what: str) -> Any:
        """What the worker keeps of its last episode."""
        self.workers[worker].send({"command": what})
        try:
            return self.workers[worker].receive(self.checks.deadline)[what]
        except SimulatorError as error:
            raise EnvironmentFault(f"env: SUMO failed in worker {worker}: {error}", [worker]) from error

    def _step_of(self, worker: int, message: dict[str, Any] | SimulatorError) -> Step:
        if isinstance(message, SimulatorError):
            self._recover(worker, message)
            return Step(self._observations[worker], 0.0, 0.0, truncated=True, failed=True)
        self._has_worked, self._num_failures[worker] = True, 0
        self._observations[worker] = np.array(message["observation"], dtype=np.float32)
        self._metrics[worker] = message["metrics"]
        self._report(message["notices"])
        return Step(self._observations[worker], message["reward"], message["duration"], truncated=message["truncated"])

    def _report(self, notices: Sequence[str]) -> None:
        """Log what SUMO dropped or ignored, each kind once for a map and its traffic."""
        for notice in notices:
            key = (*self._places, kind(notice))
            if key not in _REPORTED:
                _REPORTED.add(key)
                logger.warning("env: %s", notice)

    def _send_all(self, requests: Mapping[int, dict[str, Any]]) -> None:
        """Send all requests before waiting for an answer, so that the workers run in parallel."""
        for worker, request in requests.items():
            self.workers[worker].send(request)

    def _receive_all(self, workers: Iterable[int]) -> dict[int, dict[str, Any] | SimulatorError]:
        """The answer or the failure of each."""
        answers: dict[int, dict[str, Any] | SimulatorError] = {}
        for worker in workers:
            try:
                answers[worker] = self.workers[worker].receive(self.checks.deadline)
            except SimulatorError as error:
                answers[worker] = error
        return answers

    def _request(self, command: dict[str, Any], seeds: dict[int, int]) -> dict[int, dict[str, Any]]:
        """Begin an episode in every worker, again after a failure until `_recover` gives up; their answers."""
        done: dict[int, dict[str, Any]] = {}
        episode = {"evaluation": self._evaluation, "demand": self.demand, "film": self.film}
        while missing := {worker: seed for worker, seed in seeds.items() if worker not in done}:
            self._send_all({worker: {**command, **episode, "seed": seed} for worker, seed in missing.items()})
            for worker, message in self._receive_all(missing).items():
                if isinstance(message, SimulatorError):
                    self._recover(worker, message)
                else:
                    done[worker] = message
        return {worker: done[worker] for worker in seeds}

    def _recover(self, worker: int, error: SimulatorError) -> None:
        """Restart a failed worker, or give up: at once if nothing ever worked, else after `MAX_FAILURES`."""
        self._num_failures[worker] += 1
        if not self._has_worked:
            raise EnvironmentFault(f"env: SUMO cannot run this scenario: {error}", [worker])
        if self._num_failures[worker] >= MAX_FAILURES:
            text = f"env: SUMO failed {MAX_FAILURES} times in a row in worker {worker}: {error}"
            raise EnvironmentFault(text, [worker])
        logger.warning("env: the simulator of worker %d failed and is restarted: %s", worker, error)
        self.workers[worker].restart()
