"""Checks of what the simulators of an environment do and give, in one place for all environments.

Shapes: O observation, A action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeVar

import numpy as np

from genreplay.common.errors import UserError
from genreplay.envs.faults import DEADLINE, EnvironmentFault, Late, cause, time_limit
from genreplay.envs.step import Step

Result = TypeVar("Result")


class Checks:
    """Whether simulators answer in time, and with finite numbers of the right shape.

    Args:
        label: name of the environment in messages.
        observed_shape: of a `Step.observation`.
        num_workers: W.
        in_process: whether the simulators run in this process, where a deadline has to interrupt them.
    """

    def __init__(self, label: str, observed_shape: Sequence[int], num_workers: int, in_process: bool):
        self.label, self.observed_shape, self.in_process = label, tuple(observed_shape), in_process
        self.deadline = DEADLINE
        """Longest time that the simulators may take for an answer, s."""
        self._seeds, self._num_steps = [0] * num_workers, [0] * num_workers
        """Of each worker's episode, as messages name them."""

    def begin(
        self, seeds: dict[int, int], start: Callable[[dict[int, int]], Mapping[int, Any]]
    ) -> dict[int, np.ndarray]:
        """First observations `[O]` by worker, from `start(seeds)`; EnvironmentFault where it goes wrong."""
        for worker, seed in seeds.items():
            self._seeds[worker], self._num_steps[worker] = seed, 0
        started = self.attempt(list(seeds), lambda: start(seeds))
        return {worker: self._observation(worker, started[worker]) for worker in seeds}

    def decide(
        self,
        actions: dict[int, np.ndarray],
        advance: Callable[[dict[int, np.ndarray]], Mapping[int, Step | EnvironmentFault]],
    ) -> dict[int, Step | EnvironmentFault]:
        """By worker the step from `advance(actions)`, or what is wrong with it.

        Raises:
            UserError: an action is no number, as the agent has diverged.
        """
        for worker, action in actions.items():
            self._num_steps[worker] += 1
            if not np.isfinite(action).all():
                remedy = "scale its observations to about 1, or lower the agent's learning rates"
                raise UserError(str(self.fault([worker], "was given an action that is no number", remedy)))
        try:
            steps = self.attempt(list(actions), lambda: advance(actions))
        except EnvironmentFault as fault:
            return dict.fromkeys(actions, fault)
        return {worker: self._checked(worker, steps[worker]) for worker in actions}

    def attempt(self, workers: Sequence[int], work: Callable[[], Result]) -> Result:
        """`work` of the simulators `workers`.

        Raises:
            EnvironmentFault: it raised, ended the program or took too long. A `UserError` keeps its message.
        """
        try:
            if not self.in_process:
                return work()
            with time_limit(self.deadline):
                return work()
        except EnvironmentFault:
            raise
        except UserError as error:
            raise EnvironmentFault(str(error), workers) from error
        except (Exception, SystemExit, Late) as error:
            raise self.fault(workers, cause(error, self.deadline)) from error

    def fault(self, workers: Sequence[int], what: str, remedy: str = "correct the environment") -> EnvironmentFault:
        """`what` the simulators `workers` did wrong, in a line that names step, seed and remedy."""
        step, seed = self._num_steps[workers[0]], self._seeds[workers[0]]
        when = f"at step {step}" if step else "at the start"
        return EnvironmentFault(f"{self.label} {what}, {when} of the episode with seed {seed}; {remedy}", workers)

    def _checked(self, worker: int, step: Step | EnvironmentFault) -> Step | EnvironmentFault:
        if isinstance(step, EnvironmentFault) or step.failed:
            return step
        try:
            observation, reward = self._observation(worker, step.observation), self._reward(worker, step.reward)
        except EnvironmentFault as fault:
            return fault
        if not isfinite(step.duration):
            return self.fault([worker], f"took a time of {step.duration}, which is no finite number")
        return step._replace(observation=observation, reward=reward)

    def _observation(self, worker: int, observation: Any) -> np.ndarray:
        """A copy of it as float32; EnvironmentFault where it is wrong."""
        try:
            row = np.array([] if observation is None else observation, dtype=np.float32)
        except (TypeError, ValueError):
            row = np.empty(0, np.float32)
        if not row.size:
            raise self.fault([worker], f"observed {_shown(observation)}, which is no array of numbers")
        if row.shape != self.observed_shape:
            what = f"observed an array of shape {row.shape}, but its space has shape {self.observed_shape}"
            raise self.fault([worker], what)
        if not np.isfinite(row).all():
            index = int(np.flatnonzero(~np.isfinite(row))[0])
            what = f"observed {row.flat[index]} in entry {index}, which is no finite number (float32)"
            raise self.fault([worker], what)
        return row

    def _reward(self, worker: int, reward: Any) -> float:
        """The reward, a number or an array of one; EnvironmentFault unless it is finite."""
        try:
            value = np.asarray([] if reward is None else reward, dtype=np.float32)
        except (TypeError, ValueError):
            value = np.empty(0, np.float32)
        if value.size != 1:
            raise self.fault([worker], f"gave the reward {_shown(reward)}, which is not one number")
        if not np.isfinite(value).all():
            raise self.fault([worker], f"gave the reward {value.item()}, which is no finite number (float32)")
        return float(np.asarray(reward).item())


def _shown(value: Any) -> str:
    """The value on one line, shortened."""
    return " ".join(repr(value).split())[:200]
