"""Masked (absorbing-state) discrete diffusion: the loss, the sampler and the network.

Shapes: B or n rows, C categorical columns, K choices of the widest column, W width of the residual stream.

Noise replaces values by a mask; the network predicts every column's value from those that are left. Austin et al.
(2021), "Structured Denoising Diffusion Models in Discrete State-Spaces" (D3PM, absorbing); Sahoo et al. (2024),
"Simple and Effective Masked Diffusion Language Models" (MDLM); Shi et al. (2024), "Simplified and Generalized Masked
Diffusion for Discrete Data"; Hoogeboom et al. (2022), "Autoregressive Diffusion Models" (ARDM).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genreplay.generators.discrete.categories import Categories, Embedding
from genreplay.generators.networks.condition import ConditionedNetwork
from genreplay.generators.networks.residual import ResidualBlock

Predict = Callable[[Tensor], Tensor]
"""`codes [n, C] (some masked) -> logits [n, C, K]`, -inf where a column has no such choice."""


def draw_mask(num_rows: int, num_columns: int, rng: torch.Generator) -> Tensor:
    """Which columns a training row hides, `[B, C]` bool: their number is uniform in 1..C, then every set as likely.

    The number that a noise level uniform in [0, 1] (MDLM's log-linear schedule) hides, given that it hides any.
    """
    order = torch.rand(num_rows, num_columns, generator=rng, device=rng.device).argsort(dim=1).argsort(dim=1)
    number = torch.randint(1, num_columns + 1, (num_rows, 1), generator=rng, device=rng.device)
    return order < number


def masked_loss(logits: Tensor, codes: Tensor, masked: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross entropy of the hidden columns, averaged within each row, then over rows.

    For masks of `draw_mask` its mean is the negative evidence lower bound per column, -log p(row) / C, with the noise
    level integrated out: the weight 1/t of MDLM (equation 10) becomes 1 / number hidden (ARDM, equation 4).

    Args:
        logits: `[B, C, K]`.
        codes: the true values, `[B, C]`.
        masked: `[B, C]` bool, at least one a row.
        weights: `[B]`, of the rows; None for all alike. Where they depend on visible values alone, the conditionals
            that are learned stay the same.
    """
    log_likelihood = logits.log_softmax(dim=2).gather(2, codes.unsqueeze(2)).squeeze(2)
    hidden = log_likelihood.masked_fill(~masked, 0.0)
    nll = -hidden.sum(dim=1) / masked.sum(dim=1)
    return (nll if weights is None else nll * weights).mean()


def unmask(
    predict: Predict,
    codes: Tensor,
    mask_codes: Tensor,
    num_steps: int,
    rng: torch.Generator,
    first: Tensor | None = None,
) -> Tensor:
    """Draw the masked entries of `codes` `[n, C]` in `num_steps` steps; what is given stays.

    Every row reveals its masked columns in a random order of its own, as evenly over the steps as they go (D3PM's
    absorbing reverse process with the number revealed in each step fixed). Columns revealed in one step are drawn
    independently of each other: with at least as many steps as masked columns there is one a step, and nothing is
    lost (ARDM, algorithm 1).

    Args:
        predict: logits of every column.
        codes: `[n, C]`, `mask_codes[c]` where column c is to be drawn.
        mask_codes: `[C]`.
        num_steps: T.
        rng: of the orders and the draws.
        first: `[C]` bool, columns that every row reveals before the others; None for none. An exact predictor draws the
            same distribution in any order. A learned one keeps the share of a rare value best where it is drawn first:
            drawn late, it needs everything that goes with it to have been drawn by then.
    """
    hidden = codes == mask_codes
    noise = torch.rand(codes.shape, generator=rng, device=codes.device)
    if first is not None:
        noise = noise - first.to(noise.dtype)
    rank = noise.masked_fill(~hidden, torch.inf).argsort(dim=1).argsort(dim=1)
    number = hidden.sum(dim=1, keepdim=True)
    most = int(number.max()) if len(codes) else 0
    num_steps = min(num_steps, most)
    for step in range(num_steps):
        probabilities = predict(codes).softmax(dim=2)
        race = torch.empty_like(probabilities).exponential_(generator=rng)
        drawn = (probabilities / race).argmax(dim=2)
        # Ceilings, so that rows with fewer masked columns than steps are done early.
        first, last = (torch.ceil(number * i / num_steps) for i in (step, step + 1))
        codes = torch.where(hidden & (rank >= first) & (rank < last), drawn, codes)
    return codes


class MaskedNetwork(ConditionedNetwork):
    """Logits of every column, from the columns that are not masked and a condition.

    Args:
        categories: the columns.
        width: W.
        num_blocks: residual blocks.
        conditional: whether rows have a condition.
    """

    def __init__(self, categories: Categories, width: int, num_blocks: int, conditional: bool):
        super().__init__()
        self.num_columns, self.max_size = len(categories), categories.max_size
        self.data = Embedding(categories.sizes, width)
        self.add_condition(width, conditional)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(num_blocks))
        self.norm = nn.LayerNorm(width)
        self.out = ColumnLogits(width, categories)

    def forward(self, codes: Tensor, context: Tensor) -> Tensor:
        """Logits `[B, C, K]` for codes `[B, C]`, some of them masks."""
        stream = self.data(codes) + context
        for block in self.blocks:
            stream = block(stream)
        return self.out(F.silu(self.norm(stream)))


class ColumnLogits(nn.Module):
    """A linear layer to the logits of every column: `[B, W]` to `[B, C, K]`, -inf where there is no such choice."""

    _places: Tensor

    def __init__(self, width: int, categories: Categories):
        super().__init__()
        self.linear = nn.Linear(width, sum(categories.sizes))
        self.shape = (len(categories), categories.max_size)
        places = torch.full(self.shape, sum(categories.sizes))
        places[categories.real] = torch.arange(sum(categories.sizes))
        self.register_buffer("_places", places.flatten(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of features `x` `[B, W]`."""
        flat = F.pad(self.linear(x), (0, 1), value=-torch.inf)
        return flat[:, self._places].view(len(x), *self.shape)
