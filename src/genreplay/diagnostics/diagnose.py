"""Distances of synthetic transitions to real ones, compared with distances among real ones.

Shapes: N real rows, n synthetic rows, h rows of a half, D columns, C input columns (state, action), T target columns
(what followed).

The real rows are split at random in two halves. Every distance is taken twice, with equally many rows: from the first
half to synthetic rows, and from the first half to the second, the *yardstick* that perfect samples would reach. Where
relevance steers the generator toward some transitions, its marginals differ from the real ones by intent; consistency,
novelty and validity hold all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor

from genreplay.common.files import csv_text
from genreplay.diagnostics.distances import (
    NUM_QUERIES,
    column_scale,
    correlation_gap,
    coverage,
    marginal_distances,
    novelty,
    one_step_errors,
)
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import POSSIBLE

MIN_ROWS = 20
"""Rows of either kind below which a comparison says nothing."""
MAX_ROWS = 4_000
"""Real rows that are compared, drawn at random, so that the cost does not grow with the buffer."""
VALID_TOLERANCE = 0.1
"""A row counts as invalid where the codec moves a value this far beyond rounding it, in real standard deviations."""


@dataclass(frozen=True)
class Columns:
    """One entry for each of the D columns of a transition."""

    names: tuple[str, ...]
    real_mean: np.ndarray
    synthetic_mean: np.ndarray
    scale: np.ndarray
    """Standard deviation of the real rows; 1 where they are all alike."""
    wasserstein: np.ndarray
    """1-Wasserstein distance of real and synthetic marginal, in units of `scale`."""
    wasserstein_yardstick: np.ndarray
    ks: np.ndarray
    """Kolmogorov-Smirnov distance of the marginals, in [0, 1]."""
    ks_yardstick: np.ndarray
    prompted_wasserstein: np.ndarray
    """As `wasserstein`, to the real rows that prompts were drawn from; nan where there are no prompts."""
    prompted_wasserstein_yardstick: np.ndarray
    prompted_ks: np.ndarray
    prompted_ks_yardstick: np.ndarray
    invalid: np.ndarray
    """Share of generated rows whose value the codec has to move further than `VALID_TOLERANCE`; 0 where derived."""

    def metrics(self) -> dict[str, float]:
        """Mean and largest distance, mean yardstick over the columns; to prompted rows too where there are prompts."""
        found: dict[str, float] = {}
        for kind in ("", "prompted_") if np.isfinite(self.prompted_ks).all() else ("",):
            for distance in (f"{kind}wasserstein", f"{kind}ks"):
                values = getattr(self, distance)
                found |= {f"{distance}_mean": values.mean(), f"{distance}_max": values.max()}
                found[f"{distance}_yardstick"] = getattr(self, f"{distance}_yardstick").mean()
        return found

    def to_csv(self) -> str:
        """A table with a header, one line for each column."""
        fields_of = [field.name for field in fields(self) if field.name != "names"]
        return csv_text(
            {"column": name, **{field: f"{getattr(self, field)[i]:.6g}" for field in fields_of}}
            for i, name in enumerate(self.names)
        )


@dataclass(frozen=True)
class Diagnosis:
    """The result of `diagnose`."""

    metrics: dict[str, float]
    """See docs/diagnostics.md for each one's meaning."""
    columns: Columns
    real: np.ndarray
    """The real rows that were compared, `[N, D]`."""
    synthetic: np.ndarray
    """As many synthetic rows at most, `[n, D]`."""
    prompted: np.ndarray | None = None
    """The real rows that prompts were drawn from, `[*, D]`; None where there are no prompts, or too few such rows."""


class Oracle(Protocol):
    """The environment's own answers (see `envs.facets.Oracle`)."""

    def simulate(self, transitions: TensorDictBase) -> TensorDict:
        """The outcome of the transitions' states and actions."""

    def measure(self, transitions: TensorDictBase) -> dict[str, float]:
        """Further figures."""


def diagnose(
    codec: Codec,
    real: TensorDictBase,
    rows: Tensor,
    seed: int,
    prompted: TensorDictBase | None = None,
    oracle: Oracle | None = None,
) -> Diagnosis:
    """Compare generated rows with the real transitions that the generator was fitted to.

    Moves no global random stream.

    Args:
        codec: of the generator.
        real: transitions `[N]`, N at least `MIN_ROWS`.
        rows: drawn by the generator, before the codec projects them, `[n, codec.width]`, n at least `MIN_ROWS`.
        seed: of the split and of the one-step models.
        prompted: those of the real transitions whose relevances were the prompts, each as likely as any other; None
            where the rows were drawn without prompts.
        oracle: the environment's own answers; its figures are taken of all `rows` and of the compared real ones.
    """
    rng = np.random.default_rng(seed)
    whole = Codec(codec.layout, derive=False)
    rows = rows.detach().cpu().float()
    real = _some(real, rng)
    synthetic = codec.decode(rows[torch.from_numpy(_choice(len(rows), len(real), rng))])
    x, y = _table(whole, real), _table(whole, synthetic)
    excess = projection_excess(codec, rows) / column_scale(_table(codec, real))
    invalid = excess > VALID_TOLERANCE

    # The same number of rows on each side of every comparison.
    half = min(len(x) // 2, len(y))
    reference, held_out, generated, scale = x[:half], x[half : 2 * half], y[:half], column_scale(x)
    is_input, is_target, is_generated = _roles(codec, whole)
    close = None if prompted is None or len(prompted) < MIN_ROWS else _table(whole, _some(prompted, rng))
    columns = _compare_columns(whole.names, x, y, half, close, invalid, is_generated)
    error_yardstick, error = one_step_errors(reference, held_out, generated, is_input, is_target, seed)
    metrics = columns.metrics() | {
        "one_step_error": error,
        "one_step_error_yardstick": error_yardstick,
        "novelty": novelty(x / scale, y / scale),
        "invalid_rows": invalid.any(axis=1).mean(),
        "projection_distance": excess.mean(),
    }
    metrics |= _and_yardsticks(*(_distances(reference, other, scale) for other in (generated, held_out)))
    if oracle is not None:
        compared = (part[:NUM_QUERIES] for part in (synthetic, real))
        metrics |= _and_yardsticks(*(simulator_errors(whole, part, oracle.simulate, scale) for part in compared))
        metrics |= _and_yardsticks(oracle.measure(codec.decode(rows)), oracle.measure(real))
    return Diagnosis({name: float(value) for name, value in metrics.items()}, columns, x, y, close)


def _distances(reference: np.ndarray, other: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    """Distances of whole rows `[n, D]` from as many real ones."""
    return {
        "correlation_gap": correlation_gap(reference, other),
        "coverage": coverage(reference / scale, other / scale),
    }


def _and_yardsticks(of_synthetic: Mapping[str, float], of_real: Mapping[str, float]) -> dict[str, float]:
    """The figures of synthetic rows, and the same figures of real ones as their yardsticks."""
    return {**of_synthetic, **{f"{name}_yardstick": value for name, value in of_real.items()}}


# Environment ---------------------------------------------------------------------------------------------------------


def simulator_errors(
    whole: Codec,
    transitions: TensorDictBase,
    simulate: Callable[[TensorDictBase], TensorDict],
    scale: np.ndarray,
) -> dict[str, float]:
    """Errors of transitions `[n]`, compared with the environment's own steps from their states.

    Args:
        whole: codec of every column, none derived.
        transitions: to check.
        simulate: the environment's own step.
        scale: of each column, `[D]`.

    Returns:
        `simulator_error`: mean squared error of the outcome (next state, reward, end), in units of `scale`;
        `simulator_invalid_rows`: share of rows where some of it is off by more than `VALID_TOLERANCE`, or whose state
        is impossible; `simulator_impossible_states`: share of the latter alone.
    """
    answer = simulate(transitions)
    possible = answer.get(POSSIBLE).view(-1).cpu().numpy()
    claimed = _table(whole, transitions)
    right = _table(whole, transitions.clone(recurse=False).update(answer))  # columns without an answer stay
    off = np.abs(claimed - right)[:, _follows(whole)] / scale[_follows(whole)]
    return {
        "simulator_error": float(np.square(off).mean()),
        "simulator_invalid_rows": float(((off > VALID_TOLERANCE).any(axis=1) | ~possible).mean()),
        "simulator_impossible_states": float((~possible).mean()),
    }


# Validity ------------------------------------------------------------------------------------------------------------


def projection_excess(codec: Codec, rows: Tensor) -> np.ndarray:
    """How far the codec has to move each generated value beyond rounding it, `[n, D]`.

    Rounding to the nearest multiple or to the nearest of 0 and 1 is the codec's task, and counts as 0.
    """
    moved = (codec.project(rows) - rows).abs() - codec.resolution / 2.0
    return moved.clamp_min(0.0).double().numpy()


# Tables --------------------------------------------------------------------------------------------------------------


def _compare_columns(
    names: tuple[str, ...],
    real: np.ndarray,
    synthetic: np.ndarray,
    half: int,
    prompted: np.ndarray | None,
    invalid: np.ndarray,
    is_generated: np.ndarray,
) -> Columns:
    """Every column's figures; `invalid` `[n, codec.width]` tells which generated values were."""
    scale = column_scale(real)
    unknown = np.full(len(names), np.nan)
    of_prompted = (
        (unknown,) * 4 if prompted is None else _with_yardstick(prompted, synthetic, len(prompted) // 2, scale)
    )
    share = np.zeros(len(names))
    share[is_generated] = invalid.mean(axis=0)
    means = real.mean(axis=0), synthetic.mean(axis=0)
    return Columns(names, *means, scale, *_with_yardstick(real, synthetic, half, scale), *of_prompted, share)


def _with_yardstick(
    real: np.ndarray, synthetic: np.ndarray, half: int, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Wasserstein distances of real to synthetic and among real rows, then the same of Kolmogorov-Smirnov."""
    half = min(half, len(synthetic))
    wasserstein, ks = marginal_distances(real[:half], synthetic[:half], scale)
    wasserstein_yardstick, ks_yardstick = marginal_distances(real[:half], real[half : 2 * half], scale)
    return wasserstein, wasserstein_yardstick, ks, ks_yardstick


def _roles(codec: Codec, whole: Codec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which of `whole`'s columns are state and action, which follow from them by chance, and which were generated."""
    columns = [column for column in whole.columns for _ in range(column.width)]
    generated = np.array([not (codec.derive and column.derived) for column in columns])
    follows = _follows(whole)
    return ~follows, follows & generated, generated


def _follows(whole: Codec) -> np.ndarray:
    """Which columns tell what followed state and action, `[D]`."""
    return np.array([isinstance(column.key, tuple) for column in whole.columns for _ in range(column.width)])


def _some(transitions: TensorDictBase, rng: np.random.Generator) -> TensorDictBase:
    """`MAX_ROWS` of the transitions at most, in random order, on the CPU."""
    return transitions[torch.from_numpy(_choice(len(transitions), MAX_ROWS, rng))].cpu()


def _table(codec: Codec, transitions: TensorDictBase) -> np.ndarray:
    return codec.encode(transitions).double().numpy()


def _choice(num_rows: int, at_most: int, rng: np.random.Generator) -> np.ndarray:
    """All row numbers in random order, or `at_most` of them."""
    return rng.permutation(num_rows)[:at_most]
