"""The policy compared with the best baseline of the very same episode: whether any of its episodes went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from genreplay.common.text import plain
from genreplay.evaluation.episode_pool import POLICY
from genreplay.evaluation.result import EvaluationResult

LIMIT = 2.0
"""An episode above this ratio counts as one that went wrong."""
HEADERS = ("worst ratio", "its seed", "best baseline there", f"episodes above {LIMIT:g}")
"""Of `rows`."""


class Ratio(NamedTuple):
    """One episode of the policy."""

    demand: str
    seed: int
    value: float
    """Its primary metric over the best baseline's."""
    best: str
    """The baseline with the least primary metric in this episode."""


def ratios(result: EvaluationResult) -> list[Ratio]:
    """A ratio for each episode of the policy; none without a policy or baselines, or where more is better."""
    if POLICY not in result.controllers or len(result.controllers) < 2 or not result.minimise:
        return []
    played: dict[tuple[str, int], dict[str, float]] = {}
    for spec, episode in zip(result.specs, result.episodes, strict=True):
        played.setdefault((spec.demand, spec.seed), {})[spec.controller] = episode[result.primary_metric]
    found = []
    for (demand, seed), values in played.items():
        own = values.pop(POLICY)
        best = min(values, key=lambda name: values[name])
        found.append(Ratio(demand, seed, _over(own, values[best]), best))
    return found


def num_above(found: Sequence[Ratio]) -> int:
    """Episodes with a ratio above `LIMIT`."""
    return sum(ratio.value > LIMIT for ratio in found)


def sentence(found: Sequence[Ratio], metric: str) -> str:
    """The worst episode and the number of those above the limit, in one line."""
    worst = max(found, key=lambda ratio: ratio.value)
    return (
        f"worst episode: the policy has {worst.value:.2f} times the {plain(metric)} of {worst.best}, the best baseline "
        f"there (demand {worst.demand}, seed {worst.seed}); {num_above(found)} of {len(found)} episodes above "
        f"{LIMIT:g} times"
    )


def rows(result: EvaluationResult, found: Sequence[Ratio]) -> dict[str, list[str]]:
    """By demand, of the worst episode its ratio, seed and best baseline, and how many are above the limit."""
    texts = {}
    for demand in result.demands:
        own = [ratio for ratio in found if ratio.demand == demand.name]
        worst = max(own, key=lambda ratio: ratio.value)
        name = demand.name if demand.in_range else f"{demand.name}*"
        texts[name] = [f"{worst.value:.2f}", str(worst.seed), worst.best, f"{num_above(own)} of {len(own)}"]
    return texts


def _over(own: float, best: float) -> float:
    if best > 0:
        return own / best
    return 1.0 if own <= best else inf
