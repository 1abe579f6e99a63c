"""Comparison of arms, which are runs that differ in the training seed alone, by their evaluation curves.

The area under a curve is the mean of its evaluations. Estimates are interquartile means over seeds, with 95 % intervals
of the percentile bootstrap (Agarwal et al., 2021, section 4.1).

Shapes: S seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np

from genreplay.common.errors import UserError
from genreplay.common.files import read_csv
from genreplay.common.statistics import interquartile_mean, percentile_interval, resample

NUM_RESAMPLES = 10_000
SLACK = 100
"""Env steps by which an evaluation may be late."""
COLUMNS = ("arm", "seed", "env_step", "value")
"""Of `arms.csv`."""

Arm = Mapping[int, Mapping[int, float]]
"""The primary metric by seed and env step."""
Statistic = Callable[[Iterable[float]], float]
"""Of the evaluations of one run."""


class Estimate(NamedTuple):
    """An interquartile mean over seeds with its 95 % interval."""

    value: float
    low: float
    high: float


def make_arm(points: Iterable[tuple[int, int, float]], name: str) -> Arm:
    """The arm of points (seed, env step, value); UserError unless its runs were evaluated at the same env steps."""
    arm: dict[int, dict[int, float]] = {}
    for seed, step, value in points:
        arm.setdefault(seed, {})[step] = value
    if len({tuple(points) for points in arm.values()}) != 1:
        raise UserError(
            f"{name}: its runs were not evaluated at the same env steps; finish or leave out some (--seeds)"
        )
    return arm


def read_arm(place: str) -> Arm:
    """An arm of an `arms.csv`: the file's only one, or the one that is named behind a colon.

    Raises:
        UserError: there is no such file, or no such arm in it.
    """
    file, _, name = place.partition(".csv")
    path = Path(f"{file}.csv")
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; write NAME=FILE.csv:ARM or NAME=EXPERIMENT")
    rows = read_csv(path)
    names = list(dict.fromkeys(row["arm"] for row in rows))
    name = name.removeprefix(":") or (names[0] if len(names) == 1 else "")
    if name not in names:
        wrong = f"has no arm {name!r}" if name else "has several arms"
        raise UserError(f"{path}: {wrong}; choose one of {', '.join(names)}")
    return make_arm(
        ((int(row["seed"]), int(row["env_step"]), float(row["value"])) for row in rows if row["arm"] == name), place
    )


def only(arm: Arm, last: float, seeds: Collection[int]) -> Arm:
    """Evaluations up to env step `last` of some seeds (none: all); a late evaluation belongs to its env step."""
    return {
        seed: {step: value for step, value in points.items() if step < last + SLACK}
        for seed, points in arm.items()
        if not seeds or seed in seeds
    }


def since(arm: Arm, first: float) -> Arm:
    """The evaluations from env step `first` on."""
    return {seed: {step: value for step, value in points.items() if step >= first} for seed, points in arm.items()}


def aligned(arm: Arm, steps: Sequence[int]) -> Arm:
    """The same evaluations under the env steps of another arm, which several workers overshoot by a few."""
    for points in arm.values():
        if len(points) != len(steps) or any(abs(own - step) > SLACK for own, step in zip(points, steps, strict=True)):
            raise UserError(
                f"compare: the arms were not evaluated at the same env steps: {list(points)}, but the first one at "
                f"{list(steps)}"
            )
    return {seed: dict(zip(steps, points.values(), strict=True)) for seed, points in arm.items()}


def areas(arm: Arm, statistic: Statistic = mean) -> dict[int, float]:
    """Mean over evaluations, or another statistic of them, by seed."""
    return {seed: float(statistic(list(points.values()))) for seed, points in sorted(arm.items())}


def estimate(values: np.ndarray, rng: np.random.Generator) -> Estimate:
    """Interquartile mean over seeds `[S]` and its interval."""
    means = interquartile_mean(resample(values, rng, NUM_RESAMPLES))
    return Estimate(float(interquartile_mean(values)), *percentile_interval(means))


def difference(one: Mapping[int, float], other: Mapping[int, float], rng: np.random.Generator) -> Estimate:
    """Interquartile mean of `other` minus that of `one`: of the paired differences where both have the same seeds."""
    if one.keys() == other.keys():
        return estimate(np.array([other[seed] - one[seed] for seed in one]), rng)
    groups = [np.array(list(values.values())) for values in (one, other)]
    draws = [interquartile_mean(resample(values, rng, NUM_RESAMPLES)) for values in groups]
    value = interquartile_mean(groups[1]) - interquartile_mean(groups[0])
    return Estimate(float(value), *percentile_interval(draws[1] - draws[0]))


def arms_table(arms: Mapping[str, Arm], largest: bool) -> list[str]:
    """The Markdown lines of a comparison of every arm with the first one."""
    rng = np.random.default_rng(0)
    statistic: Statistic = max if largest else mean
    reference = next(iter(arms))
    lines = [
        f"| arm | seeds | {'largest' if largest else 'area'} | 95 % | less {reference} | 95 % |",
        "|---|---|---|---|---|---|",
    ]
    first = areas(arms[reference], statistic)
    for name, arm in arms.items():
        own = areas(arm, statistic)
        value, low, high = estimate(np.array(list(own.values())), rng)
        line = f"| {name} | {len(arm)} | {value:.1f} | {low:.1f} to {high:.1f} |"
        if name == reference:
            lines.append(f"{line} | |")
        else:
            value, low, high = difference(first, own, rng)
            lines.append(f"{line} {value:+.1f} | {low:+.1f} to {high:+.1f} |")
    return lines
