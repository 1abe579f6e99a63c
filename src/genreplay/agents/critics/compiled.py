"""A critic update as one compiled function: targets, values, gradients, Adam and the moving targets.

Between its matrix products, which stay library calls, everything is generated code that passes through memory once:
bias, ReLU and casts together, and Adam together with the moving targets, where the eager update takes about twice as
many passes over all weights and one call for each.

Shapes: K batches in a block, B rows in a batch, N critics.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call, grad

from genreplay.agents.critics.stacked import StackedCritics
from genreplay.agents.critics.update import CriticBatch, loss_and_values, target_values
from genreplay.common.compilation import compiled
from genreplay.common.precision import multiplies_bfloat16


class CompiledUpdates:
    """K critic updates, in the very tensors that the critics, their targets and their optimiser hold.

    The optimiser's state is that of `torch.optim.Adam`, so checkpoints of compiled and eager updates are the same.
    The first call compiles, which takes from seconds to some minutes.

    Args:
        critics: N of them.
        targets: theirs.
        adam: of the critics' parameters, without weight decay.
        target_mode: as in `losses.soft_value`.
        target_update_rate: share of the new weights that the targets take over after each update.
    """

    def __init__(
        self,
        critics: StackedCritics,
        targets: StackedCritics,
        adam: torch.optim.Optimizer,
        target_mode: str,
        target_update_rate: float,
    ):
        self.critics, self.targets, self.adam = critics, targets, adam
        self._update = _compiled_update(critics, targets, adam, target_mode, target_update_rate)

    @torch.no_grad()
    def __call__(self, block: CriticBatch, temperature: Tensor) -> tuple[Tensor, Tensor]:
        """Values `[N, K, B, 1]` and targets `[K, B, 1]` of all updates, each before its own step.

        Args:
            block: of K updates.
            temperature: scalar.

        Raises:
            CannotCompile: the critics cannot be compiled on this machine; no weight has changed.
        """
        num_updates, parameters = len(block.inputs), list(self.critics.parameters())
        states = [_adam_state(self.adam, parameter) for parameter in parameters]
        group = self.adam.param_groups[0]
        counts = states[0]["step"].double() + torch.arange(1, num_updates + 1)
        step_sizes, root_biases = (
            tensor.float().unbind()
            for tensor in (group["lr"] / (1 - group["betas"][0] ** counts), (1 - group["betas"][1] ** counts).sqrt())
        )
        weights = [parameter.detach() for parameter in parameters]
        moving = [parameter.detach() for parameter in self.targets.parameters()]
        moments = [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states]
        bfloat16 = multiplies_bfloat16(block.inputs)
        values, targets = [], []
        for k in range(num_updates):
            q, target = self._update(
                weights, moving, *moments, block.at(k), temperature, step_sizes[k], root_biases[k], bfloat16
            )
            values.append(q)
            targets.append(target)
        torch._foreach_add_([state["step"] for state in states], num_updates)
        return torch.stack(values, dim=1), torch.stack(targets)


def _adam_state(adam: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """Adam's state of a parameter, created as Adam does before its first step."""
    if not adam.state[parameter]:
        adam.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        }
    return adam.state[parameter]


def _compiled_update(
    critics: StackedCritics,
    target_critics: StackedCritics,
    adam: torch.optim.Optimizer,
    target_mode: str,
    target_update_rate: float,
) -> Callable[..., tuple[Tensor, Tensor]]:
    names = [name for name, _ in critics.named_parameters()]
    (beta1, beta2), epsilon = adam.param_groups[0]["betas"], adam.param_groups[0]["eps"]

    def update(
        weights: list[Tensor],
        moving: list[Tensor],
        exp_avgs: list[Tensor],
        exp_avg_sqs: list[Tensor],
        batch: CriticBatch,
        temperature: Tensor,
        step_size: Tensor,
        root_bias: Tensor,
        bfloat16: bool,
    ) -> tuple[Tensor, Tensor]:
        """REDQ's algorithm 1, lines 6 to 11, and Adam (Kingma and Ba, 2015) as torch computes it."""

        def with_weights(module: StackedCritics, tensors: list[Tensor]) -> Callable[..., Tensor]:
            named = dict(zip(names, tensors, strict=True))
            return lambda *inputs: functional_call(module, named, inputs, {"bfloat16": bfloat16})

        def loss_of(tensors: list[Tensor]) -> tuple[Tensor, Tensor]:
            return loss_and_values(with_weights(critics, tensors), batch, target)

        target = target_values(with_weights(target_critics, moving), batch, temperature, target_mode)
        gradients, q = grad(loss_of, has_aux=True)(weights)
        for weight, slow, exp_avg, exp_avg_sq, gradient in zip(
            weights, moving, exp_avgs, exp_avg_sqs, gradients, strict=True
        ):
            exp_avg.lerp_(gradient, 1 - beta1)
            exp_avg_sq.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            weight.sub_(step_size * exp_avg / (exp_avg_sq.sqrt() / root_bias + epsilon))
            slow.lerp_(weight, target_update_rate)
        return q, target

    return compiled(update, "the critic update")
