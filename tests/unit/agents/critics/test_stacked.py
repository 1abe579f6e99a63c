"""Stacked critics are N separate networks, whichever way they are computed."""

import copy
import itertools
import math

import pytest
import torch
from torch import nn

from genreplay.agents.critics import fused_mlp
from genreplay.agents.critics.stacked import StackedCritics, move_targets
from genreplay.common import precision


def separate(critics, i, use_layer_norm):
    """Critic `i` as an ordinary network."""
    layers = []
    for j, hidden in enumerate(critics.hidden):
        linear = nn.Linear(*hidden.weight.shape[1:])
        linear.weight.data, linear.bias.data = hidden.weight[i].detach().T.contiguous(), hidden.bias[i, 0].detach()
        layers.append(linear)
        if use_layer_norm:
            norm = nn.LayerNorm(hidden.weight.shape[2])
            norm.weight.data = critics.norms[j].gain[i, 0].detach()
            norm.bias.data = critics.norms[j].shift[i, 0].detach()
            layers.append(norm)
        layers.append(nn.ReLU())
    head = nn.Linear(*critics.value.weight.shape[1:])
    head.weight.data, head.bias.data = critics.value.weight[i].detach().T, critics.value.bias[i, 0].detach()
    return nn.Sequential(*layers, head)


def relative_error(rough, exact):
    return ((rough - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("num_values", [1, 5])
@pytest.mark.parametrize("use_layer_norm", [False, True])
def test_stacked_critics_are_separate_networks(use_layer_norm, num_values):
    torch.manual_seed(0)
    critics = StackedCritics(3, 7, 8, use_layer_norm, num_values)
    for norm in critics.norms:
        nn.init.normal_(norm.gain), nn.init.normal_(norm.shift)
    inputs = torch.randn(10, 7)
    expected = torch.stack([separate(critics, i, use_layer_norm)(inputs) for i in range(3)])
    assert expected.std(dim=0).min() > 0
    torch.testing.assert_close(critics(inputs), expected)
    torch.testing.assert_close(critics(inputs, torch.tensor([2, 0])), expected[[2, 0]])


@pytest.mark.parametrize("num_values", [1, 5])
def test_fused_networks_equal_separate_ones_with_their_gradients(num_values):
    torch.manual_seed(0)
    critics, inputs = StackedCritics(3, 7, 64, num_values=num_values), torch.randn(256, 7, requires_grad=True)
    assert fused_mlp.supports(inputs, 64)
    networks = [separate(critics, i, False) for i in range(3)]
    expected = torch.stack([network(inputs) for network in networks])
    values = critics(inputs)
    torch.testing.assert_close(values, expected)
    torch.testing.assert_close(critics(inputs, torch.tensor([2, 0])), expected[[2, 0]])

    seed = torch.randn_like(values)
    parameters = [*critics.hidden[0].parameters(), *critics.hidden[1].parameters(), *critics.value.parameters()]
    ours = torch.autograd.grad(values, [inputs, *parameters], seed)
    theirs = torch.autograd.grad(expected, [inputs, *(p for net in networks for p in net.parameters())], seed)
    torch.testing.assert_close(ours[0], theirs[0])
    for j, gradient in enumerate(ours[1:]):
        for i in range(3):
            of_one = theirs[1 + 6 * i + j]
            torch.testing.assert_close(gradient[i], of_one.T if j % 2 == 0 else of_one[None], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("use_layer_norm", [False, True])
@pytest.mark.parametrize("num_values", [1, 5])
def test_bfloat16_values_and_gradients_are_close_to_those_of_fp32(num_values, use_layer_norm):
    torch.manual_seed(0)
    critics, inputs = StackedCritics(3, 7, 64, use_layer_norm, num_values), torch.randn(256, 7, requires_grad=True)
    subset, learned = torch.tensor([2, 0]), [inputs, *critics.parameters()]
    exact, rough = (critics(inputs, bfloat16=bfloat16) for bfloat16 in (False, True))
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    assert relative_error(rough, exact) < 0.01
    torch.testing.assert_close(critics(inputs, subset, bfloat16=True), rough[subset])
    seed = torch.randn_like(exact)
    gradients = (torch.autograd.grad(values, learned, seed) for values in (exact, rough))
    for of_exact, of_rough in zip(*gradients, strict=True):
        assert of_rough.dtype == torch.float32
        # More than its bits: where rounding turns a unit on or off, a whole gradient comes or goes.
        assert relative_error(of_rough, of_exact) < 0.1


@pytest.mark.parametrize("use_layer_norm", [False, True])
def test_medium_precision_takes_bfloat16_where_the_cpu_has_it(monkeypatch, use_layer_norm):
    torch.manual_seed(0)
    critics, inputs = StackedCritics(3, 7, 64, use_layer_norm), torch.randn(256, 7)
    for has_it, setting in itertools.product((False, True), ("highest", "high", "medium")):
        monkeypatch.setattr(precision, "_CPU_HAS_BFLOAT16", has_it)
        with precision.matmul_precision(setting):
            values = critics(inputs)
        is_rough = relative_error(values, critics(inputs)) > 1e-4
        assert is_rough == (has_it and setting == "medium")


@pytest.mark.parametrize(("width", "dtype"), [(8, torch.float32), (64, torch.float64)])
def test_small_or_double_networks_are_not_fused(width, dtype):
    assert not fused_mlp.supports(torch.zeros(256, 7, dtype=dtype), width)


def test_critics_start_in_law_as_linear_layers_do():
    torch.manual_seed(0)
    critics = StackedCritics(8, 50, 256)
    for layer, in_width in [(critics.hidden[0], 50), (critics.hidden[1], 256), (critics.value, 256)]:
        for parameter in (layer.weight, layer.bias):
            bound, n = 1 / math.sqrt(in_width), parameter.numel()
            assert parameter.abs().max() <= bound
            assert parameter.mean().abs() < 4 * bound / math.sqrt(3 * n)
            if n > 1000:
                assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    reference = nn.Linear(256, 256).weight
    assert critics.hidden[1].weight.std().item() == pytest.approx(reference.std().item(), rel=0.02)
    assert not torch.equal(critics.hidden[1].weight[0], critics.hidden[1].weight[1])


def test_targets_move_by_the_rate():
    torch.manual_seed(0)
    online, targets = StackedCritics(2, 3, 4), StackedCritics(2, 3, 4)
    before = copy.deepcopy(targets)
    move_targets(targets, online, 0.25)
    for new, old, aim in zip(targets.parameters(), before.parameters(), online.parameters(), strict=True):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * aim)
