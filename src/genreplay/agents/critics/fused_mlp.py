"""N ReLU networks on a CPU, one after the other, forward and backward by hand.

Shapes: N networks, B rows, I input, V values, H hidden width (here any layer's `in` or `out`).

Why not one batched product for each layer, as on a GPU: the activations of one network (B x H) stay in the processor's
cache from layer to layer, those of all N do not. And PyTorch's fp32 `bmm` is MKL's, which leaves AVX-512 unused on
some AMD processors; oneDNN, which PyTorch ships as well, is about twice as fast there (on Zen 4 as fast). PyTorch has
it do fp32 linear layers only through the operator below, which has no derivative, hence the derivative here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def _find_linear() -> Any:
    """`(x, weight, bias, activation, ...) -> activation(x @ weight.T + bias)`; None in a PyTorch that lacks it.

    The operator is private to PyTorch: one that no longer takes these arguments, or gives something else, counts as
    absent.
    """
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return None
    linear, x = torch.ops.mkldnn._linear_pointwise, torch.eye(2)
    try:
        matches = torch.equal(linear(x, -x, torch.ones(2), "relu", [], ""), torch.ones(2, 2) - x)
    except (RuntimeError, TypeError):
        return None
    return linear if matches else None


_LINEAR = _find_linear()

MIN_PRODUCT = 2**20
"""B * H * H from which N separate products cost less than their N calls."""


def supports(inputs: Tensor, hidden_width: int) -> bool:
    """Whether `fused_mlps` can do inputs `[B, I]`, and is worth it. It keeps fp32 whatever torch's precision says."""
    return (
        _LINEAR is not None
        and inputs.device.type == "cpu"
        and inputs.dtype == torch.float32
        and inputs.ndim == 2
        and torch.get_float32_matmul_precision() == "highest"
        and inputs.shape[0] * hidden_width**2 >= MIN_PRODUCT
    )


def fused_mlps(inputs: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    """Outputs `[N, B, V]` of N networks with ReLU between their layers, with first derivatives.

    Args:
        inputs: `[B, I]`, the same for all.
        weights: of each layer, `[N, in, out]`; out is V in the last.
        biases: of each layer, `[N, 1, out]`.
    """
    return _FusedMlps.apply(inputs, len(weights), *weights, *biases)


class _FusedMlps(Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, num_layers: int, *parameters: Tensor) -> Tensor:
        weights, biases = parameters[:num_layers], parameters[num_layers:]
        saved, outputs = [], []
        for i in range(weights[0].shape[0]):
            x = inputs
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                x = _LINEAR(x, weight[i].T, bias[i, 0], "relu", [], "")
                saved.append(x)
            outputs.append(_affine(x, weights[-1][i], biases[-1][i, 0]))
        ctx.num_layers = num_layers
        ctx.save_for_backward(inputs, *weights, *saved)
        return torch.stack(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        inputs, *tensors = ctx.saved_tensors
        weights, hidden = tensors[: ctx.num_layers], tensors[ctx.num_layers :]
        for_inputs, for_parameters = ctx.needs_input_grad[0], ctx.needs_input_grad[2]
        d_inputs = torch.zeros_like(inputs) if for_inputs else None
        d_weights = [torch.empty_like(w) for w in weights] if for_parameters else []
        d_biases = [w.new_empty(w.shape[0], 1, w.shape[2]) for w in weights] if for_parameters else []
        depth = ctx.num_layers - 1
        for i in range(gradient.shape[0]):
            below = [inputs, *hidden[i * depth : (i + 1) * depth]]
            delta = gradient[i]
            for layer in range(depth, -1, -1):
                if for_parameters:
                    _product_into(d_weights[layer][i], below[layer].T, delta)
                    torch.sum(delta, dim=0, out=d_biases[layer][i, 0])
                if layer > 0:
                    delta = _times_transposed(delta, weights[layer][i])
                    torch.ops.aten.threshold_backward.grad_input(delta, below[layer], 0, grad_input=delta)
                elif d_inputs is not None:
                    d_inputs += _times_transposed(delta, weights[0][i])
        none = [None] * ctx.num_layers
        return (d_inputs, None, *(d_weights or none), *(d_biases or none))


def _affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """X @ weight + bias."""
    if weight.shape[1] == 1:
        return torch.addmv(bias, x, weight[:, 0]).unsqueeze(1)
    return _LINEAR(x, weight.T, bias, "none", [], "")


def _product_into(out: Tensor, left: Tensor, right: Tensor) -> None:
    """Out <- left @ right."""
    if right.shape[1] == 1:
        torch.mv(left, right[:, 0], out=out[:, 0])
    else:
        out.copy_(_LINEAR(left, right.T, None, "none", [], ""))


def _times_transposed(delta: Tensor, weight: Tensor) -> Tensor:
    """Delta @ weight.T, in memory of its own."""
    return delta * weight.T if delta.shape[1] == 1 else _LINEAR(delta, weight, None, "none", [], "")
