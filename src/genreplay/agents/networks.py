"""ReLU networks of the actors, with hidden products in bfloat16 where that is faster."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genreplay.common.precision import multiplies_bfloat16


def relu_network(in_width: int, out_width: int, hidden_width: int) -> nn.Sequential:
    """A network of two ReLU layers, as in SAC and REDQ."""
    return nn.Sequential(
        nn.Linear(in_width, hidden_width),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_width, hidden_width),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_width, out_width),
    )


def bfloat16_outputs(network: nn.Sequential, inputs: Tensor) -> Tensor:
    """`network(inputs)`; the hidden layers' products are in bfloat16 where `multiplies_bfloat16` is true."""
    if not multiplies_bfloat16(inputs):
        return network(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = network[:-1](inputs)
    return network[-1](hidden.float())
