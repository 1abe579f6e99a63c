"""The greens that each controller showed, by demand and stage, where the environment has stages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genreplay.evaluation.episode_pool import EpisodeSpec

NAME = "greens"
"""Of their file and their picture."""
LOW, HIGH = 10, 90
"""Quantiles, %."""


class Greens(NamedTuple):
    """The greens of one stage under one controller at one demand, of all its episodes together."""

    controller: str
    demand: str
    stage: int
    number: int
    median: float | None
    """s; like the quantiles None where the stage was never shown."""
    low: float | None
    """`LOW` % quantile, s."""
    high: float | None
    """`HIGH` % quantile, s."""
    share: float
    """Of the green time of all stages, between 0 and 1."""


def summarise(specs: Sequence[EpisodeSpec], lengths: Sequence[Sequence[Sequence[int]]]) -> list[Greens]:
    """A row for each controller, demand and stage, in the order of the specs; quantiles are interpolated linearly.

    Args:
        specs: of the episodes.
        lengths: of each episode (see `BatchedEnv.greens`); episodes without stages are left out.
    """
    shown: dict[tuple[str, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for spec, of_episode in zip(specs, lengths, strict=True):
        for stage, greens in enumerate(of_episode):
            shown[spec.controller, spec.demand][stage] += greens
    rows = []
    for (controller, demand), of_stage in shown.items():
        total = sum(map(sum, of_stage.values()))
        for stage, greens in of_stage.items():
            low, median, high = np.percentile(greens, [LOW, 50, HIGH]).tolist() if greens else (None, None, None)
            share = sum(greens) / total if total else 0.0
            rows.append(Greens(controller, demand, stage, len(greens), median, low, high, share))
    return rows
