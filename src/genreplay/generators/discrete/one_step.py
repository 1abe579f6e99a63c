"""The outcome of a state and an action: categorical columns, each a copy of its current value or a new one.

Shapes: B rows, C input columns, T target columns, K choices of the widest target column, M members, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genreplay.generators.discrete.categories import Categories, Embedding
from genreplay.generators.discrete.masked_diffusion import ColumnLogits
from genreplay.generators.networks.residual import ResidualBlock

INITIAL_GATE = 2.0
"""Logit of copying in fresh weights: most columns stay as they are in most steps."""


def counterparts(inputs: Categories, targets: Categories) -> Tensor:
    """`[T]`: for each target column the input column of the same tensor, place and width; -1 where there is none."""
    places = {(c.key, c.start, c.width): i for i, c in enumerate(inputs.columns)}
    found = []
    for column in targets.columns:
        assert isinstance(column.key, tuple)
        found.append(places.get((column.key[1], column.start, column.width), -1))
    return torch.tensor(found)


def copy_gate_log_prob(logits: Tensor, gate: Tensor, current: Tensor, target: Tensor) -> Tensor:
    """Log-likelihood `[B, T]` of `target` under p = g 1[current] + (1 - g) softmax(logits), g = sigmoid(gate).

    Args:
        logits: `[B, T, K]`.
        gate: `[B, T]`; -inf where there is nothing to copy.
        current: `[B, T]`, -1 where there is nothing to copy.
        target: `[B, T]`.
    """
    drawn = F.logsigmoid(-gate) + logits.log_softmax(dim=2).gather(2, target.unsqueeze(2)).squeeze(2)
    copied = F.logsigmoid(gate).masked_fill(target != current, -torch.inf)
    return torch.logaddexp(drawn, copied)


def copy_gate_probabilities(logits: Tensor, gate: Tensor, current: Tensor) -> Tensor:
    """The probability `[B, T, K]` of every choice; arguments as in `copy_gate_log_prob`."""
    copied = F.one_hot(current.clamp_min(0), logits.shape[2]) * gate.sigmoid().unsqueeze(2)
    return copied + (-gate).sigmoid().unsqueeze(2) * logits.softmax(dim=2)


class Outcome(NamedTuple):
    """The prediction of the ensemble."""

    codes: Tensor
    """`[B, T]`."""
    confidence: Tensor
    """`[B, 1]`: product over columns of the mean probability that the members give to the value in `codes`."""
    agree: Tensor
    """`[B, 1]` bool: whether the likeliest values of all members are the same, in all columns."""


def outcome(probabilities: Tensor) -> Outcome:
    """The likeliest value of every column under the members' mean of `probabilities` `[M, B, T, K]`."""
    mean = probabilities.mean(dim=0)
    codes = mean.argmax(dim=2)
    chosen = mean.gather(2, codes.unsqueeze(2)).squeeze(2)
    likeliest = probabilities.argmax(dim=3)
    agree = (likeliest == likeliest[:1]).all(dim=0).all(dim=1, keepdim=True)
    return Outcome(codes, chosen.prod(dim=1, keepdim=True), agree)


class OneStepHead(nn.Module):
    """One member: residual blocks on the input columns, then logits and a copy gate for each target column.

    Args:
        inputs: the columns it sees.
        targets: the columns that follow.
        width: W.
        num_blocks: residual blocks.
    """

    _sources: Tensor

    def __init__(self, inputs: Categories, targets: Categories, width: int, num_blocks: int):
        super().__init__()
        self.register_buffer("_sources", counterparts(inputs, targets), persistent=False)
        self.data = Embedding(inputs.sizes, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(num_blocks))
        self.norm = nn.LayerNorm(width)
        self.out = ColumnLogits(width, targets)
        self.gate = nn.Linear(width, len(targets))
        nn.init.constant_(self.gate.bias, INITIAL_GATE)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits `[B, T, K]`, gate `[B, T]` and current values `[B, T]` for input codes `[B, C]`."""
        stream = self.data(codes)
        for block in self.blocks:
            stream = block(stream)
        stream = F.silu(self.norm(stream))
        lacking = self._sources < 0
        current = codes[:, self._sources.clamp_min(0)].masked_fill(lacking, -1)
        return self.out(stream), self.gate(stream).masked_fill(lacking, -torch.inf), current


def member_share(codes: Tensor, num_members: int, share: float) -> Tensor:
    """Which rows each member learns from, `[M, B]` bool: a random `share` of all distinct inputs.

    It depends on the input alone, so it is the same in every batch, fit and process: a member never learns the
    outcome of an input outside its share, and members differ where little is known. An input in nobody's share goes to
    all.

    Args:
        codes: inputs `[B, C]`.
        num_members: M.
        share: in (0, 1].
    """
    if share >= 1:
        return torch.ones(num_members, len(codes), dtype=torch.bool, device=codes.device)
    rng = torch.Generator().manual_seed(0)
    odd = torch.randint(1 << 62, (num_members, codes.shape[1]), generator=rng).to(codes.device) * 2 + 1
    # Multiplicative hashing, modulo 2^64; the upper bits of the last product are the well-mixed ones.
    mixed = (odd.unsqueeze(1) * (codes + 1)).sum(dim=2)
    mixed = (mixed ^ (mixed >> 32)) * 0x2545F4914F6CDD1D
    uniform = ((mixed >> 24) & 0xFFFFFFFF).double() / 2**32
    learns = uniform < share
    return learns | ~learns.any(dim=0)
