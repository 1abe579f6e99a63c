"""Columns of very different scales, brought to one scale for the generator.

Shapes: N rows, D columns.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

CONSTANT_BELOW = 1e-6
"""A column counts as constant where its spread is below this share of its magnitude (or of 1, if that is larger)."""


class Normalizer(nn.Module):
    """An affine map of each column, fitted to data and kept in buffers, so that it is part of every checkpoint.

    A constant column becomes 0 and comes back as exactly its constant, whatever the generator drew for it.

    Args:
        width: D.
        kind: `standard` (zero mean, unit deviation) or `min_max` (to [-1, 1]).
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, width: int, kind: Literal["standard", "min_max"]):
        super().__init__()
        self.kind = kind
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def fit(self, rows: Tensor) -> None:
        """Take the scales from `rows` `[N, D]`."""
        # In float64: a deviation far below the mean drowns in float32.
        exact = rows.double()
        if self.kind == "min_max":
            low, high = exact.amin(dim=0), exact.amax(dim=0)
            shift, scale = (high + low) / 2, (high - low) / 2
        else:
            shift, scale = exact.mean(dim=0), exact.std(dim=0, correction=0)
        constant = scale <= CONSTANT_BELOW * shift.abs().clamp_min(1.0)
        self.scale.copy_(torch.where(constant, 0.0, scale))
        self.shift.copy_(torch.where(constant, exact[0], shift))

    def normalize(self, rows: Tensor) -> Tensor:
        """Rows `[N, D]` as the generator sees them."""
        inverse = torch.where(self.scale > 0, 1 / self.scale, 0.0)
        return (rows - self.shift) * inverse

    def denormalize(self, rows: Tensor) -> Tensor:
        """Rows `[N, D]` in their own units."""
        return rows * self.scale + self.shift

    def limit(self, rows: Tensor) -> Tensor:
        """Normalised rows `[N, D]` held in the range of the data: [-1, 1] for `min_max`, unlimited for `standard`."""
        return rows if self.kind == "standard" else rows.clamp(-1.0, 1.0)
