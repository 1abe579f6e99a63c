"""What the loop needs of a world, and W simulators behind one TorchRL environment.

Shapes: W workers (parallel episodes), O observation, A action.

A new environment is a `World` (its layout, its primary metric) and a `BatchedEnv` with three hooks: `start` an
episode, `advance` it by one decision, tell its `metrics`. Seeds, resets, episode books and resuming are done here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf, isfinite
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.envs.batched import BatchedEnv, EpisodeSeeds
from genreplay.transitions.columns import Column, TransitionLayout
from genreplay.transitions.keys import ACTION, OBSERVATION, Key


class NamedDemand(NamedTuple):
    """What a world is asked for in an episode, such as traffic."""

    name: str
    in_range: bool
    """Whether training draws episodes like this."""


class SearchEpisode(NamedTuple):
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


class FilmRequest(NamedTuple):
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


DEFAULT_DEMAND = "default"
"""The demand of a world that has but one."""

NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})
NO_UNITS: Mapping[str, str] = MappingProxyType({})


class World(ABC):
    """One world to learn in. Built from its config dataclass alone."""

    primary_metric: str
    """The metric a person asks for first; a key of `BatchedEnv.metrics`."""
    primary_unit: str
    minimise: bool
    """True where a lower primary metric is better."""
    discount_period: float = 1.0
    """Time over which the discount factor gamma applies once, in the unit of `Step.duration`."""
    layout: TransitionLayout
    baselines: tuple[str, ...] = ()
    """Names of the controllers that a policy can be judged beside, the incumbent first."""
    can_overlap: bool = False
    """Whether its simulators work on a decision by themselves once they were told of it (`BatchedEnv.send`)."""
    has_film: bool = False
    """Whether `film` draws pictures."""
    metric_units: Mapping[str, str] = NO_UNITS
    """Units of the metrics to show, the primary metric first; empty for the primary metric alone."""
    episode_seconds: int = 0
    """Simulated length of an evaluation episode, s; 0 where time is not counted in seconds."""

    @property
    def shown_units(self) -> Mapping[str, str]:
        """Units of the metrics to show, the primary metric first."""
        return self.metric_units or {self.primary_metric: self.primary_unit}

    @property
    def default_shot(self) -> FilmRequest:
        """What to make pictures of where nobody says otherwise."""
        return FilmRequest(None, 101, 0, 240, 1, None)

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
        """Metrics by worker of a baseline on whole episodes of `env`, without a name of the incumbent (the fixed
        plan); None if there is none.

        An episode sure to end worse than `limit` in the primary metric may be given up: its metrics are then a value
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

    def film(self, policy: TensorDictModule, shot: FilmRequest) -> Iterator[np.ndarray]:
        """Pictures `[height, width, 3]` (uint8) of an episode under `policy`; UserError where the world draws none."""
        raise UserError("render: this environment draws no pictures; those of env.name sumo and overcooked do")

    def picture_transitions(self, transitions: TensorDictBase) -> Iterator[np.ndarray]:
        """A picture `[height, width, 3]` (uint8) of each transition `[N]`; UserError where the world draws none."""
        raise UserError("--synthetic: this environment draws no transitions; that of env.name overcooked does")

    def search(
        self,
        name: str,
        judge: Callable[[list[SearchEpisode]], list[float]],
        num_episodes: int,
        known: Sequence[Mapping[str, Any]],
    ) -> Found | None:
        """Settings of a baseline that has to be searched for; None where there is nothing to search.

        Args:
            name: of the baseline.
            judge: plays validation episodes of one demand; the primary metric of each.
            num_episodes: how many validation episodes there are.
            known: settings found for other demands, to begin with.
        """
        return None


def _bounds(column: Column) -> dict[str, float]:
    low, high = (column.low, column.high) if column.kind == "continuous" else (0.0, 1.0)
    return {"low": low, "high": high}
