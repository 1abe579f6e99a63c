"""What the training loop needs to know of an environment.

A new environment is a `World` (its columns and its primary metric) and a `BatchedEnv` with three hooks (`start` an
episode, `advance` it by one decision, its `metrics`). Facets are optional: see `facets`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any

from genreplay.envs.batched import BatchedEnv, EpisodeSeeds
from genreplay.envs.facets import Camera, EvaluationSet, Oracle
from genreplay.transitions.columns import Column, TransitionLayout
from genreplay.transitions.keys import ACTION, OBSERVATION, Key

NO_UNITS: Mapping[str, str] = MappingProxyType({})


class World(ABC):
    """One environment to learn in. Built from its config dataclass alone."""

    layout: TransitionLayout
    """The columns of its transitions."""
    primary_metric: str
    """The metric that policies are compared by first; a key of `BatchedEnv.metrics`."""
    primary_unit: str
    minimise: bool
    """True where a lower primary metric is better."""
    metric_units: Mapping[str, str] = NO_UNITS
    """Units of the metrics to show, the primary metric first; empty for the primary metric alone."""
    parts_name: str = ""
    """What `BatchedEnv.parts` are, such as `movements`; empty where there are none."""
    discount_period: float = 1.0
    """Time over which the discount factor gamma applies once, in the unit of `Step.duration`."""
    episode_seconds: int = 0
    """Simulated length of an evaluation episode, s; 0 where time is not counted in seconds."""
    can_overlap: bool = False
    """Whether its simulators can step asynchronously (see `BatchedEnv.send`)."""

    evaluation: EvaluationSet = EvaluationSet()
    """The demands and baselines that policies are evaluated with."""
    camera: Camera | None = None
    """Draws its episodes; None where nothing is drawn."""
    oracle: Oracle | None = None
    """The simulator's own answer to transitions; None where a state cannot be reproduced from its observation."""

    @property
    def shown_units(self) -> Mapping[str, str]:
        """Units of the metrics to show, the primary metric first."""
        return self.metric_units or {self.primary_metric: self.primary_unit}

    def grade(self, part: Mapping[str, float | str]) -> str:
        """A grade of a row of `BatchedEnv.parts`, such as a level of service; empty where there is none."""
        return ""

    @abstractmethod
    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> BatchedEnv:
        """Parallel simulators. With `evaluation`, the episodes and the demand of evaluations."""

    def card(self) -> dict[str, Any]:
        """Inputs and outputs of a policy, for a controller outside genreplay; plain JSON."""

        def entries(key: Key) -> list[dict[str, Any]]:
            columns = sorted((c for c in self.layout.columns if c.key == key), key=lambda c: c.start)
            return [
                {"name": c.name, "width": c.width, **{k: v if isfinite(v) else None for k, v in _bounds(c).items()}}
                for c in columns
            ]

        return {"inputs": entries(OBSERVATION), "outputs": entries(ACTION)}


def _bounds(column: Column) -> dict[str, float]:
    low, high = (column.low, column.high) if column.kind == "continuous" else (0.0, 1.0)
    return {"low": low, "high": high}
