"""What the loop needs of a world, and W simulators behind one TorchRL environment.

Shapes: W workers (parallel episodes), O observation, A action.

A new environment is a `World` (its layout, its headline metric) and a `BatchedEnv` with three hooks: `start` an
episode, `advance` it by one decision, tell its `metrics`. Seeds, resets, episode books and resuming are done here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf, isfinite
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule
from torchrl.data import Binary, Bounded, Composite, Unbounded
from torchrl.envs import EnvBase

from genreplay.common.errors import UserError
from genreplay.transitions.columns import Column, TransitionLayout
from genreplay.transitions.keys import ACTION, OBSERVATION, Key

EpisodeSeeds = Callable[[int, int], int]
"""`(worker, episode index) -> seed`: an episode is fixed by its seed and the actions taken in it."""


class Step(NamedTuple):
    """What one decision led to, in one simulator."""

    observation: np.ndarray
    """`[O]`, float32."""
    reward: float
    duration: float
    """Time that passed, in the unit of `World.discount_period`."""
    terminated: bool = False
    """The state has no future: the target does not bootstrap."""
    truncated: bool = False
    """The episode was cut off here: the target does bootstrap."""
    failed: bool = False
    """The simulator broke down: the row is no experience and must not be stored; the episode ends."""


class NamedDemand(NamedTuple):
    """What a world is asked for in an episode, such as traffic."""

    name: str
    in_range: bool
    """Whether training draws episodes like this."""


class Try(NamedTuple):
    """One episode that a search for a baseline's settings wants to see."""

    settings: Mapping[str, Any]
    episode: int
    """Number of the validation episode."""
    limit: float
    """See `World.baseline`."""


class Found(NamedTuple):
    """The end of a search for a baseline's settings."""

    settings: dict[str, Any]
    num_tried: int


class Shot(NamedTuple):
    """What of an episode to make pictures of."""

    demand: str | None
    """Name of its demand (see `World.demands`); None for the world's own."""
    seed: int
    begin: int
    """First second to show; a step where the world counts in steps, as in what follows."""
    seconds: int
    """How long to show it, s."""
    stride: int
    """Time from one picture to the next, s."""
    baseline: str | None
    """Name of the controller to show beside the policy; None for none."""


POSSIBLE = "possible"
"""Key of `World.simulate`."""

DEFAULT_DEMAND = "default"
"""The demand of a world that has but one."""

NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})
NO_UNITS: Mapping[str, str] = MappingProxyType({})


class World(ABC):
    """One world to learn in. Built from its config dataclass alone."""

    headline: str
    """The metric a person asks for first; a key of `BatchedEnv.metrics`."""
    headline_unit: str
    minimise: bool
    """True where a lower headline is better."""
    discount_period: float = 1.0
    """Time over which the discount factor gamma applies once, in the unit of `Step.duration`."""
    layout: TransitionLayout
    baselines: tuple[str, ...] = ()
    """Names of the controllers that a policy can be judged beside, what runs today first."""
    can_overlap: bool = False
    """Whether its simulators work on a decision by themselves once they were told of it (`BatchedEnv.send`)."""
    has_film: bool = False
    """Whether `film` draws pictures."""
    metric_units: Mapping[str, str] = NO_UNITS
    """Units of the metrics to show, the headline first; empty for the headline alone."""
    episode_seconds: int = 0
    """Simulated length of an evaluation episode, s; 0 where time is not counted in seconds."""

    @property
    def shown_units(self) -> Mapping[str, str]:
        """Units of the metrics to show, the headline first."""
        return self.metric_units or {self.headline: self.headline_unit}

    @property
    def default_shot(self) -> Shot:
        """What to make pictures of where nobody says otherwise."""
        return Shot(None, 101, 0, 240, 1, None)

    @abstractmethod
    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> BatchedEnv:
        """Parallel simulators. With `evaluation`, the episodes and demand that policies are judged on."""

    def demands(self, names: Sequence[str] | None = None) -> list[NamedDemand]:
        """The named demands, or the world's own choice of what policies are judged on; UserError for an unknown one."""
        if names is not None:
            raise UserError("--demand: this environment has one demand only; leave --demand out")
        return [NamedDemand(DEFAULT_DEMAND, True)]

    def baseline(
        self,
        env: BatchedEnv,
        worker_seeds: dict[int, int],
        name: str = "",
        settings: Mapping[str, Any] = NO_SETTINGS,
        limit: float = inf,
    ) -> dict[int, dict[str, float]] | None:
        """Metrics by worker of a baseline on whole episodes of `env`, without a name of what runs today (the fixed
        plan); None if there is none.

        An episode whose headline is sure to end worse than `limit` may be given up: its metrics are then some headline
        worse than that, and the `simulated_seconds` it took.
        """
        return None

    def card(self) -> dict[str, Any]:
        """What a controller outside of genreplay must know of its inputs and outputs; plain JSON."""

        def entries(key: Key) -> list[dict[str, Any]]:
            columns = sorted((c for c in self.layout.columns if c.key == key), key=lambda c: c.start)
            return [
                {"name": c.name, "width": c.width, **{k: v if isfinite(v) else None for k, v in _bounds(c).items()}}
                for c in columns
            ]

        return {"inputs": entries(OBSERVATION), "outputs": entries(ACTION)}

    def simulate(self, transitions: TensorDictBase) -> TensorDict | None:
        """One step of the simulator itself from the states of transitions `[N]`, with their actions.

        Where an observation tells the whole state, this says whether synthetic transitions obey the world. The answer
        is a measure: it never touches what is trained on. It must move no random stream.

        Returns:
            next observation, reward and terminated `[N, *]`, and `POSSIBLE` `[N]` (bool): whether the observation is
            one that the world can show; elsewhere the step begins at the nearest such state. None where a state cannot
            be reproduced from its observation.
        """
        return None

    def measure(self, transitions: TensorDictBase) -> dict[str, float]:
        """Figures of the world's own on transitions `[N]`, real or synthetic, such as the share of possible ones.

        As with `simulate`, they are a measure alone.
        """
        return {}

    def film(self, policy: TensorDictModule, shot: Shot) -> Iterator[np.ndarray]:
        """Pictures `[height, width, 3]` (uint8) of an episode under `policy`; UserError where the world draws none."""
        raise UserError("render: this environment draws no pictures; those of env.name sumo and overcooked do")

    def picture_transitions(self, transitions: TensorDictBase) -> Iterator[np.ndarray]:
        """A picture `[height, width, 3]` (uint8) of each transition `[N]`; UserError where the world draws none."""
        raise UserError("--synthetic: this environment draws no transitions; that of env.name overcooked does")

    def search(
        self,
        name: str,
        judge: Callable[[list[Try]], list[float]],
        num_episodes: int,
        known: Sequence[Mapping[str, Any]],
    ) -> Found | None:
        """Settings of a baseline that has to be searched for; None where there is nothing to search.

        Args:
            name: of the baseline.
            judge: plays validation episodes of one demand; the headline metric of each.
            num_episodes: how many validation episodes there are.
            known: settings found for other demands, to begin with.
        """
        return None


def _bounds(column: Column) -> dict[str, float]:
    low, high = (column.low, column.high) if column.kind == "continuous" else (0.0, 1.0)
    return {"low": low, "high": high}


class BatchedEnv(EnvBase):
    """W independent simulators behind one TorchRL environment of batch size `[W]`.

    Keys beside TorchRL's own: `("next", "duration")` `[W, 1]` and `("next", "failed")` `[W, 1]` (see `Step`).

    An episode is a function of its seed and its actions, so `state_dict` holds just those, and `load_state_dict`
    makes the next full reset take up the running episodes where they were by playing them again.

    Args:
        observation_spec: of one worker, `[O]`.
        action_spec: of one worker, `[A]`.
        num_workers: W.
        episode_seeds: the seed of each worker's i-th episode.
    """

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
        """Name of the demand of the episodes that `start` begins (see `World.demands`); None for the world's own."""
        self._episode_seeds = episode_seeds
        self._episode_index = [-1] * num_workers
        self._actions: list[list[np.ndarray]] = [[] for _ in range(num_workers)]
        self._returns = [0.0] * num_workers
        self._finished: list[dict[str, float]] = []
        self._resume = False

    # The hooks -------------------------------------------------------------------------------------------------

    @abstractmethod
    def start(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """Begin an episode in each named worker; its first observation `[O]`."""

    @abstractmethod
    def advance(self, actions: dict[int, np.ndarray]) -> dict[int, Step]:
        """Carry out one decision `[A]` in each named worker. May run them at the same time."""

    def send(self, actions: dict[int, np.ndarray]) -> None:
        """Told of the next `advance` before it is called, with the same actions; nothing else may come between.

        Simulators in processes of their own can begin with it at once. Here nothing happens: `advance` does it all.
        """

    @abstractmethod
    def metrics(self, worker: int) -> dict[str, float]:
        """Figures of the episode that just ended in `worker`, in the units their names tell."""

    def rows(self, steps: TensorDictBase) -> TensorDictBase:
        """Collected steps `[n]` as transitions, with every key of the layout; as they are where one acts alone."""
        return steps

    # Books -----------------------------------------------------------------------------------------------------

    def pop_finished(self) -> list[dict[str, float]]:
        """Metrics of the episodes that ended since the last call, with `seed`, `return` and `num_decisions`."""
        finished, self._finished = self._finished, []
        return finished

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Episode numbers and the running episodes' actions: enough to stand here again."""
        return {
            "episode_index": list(self._episode_index),
            "actions": [np.stack(a).tolist() if a else [] for a in self._actions],
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
        self._actions = [[np.asarray(a, dtype=np.float32) for a in actions] for actions in state["actions"]]
        self._resume = True

    # TorchRL ---------------------------------------------------------------------------------------------------

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDictBase:
        wanted = None if tensordict is None else tensordict.get("_reset", None)
        workers = range(self.num_workers) if wanted is None else wanted.view(-1).nonzero().view(-1).tolist()
        replay = self._resume and wanted is None
        observations = self._replay_episodes() if replay else self._begin(workers)
        self._resume = False
        out = self.observation_spec.zero()
        before = None if wanted is None or tensordict is None else tensordict.get("observation", None)
        if before is not None:
            out.set("observation", before.clone())
        for worker, observation in observations.items():
            out["observation"][worker] = torch.as_tensor(observation)
        return out.update(self.full_done_spec.zero())

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        actions = dict(enumerate(tensordict.get("action").numpy().copy()))
        steps = self.advance(actions)
        out = TensorDict(
            {
                "observation": torch.from_numpy(np.stack([steps[w].observation for w in actions])).float(),
                **{
                    key: torch.tensor([[getattr(steps[w], key)] for w in actions], dtype=dtype)
                    for key, dtype in (
                        ("reward", torch.float32),
                        ("duration", torch.float32),
                        ("terminated", torch.bool),
                        ("truncated", torch.bool),
                        ("failed", torch.bool),
                    )
                },
            },
            batch_size=self.batch_size,
        )
        out["truncated"] |= out["failed"]
        out["done"] = out["terminated"] | out["truncated"]
        for worker, step in steps.items():
            self._actions[worker].append(actions[worker])
            self._returns[worker] += step.reward
            if out["done"][worker] and not step.failed:
                self._finished.append(
                    {
                        "seed": float(self._seed_of(worker)),
                        "return": self._returns[worker],
                        "num_decisions": float(len(self._actions[worker])),
                        **self.metrics(worker),
                    }
                )
        return out

    def _set_seed(self, seed: int | None) -> None:
        """Episodes are seeded by `episode_seeds`; a TorchRL seed starts their numbering anew."""
        self._episode_index = [-1] * self.num_workers

    def _seed_of(self, worker: int) -> int:
        return self._episode_seeds(worker, self._episode_index[worker])

    def _begin(self, workers: Iterable[int]) -> dict[int, np.ndarray]:
        """The next episode in each of `workers`."""
        for worker in workers:
            self._episode_index[worker] += 1
            self._actions[worker], self._returns[worker] = [], 0.0
        return self.start({w: self._seed_of(w) for w in workers})

    def _replay_episodes(self) -> dict[int, np.ndarray]:
        """Start the recorded episodes again and carry out their actions, all workers side by side.

        An episode that ends on the way (the simulator failed) cannot be taken up: its worker begins the next one.
        """
        observations = self.start({w: self._seed_of(w) for w in range(self.num_workers)})
        self._returns = [0.0] * self.num_workers
        for i in range(max(len(actions) for actions in self._actions)):
            steps = self.advance({w: a[i] for w, a in enumerate(self._actions) if i < len(a)})
            for worker, step in steps.items():
                observations[worker] = step.observation
                self._returns[worker] += step.reward
            ended = [w for w, step in steps.items() if step.failed or step.terminated or step.truncated]
            if ended:
                observations |= self._begin(ended)
        return observations
