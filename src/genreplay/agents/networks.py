"""ReLU networks of the actors, and their products in bfloat16."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from genreplay.common.precision import multiplies_bfloat16


def relu_network(in_width: int, out_width: int, hidden_width: int, num_hidden_layers: int) -> nn.Sequential:
    """A network of `num_hidden_layers` ReLU layers."""
    layers: list[nn.Module] = []
    for before, after in pairwise([in_width] + [hidden_width] * num_hidden_layers):
        layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(hidden_width, out_width))


def bfloat16_outputs(network: nn.Sequential, inputs: Tensor) -> Tensor:
    """`network(inputs)`, where `common.precision` says so with the hidden layers' products in bfloat16."""
    if not multiplies_bfloat16(inputs):
        return network(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = network[:-1](inputs)
    return network[-1](hidden.float())
