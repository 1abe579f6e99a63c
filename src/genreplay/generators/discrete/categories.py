"""Rows whose columns are all categorical, as integer codes.

Shapes: N rows, D entries of a row, C categorical columns, K choices of the widest column.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genreplay.common.errors import UserError
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column
from genreplay.transitions.keys import Key


class Categories(nn.Module):
    """C one-hot columns of a row `[N, D]`, as codes `[N, C]` and back. Codes of column c lie in [0, sizes[c]).

    The code `sizes[c]` of a column is its *mask*: the value is not known.

    Args:
        columns: in the order of the codes.
        starts: where each begins in the row.
    """

    real: Tensor
    """`[C, K]` bool: which of the K choices a column has."""
    _entries: Tensor
    _mask_codes: Tensor

    def __init__(self, columns: Sequence[Column], starts: Sequence[int]):
        super().__init__()
        self.columns, self.starts = tuple(columns), tuple(starts)
        self.sizes = tuple(column.width for column in columns)
        self.keys: tuple[Key, ...] = tuple(column.key for column in columns)
        choices = torch.arange(max(self.sizes))
        sizes = torch.tensor(self.sizes)
        self.register_buffer("real", choices < sizes[:, None], persistent=False)
        self.register_buffer("_mask_codes", sizes, persistent=False)
        # Entry of the row behind every choice; those that a column does not have point at its first.
        self.register_buffer(
            "_entries", torch.tensor(starts)[:, None] + choices * (choices < sizes[:, None]), persistent=False
        )

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def max_size(self) -> int:
        """K."""
        return max(self.sizes)

    @property
    def mask_codes(self) -> Tensor:
        """`[C]`: the code of each column's mask."""
        return self._mask_codes

    def encode(self, rows: Tensor) -> Tensor:
        """Codes `[N, C]` of rows `[N, D]`; a column that holds NaN is masked."""
        entries = rows[:, self._entries.flatten()].view(len(rows), *self._entries.shape)
        entries = entries.masked_fill(~self.real, -torch.inf)
        unknown = entries.isnan().any(dim=2)
        return torch.where(unknown, self.mask_codes, entries.nan_to_num(nan=0.0, neginf=-torch.inf).argmax(dim=2))

    def write(self, codes: Tensor, rows: Tensor) -> None:
        """Write codes `[N, C]`, none masked, into `rows` `[N, D]`, in place."""
        for i, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            rows[:, start : start + size] = F.one_hot(codes[:, i], size).to(rows.dtype)


def split_columns(codec: Codec, name: str) -> tuple[Categories, Categories]:
    """The current columns (state and action) and the next ones (`("next", ...)`).

    Raises:
        UserError: a generated column is not categorical; `name` is that of the generator.
    """
    for column in codec.columns:
        if column.kind != "categorical":
            raise UserError(
                f"generator.name: {name!r} generates categorical columns only, but {column.name!r} is {column.kind}; "
                f"use 'edm', or an environment of categorical columns"
            )
    starts, here = [], 0
    for column in codec.columns:
        starts.append(here)
        here += column.width
    pairs = list(zip(codec.columns, starts, strict=True))
    following = [pair for pair in pairs if isinstance(pair[0].key, tuple) and pair[0].key[0] == "next"]
    current = [pair for pair in pairs if pair not in following]
    if not current or not following:
        raise UserError(f"generator.name: {name!r} needs columns before and after the step")
    return _categories(current), _categories(following)


def _categories(pairs: list[tuple[Column, int]]) -> Categories:
    return Categories([column for column, _ in pairs], [start for _, start in pairs])


class Embedding(nn.Module):
    """The sum of one learned vector for each column's code (its mask has one too): `[N, C]` to `[N, W]`.

    The same as a linear layer on one-hots, at a fraction of the cost.
    """

    _offsets: Tensor

    def __init__(self, sizes: Sequence[int], width: int):
        super().__init__()
        with_mask = torch.tensor([0, *(size + 1 for size in sizes)])
        self.register_buffer("_offsets", with_mask.cumsum(0)[:-1], persistent=False)
        self.table = nn.EmbeddingBag(int(with_mask.sum()), width, mode="sum")
        nn.init.normal_(self.table.weight, std=len(sizes) ** -0.5)

    def forward(self, codes: Tensor) -> Tensor:
        """Vectors `[N, W]` of codes `[N, C]`."""
        return self.table(codes + self._offsets)
