"""The codec between transitions in TensorDicts and generator rows.

Shapes: N rows, D generated columns, O observation, A action.

A generator sees rows `[N, D]` of plain numbers. The layout gives the kind of each (continuous, binary,
one-hot), its range and grid, and whether the environment's definitions determine it from the others (*derived*
columns). Only the codec turns rows into transitions, so every synthetic transition satisfies the environment's specs.
"""

from __future__ import annotations

import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor

from genreplay.common.errors import GeneratorDiverged
from genreplay.transitions.columns import Column, TransitionLayout
from genreplay.transitions.keys import DONE, IS_SYNTHETIC, TERMINATED, TRUNCATED


class Codec:
    """Turns transitions into generator rows and rows into valid transitions.

    Args:
        layout: the environment's columns.
        derive: leave derived columns to `layout.derive`; False generates every column, as SynthER and PGR do.
    """

    def __init__(self, layout: TransitionLayout, derive: bool = True):
        self.layout = layout
        self.derive = derive and layout.derive is not None
        self.columns = tuple(c for c in layout.columns if not (self.derive and c.derived))
        self.width = sum(c.width for c in self.columns)
        self._widths = layout.widths()

        names: list[str] = []
        low, high, resolution = [], [], []
        self._categorical: list[slice] = []
        self._places: list[tuple[Column, slice]] = []
        for column in self.columns:
            here = slice(len(names), len(names) + column.width)
            self._places.append((column, here))
            if column.kind == "categorical":
                self._categorical.append(here)
            bounded, width = column.kind == "continuous", column.width
            low += [column.low if bounded else 0.0] * width
            high += [column.high if bounded else 1.0] * width
            resolution += [column.resolution if bounded else 1.0] * width
            names += [column.name] if width == 1 else [f"{column.name}[{i}]" for i in range(width)]
        self.names = tuple(names)
        """One name for each of the D columns."""
        self.resolution = torch.tensor(resolution)
        """Grid of each of the D columns; 0 where there is none. Entries of one-hots lie on 0 and 1."""
        self._low, self._high = _bounds_on_grid(torch.tensor(low), torch.tensor(high), self.resolution)

    def encode(self, transitions: TensorDictBase) -> Tensor:
        """Rows `[N, D]` (float32) of transitions `[N]`."""
        parts = [transitions.get(c.key)[:, c.start : c.start + c.width].float() for c, _ in self._places]
        return torch.cat(parts, dim=1)

    def project(self, rows: Tensor) -> Tensor:
        """The nearest valid rows `[N, D]`: in range, on the grid, one-hots with exactly one 1."""
        low, high, grid = (t.to(rows.device) for t in (self._low, self._high, self.resolution))
        on_grid = torch.where(grid > 0, torch.round(rows / grid.clamp_min(1e-12)) * grid, rows)
        projected = torch.minimum(torch.maximum(on_grid, low), high)
        for here in self._categorical:
            choice = rows[:, here].argmax(dim=1)
            projected[:, here] = torch.nn.functional.one_hot(choice, here.stop - here.start).to(rows.dtype)
        return projected

    def decode(self, rows: Tensor) -> TensorDict:
        """Valid synthetic transitions `[N]` from generator rows `[N, D]`.

        Raises:
            ValueError: `rows` is not `[N, D]`.
            GeneratorDiverged: a value is not finite, which no projection can fix.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"rows have shape {tuple(rows.shape)}, but this layout has {self.width} columns")
        rows = rows.float()
        self._require_finite(rows)
        rows = self.project(rows)
        num_rows = rows.shape[0]
        transitions = TensorDict(
            {key: rows.new_zeros(num_rows, width) for key, width in self._widths.items()},
            batch_size=[num_rows],
        )
        for column, here in self._places:
            transitions.get(column.key)[:, column.start : column.start + column.width] = rows[:, here]
        if self.derive and self.layout.derive is not None:
            self.layout.derive(transitions)
        terminated = transitions.get(TERMINATED) > 0.5
        transitions.set(TERMINATED, terminated)
        transitions.set(TRUNCATED, torch.zeros_like(terminated))
        transitions.set(DONE, terminated.clone())
        transitions.set(IS_SYNTHETIC, torch.ones_like(terminated))
        return transitions

    def _require_finite(self, rows: Tensor) -> None:
        broken = ~rows.isfinite()
        if broken.any():
            column = self.names[int(broken.any(dim=0).nonzero()[0])]
            raise GeneratorDiverged(
                f"generator: {int(broken.any(dim=1).sum())} of {len(rows)} generated rows are not finite, "
                f"first in column {column!r}: it has diverged; lower generator.fit.learning_rate or fit it longer"
            )


def _bounds_on_grid(low: Tensor, high: Tensor, resolution: Tensor) -> tuple[Tensor, Tensor]:
    """The outermost values that are finite and on the grid: clamping to them keeps rows valid."""
    grid, has_grid = resolution.clamp_min(1e-12), resolution > 0
    # The slack keeps a bound that lies on the grid there, whatever the division rounds to.
    low = torch.where(has_grid & low.isfinite(), torch.ceil(low / grid - 1e-4) * grid, low)
    high = torch.where(has_grid & high.isfinite(), torch.floor(high / grid + 1e-4) * grid, high)
    largest = torch.finfo(torch.float32).max
    return low.clamp_min(-largest), high.clamp_max(largest)
