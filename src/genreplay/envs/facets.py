"""Optional facets of an environment: what policies are compared with, a camera, an oracle.

A `World` has a facet or None in its place. A capability exists if its facet is not None.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError

DEFAULT_DEMAND = "default"
"""The demand of an environment with only one."""

NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})


class NamedDemand(NamedTuple):
    """A variant of the environment's episodes, such as an amount of traffic or a partner."""

    name: str
    in_range: bool
    """Whether training draws episodes like this."""


class BaselineRun(NamedTuple):
    """A baseline to play on whole episodes."""

    name: str
    settings: Mapping[str, Any] = NO_SETTINGS
    """Of a baseline that has some."""
    limit: float = inf
    """An episode sure to end worse than this in the primary metric may be given up. Its metrics are then a value worse
    than the limit, and the `simulated_seconds` it took."""
    brief: bool = False
    """Metrics other than the primary one may be left out where measuring them takes time."""


class SearchEpisode(NamedTuple):
    """One validation episode that a search for a baseline's settings requests."""

    settings: Mapping[str, Any]
    episode: int
    """Number of the validation episode."""
    limit: float
    """See `BaselineRun`."""


class SearchResult(NamedTuple):
    """The outcome of a search for a baseline's settings."""

    settings: dict[str, Any]
    num_tried: int


class EvaluationSet:
    """The demands and the baselines that policies are evaluated with; here one demand and no baseline.

    The environment's `BatchedEnv.play_baseline` plays the baselines.
    """

    baselines: tuple[str, ...] = ()
    """Names of the controllers to compare a policy with, the incumbent (the one in use) first."""
    sees: Mapping[str, str] = MappingProxyType({})
    """What each baseline sees of an episode, in a few words for tables; empty where all see the same."""
    policy_sees: str = ""
    """The same of a policy."""

    def demands(self, names: Sequence[str] | None = None) -> list[NamedDemand]:
        """The named demands; the environment's own choice for evaluations where `names` is None.

        Raises:
            UserError: there is no such demand.
        """
        if names is not None:
            raise UserError("--demand: this environment has one demand only; leave --demand out")
        return [NamedDemand(DEFAULT_DEMAND, True)]

    def search(
        self,
        name: str,
        play: Callable[[list[SearchEpisode]], list[float]],
        num_episodes: int,
        known: Sequence[Mapping[str, Any]],
    ) -> SearchResult | None:
        """Settings of a baseline that needs a search; None where there is nothing to search.

        Args:
            name: of the baseline.
            play: plays validation episodes of one demand and returns the primary metric of each.
            num_episodes: how many validation episodes there are.
            known: settings found for other demands, to begin with.
        """
        return None


class FilmRequest(NamedTuple):
    """The part of an episode to film."""

    demand: str | None
    """Name of its demand (see `EvaluationSet.demands`); None for the environment's own."""
    seed: int
    begin: int
    """First second to show; a step where the environment counts in steps, as in what follows."""
    seconds: int
    """How long to show it, s."""
    stride: int
    """Time from one picture to the next, s."""
    baseline: str | None
    """Name of the controller to show next to the policy; None for none."""


class Camera(ABC):
    """Pictures of episodes and, in some environments, of single transitions."""

    default_request: FilmRequest
    """What to film where the user gives nothing else."""

    @abstractmethod
    def film(self, policy: TensorDictModule, request: FilmRequest) -> Iterator[np.ndarray]:
        """Pictures `[height, width, 3]` (uint8) of an episode under `policy`.

        Raises:
            UserError: the request does not fit the environment.
        """

    def picture_transitions(self, transitions: TensorDictBase) -> Iterator[np.ndarray]:
        """A picture `[height, width, 3]` (uint8) of each transition `[N]`.

        Raises:
            UserError: this environment draws no transitions.
        """
        raise UserError("--synthetic: this environment draws no transitions; leave --synthetic out")


class Oracle(ABC):
    """The simulator's own answer to a transition, where an observation determines the whole state.

    It measures whether synthetic transitions obey the environment. Nothing that is trained on depends on it, and it
    moves no random stream.
    """

    @abstractmethod
    def simulate(self, transitions: TensorDictBase) -> TensorDict:
        """One simulator step from the states of transitions `[N]`, with their actions.

        Returns:
            next observation, reward and terminated `[N, *]`, and `POSSIBLE` `[N]` (bool): whether the environment can
            show this observation; where it cannot, the step begins at the nearest state that it can show.
        """

    def measure(self, transitions: TensorDictBase) -> dict[str, float]:
        """Figures of the environment's own on transitions `[N]`, real or synthetic, such as the share of valid ones."""
        return {}
