"""The denoiser: a residual MLP inside the preconditioning of Karras et al. (2022), EDM.

Shapes: B rows, D columns, W width of the residual stream, F Fourier frequencies.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genreplay.common.precision import multiplies_bfloat16
from genreplay.generators.networks.condition import ConditionedNetwork, two_layers
from genreplay.generators.networks.residual import ResidualBlock

NUM_FREQUENCIES = 8


class Preconditioning(NamedTuple):
    """Scales around the network, shaped as sigma (EDM, table 1)."""

    skip: Tensor
    out: Tensor
    inp: Tensor
    noise: Tensor


def preconditioning(sigma: Tensor, sigma_data: float) -> Preconditioning:
    """c_skip, c_out, c_in and c_noise at noise level `sigma` (EDM, table 1)."""
    total = sigma.square() + sigma_data**2
    return Preconditioning(
        skip=sigma_data**2 / total,
        out=sigma * sigma_data * total.rsqrt(),
        inp=total.rsqrt(),
        noise=sigma.log() / 4,
    )


def denoise(
    network: Denoiser, x: Tensor, sigma: Tensor, context: Tensor, sigma_data: float, given: Tensor | None = None
) -> Tensor:
    """D(x; sigma) `[B, D]`, the expected data behind x (EDM, equation 7). `sigma` is `[B, 1]` or `[1, 1]`.

    `given` `[B, D]` holds the columns that are known, NaN elsewhere: the network sees them clean, and they come back.
    """
    c = preconditioning(sigma, sigma_data)
    if given is None:
        return c.skip * x + c.out * network(c.inp * x, c.noise, context)
    unknown = given.isnan()
    clean = c.skip * x + c.out * network(torch.where(unknown, c.inp * x, given), c.noise, context)
    return torch.where(unknown, clean, given)


def edm_loss(
    network: Denoiser,
    rows: Tensor,
    noise: Tensor,
    sigma: Tensor,
    context: Tensor,
    sigma_data: float,
    bfloat16: bool | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """Mean squared error of the network's own target, unit weight at every noise level (EDM, equation 8).

    Equal to lambda(sigma) |D(x; sigma) - y|^2 averaged over rows and columns, with lambda = 1 / c_out^2. Columns that
    are known enter the network clean and are left out of the average, which is then taken within each row first.

    Args:
        network: F in the paper.
        rows: y `[B, D]`, normalised.
        noise: standard normal `[B, D]`.
        sigma: `[B, 1]`.
        context: what `network.context` gave for the rows' conditions and known columns.
        sigma_data: standard deviation of y.
        bfloat16: as in `Denoiser.forward`.
        known: `[B, D]` or `[1, D]` bool, not all of a row; None for none.
    """
    c = preconditioning(sigma, sigma_data)
    x = torch.addcmul(rows, noise, sigma)
    target = (rows - c.skip * x) / c.out
    if known is None:
        return F.mse_loss(network(c.inp * x, c.noise, context, bfloat16), target)
    output = network(torch.where(known, rows, c.inp * x), c.noise, context, bfloat16)
    error = (output - target).square().masked_fill(known, 0.0)
    return (error.sum(dim=1) / (~known).sum(dim=1)).mean()


class Denoiser(ConditionedNetwork):
    """F(x, c_noise, condition): residual blocks on a stream to which data, noise level and condition are added.

    Args:
        num_columns: D.
        width: W.
        num_blocks: residual blocks, each with weights of its own.
        conditional: whether rows have a condition.
        with_known: whether some columns may be known, so that it is told which.
    """

    def __init__(self, num_columns: int, width: int, num_blocks: int, conditional: bool, with_known: bool = False):
        super().__init__()
        self.data = nn.Linear(num_columns, width)
        self.noise = nn.Sequential(FourierFeatures(NUM_FREQUENCIES), *two_layers(2 * NUM_FREQUENCIES + 1, width))
        self.add_condition(width, conditional)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(num_blocks))
        self.out = nn.Linear(width, num_columns)
        self.known = nn.Linear(num_columns, width, bias=False) if with_known else None

    def context(self, condition: Tensor | None, keep: Tensor | None, known: Tensor | None) -> Tensor:
        """As `embed`, and what tells which columns are `known` (`[B, D]` or `[1, D]` bool): `[B, W]` or `[1, W]`."""
        context = self.embed(condition, keep)
        return context if known is None or self.known is None else context + self.known(known.to(context.dtype))

    def forward(self, x: Tensor, c_noise: Tensor, context: Tensor, bfloat16: bool | None = None) -> Tensor:
        """The network's output `[B, D]` for scaled rows `[B, D]` at `c_noise` `[B, 1]` or `[1, 1]`.

        `bfloat16`: whether to take products in it, but for the first layer's, whose rounding would drown small noise;
        None: as `genreplay.common.precision` decides. The stream stays in fp32.
        """
        stream = self.data(x) + context
        with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16(x) if bfloat16 is None else bfloat16):
            stream = stream + self.noise(c_noise)
            for block in self.blocks:
                stream = block(stream)
            return self.out(F.silu(stream)).to(x.dtype)


class FourierFeatures(nn.Module):
    """A number and its sines and cosines at random frequencies (Tancik et al., 2020): `[B, 1]` to `[B, 2 F + 1]`."""

    frequencies: Tensor

    def __init__(self, num_frequencies: int):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(1, num_frequencies))

    def forward(self, x: Tensor) -> Tensor:
        """The features of `x` `[B, 1]`."""
        phase = 2 * math.pi * x * self.frequencies
        return torch.cat([x, phase.sin(), phase.cos()], dim=1)
