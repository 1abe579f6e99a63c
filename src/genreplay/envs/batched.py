"""W simulators behind one TorchRL environment.

Shapes: W workers (parallel episodes), O observation, A action.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Binary, Bounded, Composite, Unbounded
from torchrl.envs import EnvBase

from genreplay.envs.checks import Checks
from genreplay.envs.facets import BaselineRun
from genreplay.envs.faults import EnvironmentFault, Faults
from genreplay.envs.step import Step as Step
from genreplay.transitions.keys import Key

EpisodeSeeds = Callable[[int, int], int]
"""`(worker, episode index) -> seed`: an episode is fixed by its seed and the actions taken in it."""


class BatchedEnv(EnvBase):
    """W independent simulators behind one TorchRL environment of batch size `[W]`.

    Keys in addition to TorchRL's own: `("next", "duration")` `[W, 1]` and `("next", "failed")` `[W, 1]` (see `Step`).

    A new environment overrides `start`, `advance` and `metrics`. One with several agents also overrides the hooks under
    "Specs and keys". One whose simulators can save their state overrides the hooks under "Resuming"; by default
    `state_dict` holds the seeds and actions of the running episodes, and the next full reset plays them again.

    Args:
        observation_spec: of one worker, `[O]`.
        action_spec: of one worker, `[A]`.
        num_workers: W.
        episode_seeds: the seed of each worker's i-th episode.
    """

    in_process = True
    """Whether the simulators run in this process (see `Checks`)."""

    def __init__(
        self, observation_spec: Bounded | Unbounded, action_spec: Bounded, num_workers: int, episode_seeds: EpisodeSeeds
    ):
        super().__init__(device="cpu", batch_size=[num_workers])
        self.num_workers = num_workers
        shape = (num_workers, 1)
        self.observation_spec = Composite(
            observation=observation_spec.expand(num_workers, *observation_spec.shape),
            duration=Unbounded(shape),
            failed=Binary(1, shape=shape, dtype=torch.bool),
            shape=[num_workers],
        )
        self.action_spec = action_spec.expand(num_workers, *action_spec.shape)
        self.reward_spec = Unbounded(shape)
        self.done_spec = Composite(
            {key: Binary(1, shape=shape, dtype=torch.bool) for key in ("done", "terminated", "truncated")},
            shape=[num_workers],
        )
        self.demand: str | None = None
        """Demand of the episodes that `start` begins (see `EvaluationSet`); None for the environment's own."""
        self.checks = Checks(f"env: {type(self).__name__}", observation_spec.shape, num_workers, self.in_process)
        self.faults = Faults()
        """Those so far, and how many are skipped."""
        self._episode_seeds = episode_seeds
        self._episode_index = [-1] * num_workers
        self._actions: list[list[np.ndarray]] = [[] for _ in range(num_workers)]
        self._returns = [0.0] * num_workers
        self._num_decisions = [0] * num_workers
        self._current: dict[int, np.ndarray] = {}
        """Of each worker, the last one."""
        self._finished: list[dict[str, float]] = []
        self._resume: Any = None
        """What `snapshot` gave, from `load_state_dict` to the next full reset."""

    # Simulators ------------------------------------------------------------------------------------------------

    @abstractmethod
    def start(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """Begin an episode in each named worker; its first observation `[O]`."""

    @abstractmethod
    def advance(self, actions: dict[int, np.ndarray]) -> Mapping[int, Step | EnvironmentFault]:
        """Carry out one decision `[A]` in each named worker; its step, or what went wrong. May run them at the same
        time.
        """

    def send(self, actions: dict[int, np.ndarray]) -> None:
        """Called before the next `advance`, with the same actions and with nothing between the two.

        Simulators in processes of their own can begin at once. Here nothing happens: `advance` does it all.
        """

    @abstractmethod
    def metrics(self, worker: int) -> dict[str, float]:
        """Figures of the episode that just ended in `worker`, in the units their names tell."""

    def parts(self, worker: int) -> list[dict[str, float | str]]:
        """A row for each part of the environment (see `World.parts_name`) in the episode that just ended in `worker`;
        each with a `name` and the primary metric. None for most environments.
        """
        return []

    def greens(self, worker: int) -> list[list[int]]:
        """Lengths of the greens of each stage in the episode that just ended in `worker`, s, `[P]` lists; empty where
        the environment has no stages.
        """
        return []

    def play_baseline(self, run: BaselineRun, seeds: dict[int, int]) -> dict[int, dict[str, float]]:
        """Metrics by worker of a baseline on the whole episodes of `seeds`, by worker (see `EvaluationSet`)."""
        raise NotImplementedError(f"{type(self).__name__} has no baselines")

    # Checked ---------------------------------------------------------------------------------------------------

    def begin(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """`start`, checked.

        Raises:
            EnvironmentFault: an episode cannot be begun; a resumed run begins the next one.
        """
        try:
            observations = self.checks.begin(seeds, self.start)
        except EnvironmentFault as fault:
            self._number(fault.workers)
            raise
        self._current |= observations
        return observations

    def decide(self, actions: dict[int, np.ndarray]) -> dict[int, Step]:
        """`advance`, checked; a fault that may be skipped is a failed step.

        Raises:
            EnvironmentFault: one that may not be skipped; a resumed run begins the next episode there.
            UserError: an action is no number.
        """
        steps = self.checks.decide(actions, self.advance)
        faults = {worker: step for worker, step in steps.items() if isinstance(step, EnvironmentFault)}
        try:
            for fault in dict.fromkeys(faults.values()):
                self.faults.add(fault)
        except EnvironmentFault:
            self._number(faults)
            raise
        steps |= {worker: Step(self._current[worker], 0.0, 0.0, truncated=True, failed=True) for worker in faults}
        taken = {worker: step for worker, step in steps.items() if isinstance(step, Step)}
        self._current |= {worker: step.observation for worker, step in taken.items()}
        return taken

    # Specs and keys --------------------------------------------------------------------------------------------

    def observed(self, observations: np.ndarray) -> dict[Key, Any]:
        """Observation entries by key, from the stacked observations of all workers `[W, *]`."""
        return {"observation": torch.from_numpy(observations).float()}

    def chosen(self, tensordict: TensorDictBase) -> np.ndarray:
        """Actions `[W, *]` from what the policy wrote."""
        return tensordict.get("action").numpy().copy()

    def outcomes(self) -> dict[Key, Any]:
        """Further entries of the last step by key, in addition to reward, duration and ends."""
        return {}

    # Resuming --------------------------------------------------------------------------------------------------

    def snapshot(self) -> Any:
        """The state of the running episodes, as plain JSON."""
        return [np.stack(actions).tolist() if actions else [] for actions in self._actions]

    def restore(self, snapshot: Any) -> dict[int, np.ndarray]:
        """Continue the episodes of a `snapshot`; the observation of each worker.

        Here all workers play their recorded actions again, side by side. An episode that ends on the way (the simulator
        failed) cannot be continued: its worker begins the next one. Raises as `decide`.
        """
        self._actions = [[np.asarray(a, dtype=np.float32) for a in actions] for actions in snapshot]
        observations = self.begin({w: self._seed_of(w) for w in range(self.num_workers)})
        for i in range(max(len(actions) for actions in self._actions)):
            steps = self.decide({w: a[i] for w, a in enumerate(self._actions) if i < len(a)})
            observations |= {worker: step.observation for worker, step in steps.items()}
            ended = [worker for worker, step in steps.items() if step.ended]
            if ended:
                observations |= self._begin(ended)
        return observations

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Episode numbers and the running episodes, as plain JSON."""
        return {
            "episode_index": list(self._episode_index),
            "returns": list(self._returns),
            "num_decisions": list(self._num_decisions),
            "faults": self.faults.count,
            # Nothing to continue where no episode was running yet.
            "episodes": self.snapshot() if min(self._episode_index) >= 0 else None,
        }

    def load_state_dict(self, state: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Make the next full reset continue the episodes that `state` describes.

        Raises:
            ValueError: `state` is of another number of workers.
        """
        if len(state["episode_index"]) != self.num_workers:
            raise ValueError(
                f"the checkpoint has {len(state['episode_index'])} environment workers, this run {self.num_workers}"
            )
        self._episode_index = list(state["episode_index"])
        self._returns, self._num_decisions = list(state["returns"]), list(state["num_decisions"])
        self.faults.count = state.get("faults", 0)
        self._resume = state["episodes"]

    # Episodes --------------------------------------------------------------------------------------------------

    def pop_finished(self) -> list[dict[str, float]]:
        """Metrics of the episodes that ended since the last call, with `seed`, `return` and `num_decisions`."""
        finished, self._finished = self._finished, []
        return finished

    def _seed_of(self, worker: int) -> int:
        return self._episode_seeds(worker, self._episode_index[worker])

    def _begin(self, workers: Iterable[int]) -> dict[int, np.ndarray]:
        """The next episode in each of `workers`; after one that cannot be begun, the one after it if that may be."""
        workers = list(workers)
        self._number(workers)
        while True:
            try:
                return self.begin({w: self._seed_of(w) for w in workers})
            except EnvironmentFault as fault:
                self.faults.add(fault)

    def _number(self, workers: Iterable[int]) -> None:
        """Let the next episode of each of `workers` be the current one."""
        for worker in workers:
            self._episode_index[worker] += 1
            self._actions[worker], self._returns[worker], self._num_decisions[worker] = [], 0.0, 0

    # TorchRL ---------------------------------------------------------------------------------------------------

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDictBase:
        wanted = None if tensordict is None else tensordict.get("_reset", None)
        if wanted is None and self._resume is not None:
            self._current |= self.restore(self._resume)
        else:
            workers = range(self.num_workers) if wanted is None else wanted.view(-1).nonzero().view(-1).tolist()
            self._begin(workers)
        self._resume = None
        return self._with_observations(self.full_observation_spec.zero()).update(self.full_done_spec.zero())

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        actions = dict(enumerate(self.chosen(tensordict)))
        steps = self.decide(actions)
        ends = ("terminated", "truncated", "failed")
        dtypes = {"reward": torch.float32, "duration": torch.float32, **dict.fromkeys(ends, torch.bool)}
        out = TensorDict(
            {
                key: torch.tensor([[getattr(steps[w], key)] for w in actions], dtype=dtype)
                for key, dtype in dtypes.items()
            },
            batch_size=self.batch_size,
        )
        out["truncated"] |= out["failed"]
        out["done"] = out["terminated"] | out["truncated"]
        for worker, step in steps.items():
            self._actions[worker].append(actions[worker])
            self._returns[worker] += step.reward
            self._num_decisions[worker] += 1
            if step.ended and not step.failed:
                self._finished.append(
                    {
                        "seed": float(self._seed_of(worker)),
                        "return": self._returns[worker],
                        "num_decisions": float(self._num_decisions[worker]),
                        **self.metrics(worker),
                    }
                )
        for key, value in self.outcomes().items():
            out.set(key, value)
        return self._with_observations(out)

    def _with_observations(self, out: TensorDictBase) -> TensorDictBase:
        stacked = np.stack([self._current[worker] for worker in range(self.num_workers)])
        for key, value in self.observed(stacked).items():
            out.set(key, value)
        return out

    def _set_seed(self, seed: int | None) -> None:
        """Episodes are seeded by `episode_seeds`; a TorchRL seed starts their numbering anew."""
        self._episode_index = [-1] * self.num_workers
