"""N critics as one module: every layer of all of them is one batched matrix product.

Shapes: B batch, I input (observation and action), H hidden width, N critics, M subset of them.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn.functional import layer_norm


def _pick(parameter: Tensor, subset: Tensor | None) -> Tensor:
    return parameter if subset is None else parameter.index_select(0, subset)


class _Relu(Function):
    """ReLU that overwrites its input, and its gradient on the way back.

    At these sizes fresh memory costs a CPU more than the arithmetic. Both tensors are of this module's own making and
    nobody else holds them: the output of a layer, and the gradient of the next layer's product.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:  # type: ignore[override]
        x.relu_()
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward.grad_input(gradient, y, 0, grad_input=gradient)


class _RowProducts(Function):
    """`[N, B, 1]` from `[N, B, H]` and one row of weights each, `[N, 1, H]`.

    Autograd's own products of a matrix with a single column cost a CPU ten times as much as these.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x, weight)
        return torch.bmm(x, weight.mT)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        for_x, for_weight = ctx.needs_input_grad
        return gradient * weight if for_x else None, torch.bmm(gradient.mT, x) if for_weight else None


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
        return torch.baddbmm(_pick(self.bias, subset), x, _pick(self.weight, subset))


class StackedHead(nn.Module):
    """N linear layers with one output each, initialised in law as `nn.Linear` is.

    Args:
        num_layers: N.
        in_width: entries of an input row.
    """

    def __init__(self, num_layers: int, in_width: int):
        super().__init__()
        bound = 1 / math.sqrt(in_width)
        self.weight = nn.Parameter(torch.empty(num_layers, 1, in_width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_layers, 1, 1).uniform_(-bound, bound))

    def forward(self, x: Tensor, subset: Tensor | None = None) -> Tensor:
        """`[M, B, 1]` from `[M, B, in]`; layers `subset` `[M]`, or all N."""
        return _RowProducts.apply(x, _pick(self.weight, subset)) + _pick(self.bias, subset)


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
    """N independent critics Q_i(s, a).

    Args:
        ensemble_size: N.
        in_width: I, observation and action side by side.
        hidden_width: H.
        num_hidden_layers: ReLU layers before the value.
        use_layer_norm: LayerNorm before each ReLU.
    """

    def __init__(self, ensemble_size: int, in_width: int, hidden_width: int, num_hidden_layers: int,
                 use_layer_norm: bool = False):  # fmt: skip
        super().__init__()
        widths = [in_width] + [hidden_width] * num_hidden_layers
        self.hidden = nn.ModuleList(StackedLinear(ensemble_size, before, after) for before, after in pairwise(widths))
        self.norms = nn.ModuleList(StackedLayerNorm(ensemble_size, hidden_width) for _ in self.hidden if use_layer_norm)
        self.value = StackedHead(ensemble_size, hidden_width)

    def forward(self, inputs: Tensor, subset: Tensor | None = None) -> Tensor:
        """Values `[N, B, 1]` of inputs `[B, I]`; `[M, B, 1]` of the critics `subset` `[M]` alone."""
        num_critics = self.value.weight.shape[0] if subset is None else subset.shape[0]
        x = inputs.expand(num_critics, *inputs.shape)
        for i, linear in enumerate(self.hidden):
            x = linear(x, subset)
            if self.norms:
                x = self.norms[i](x, subset)
            x = _Relu.apply(x)
        return self.value(x, subset)


@torch.no_grad()
def move_targets(targets: nn.Module, online: nn.Module, rate: float) -> None:
    """Soft update: targets <- (1 - rate) * targets + rate * online (REDQ, algorithm 1, line 11), in place."""
    torch._foreach_lerp_(list(targets.parameters()), list(online.parameters()), rate)
