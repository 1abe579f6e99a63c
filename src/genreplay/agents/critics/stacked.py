"""N critics as one module with stacked weights.

Every layer of all of them is one batched matrix product, or, where that is faster, see `fused_mlp`.

Shapes: B batch, I input, V values of an input, H hidden width, N critics, M subset of them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from genreplay.agents.critics.fused_mlp import fused_mlps, supports
from genreplay.common.precision import multiplies_bfloat16


def _pick(parameter: Tensor, subset: Tensor | None) -> Tensor:
    return parameter if subset is None else parameter.index_select(0, subset)


class StackedLinear(nn.Module):
    """N linear layers, each initialised in law as `nn.Linear` is.

    Args:
        num_layers: N.
        in_width: entries of an input row.
        out_width: entries of an output row.
    """

    def __init__(self, num_layers: int, in_width: int, out_width: int):
        super().__init__()
        bound = 1 / math.sqrt(in_width)
        self.weight = nn.Parameter(torch.empty(num_layers, in_width, out_width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_layers, 1, out_width).uniform_(-bound, bound))

    def forward(self, x: Tensor, subset: Tensor | None = None) -> Tensor:
        """`[M, B, out]` from `[M, B, in]`; layers `subset` `[M]`, or all N."""
        weight, bias = _pick(self.weight, subset), _pick(self.bias, subset)
        if weight.shape[2] == 1:
            # As a product, a single column costs a CPU six times as much, and its derivative eighteen times.
            return (x * weight.mT).sum(dim=-1, keepdim=True) + bias
        if torch.compiler.is_compiling():
            # Generated code adds the bias in the pass over memory that follows; the product would need two of its own.
            product = torch.bmm(x, weight)
            return product + bias.to(product.dtype)
        return torch.baddbmm(bias, x, weight)


class StackedLayerNorm(nn.Module):
    """N LayerNorms with their own gain and shift.

    Args:
        num_layers: N.
        width: entries of a row.
    """

    def __init__(self, num_layers: int, width: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(num_layers, 1, width))
        self.shift = nn.Parameter(torch.zeros(num_layers, 1, width))

    def forward(self, x: Tensor, subset: Tensor | None = None) -> Tensor:
        """`[M, B, width]` to the same shape; layers `subset` `[M]`, or all N."""
        return torch.addcmul(_pick(self.shift, subset), layer_norm(x, x.shape[-1:]), _pick(self.gain, subset))


class StackedCritics(nn.Module):
    """N independent critics: Q_i(s, a) of observation and action side by side, or Q_i(s, .) of an observation.

    Args:
        ensemble_size: N.
        in_width: I.
        hidden_width: H.
        use_layer_norm: LayerNorm before each ReLU.
        num_values: V, 1 where the action is an input, else the number of actions.
    """

    def __init__(
        self,
        ensemble_size: int,
        in_width: int,
        hidden_width: int,
        use_layer_norm: bool = False,
        num_values: int = 1,
    ):
        super().__init__()
        self.hidden = nn.ModuleList(
            StackedLinear(ensemble_size, width, hidden_width) for width in (in_width, hidden_width)
        )
        self.norms = nn.ModuleList(StackedLayerNorm(ensemble_size, hidden_width) for _ in self.hidden if use_layer_norm)
        self.value = StackedLinear(ensemble_size, hidden_width, num_values)

    def forward(self, inputs: Tensor, subset: Tensor | None = None, bfloat16: bool | None = None) -> Tensor:
        """Values `[N, B, V]` of inputs `[B, I]`; `[M, B, V]` of the critics `subset` `[M]` alone.

        `bfloat16`: whether to take the products of the hidden layers in it; None to decide by `multiplies_bfloat16`.
        The last layer, which is cheap, and LayerNorm stay in fp32.
        """
        if bfloat16 is None:
            bfloat16 = multiplies_bfloat16(inputs)
            if not self.norms and supports(inputs, self.value.weight.shape[1]):
                layers = [*self.hidden, self.value]
                return fused_mlps(
                    inputs,
                    [_pick(layer.weight, subset) for layer in layers],
                    [_pick(layer.bias, subset) for layer in layers],
                )
        num_critics = self.value.weight.shape[0] if subset is None else subset.shape[0]
        x = inputs.expand(num_critics, *inputs.shape)
        for i, linear in enumerate(self.hidden):
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                x = linear(x, subset)
            if self.norms:
                x = self.norms[i](x.to(inputs.dtype), subset)
            x = x.relu_()
        return self.value(x.to(inputs.dtype), subset)


@torch.no_grad()
def move_targets(targets: nn.Module, online: nn.Module, rate: float) -> None:
    """Soft update: targets <- (1 - rate) * targets + rate * online (REDQ, algorithm 1, line 11), in place."""
    torch._foreach_lerp_(list(targets.parameters()), list(online.parameters()), rate)
