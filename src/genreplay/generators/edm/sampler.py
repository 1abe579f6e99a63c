"""Solvers that turn noise into data by a denoiser, as pure functions.

Shapes: n rows, D columns.

`sigmas` are noise levels in falling order, as Python floats: no solver waits for a device. A last level of 0 means
that the last step goes to the denoiser's estimate.

Karras et al. (2022), "Elucidating the Design Space of Diffusion-Based Generative Models" (EDM);
Lu et al. (2022), "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

Denoise = Callable[[Tensor, float], Tensor]
"""`(x [n, D], sigma) -> x0 [n, D]`, the expected data behind x = x0 + sigma * noise."""


class Churn(NamedTuple):
    """How much noise stochastic Heun puts back (EDM, algorithm 2)."""

    amount: float
    """S_churn."""
    sigma_min: float
    """S_tmin."""
    sigma_max: float
    """S_tmax."""
    noise: float
    """S_noise."""

    def gamma(self, sigma: float, num_steps: int) -> float:
        """gamma_i: the relative rise of the noise level before the step from `sigma`."""
        if not self.sigma_min <= sigma <= self.sigma_max:
            return 0.0
        return min(self.amount / num_steps, math.sqrt(2) - 1)


def karras_sigmas(num_steps: int, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
    """`num_steps` noise levels from `sigma_max` to `sigma_min`, then 0 (EDM, equation 5; there `rho` is positive)."""
    top, bottom = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(top + i / (num_steps - 1) * (bottom - top)) ** rho for i in range(num_steps)] + [0.0]


def heun(denoise: Denoise, noise: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Deterministic second-order sampling (EDM, algorithm 1) from standard normal `noise` `[n, D]`."""
    x = noise * sigmas[0]
    for sigma, sigma_next in pairwise(sigmas):
        x = _heun_step(denoise, x, sigma, sigma_next)
    return x


def stochastic_heun(
    denoise: Denoise, noise: Tensor, sigmas: Sequence[float], churn: Churn, rng: torch.Generator
) -> Tensor:
    """Heun with fresh noise before each step (EDM, algorithm 2), from standard normal `noise` `[n, D]`."""
    num_steps = len(sigmas) - 1
    x = noise * sigmas[0]
    for sigma, sigma_next in pairwise(sigmas):
        gamma = churn.gamma(sigma, num_steps)
        raised = sigma * (1 + gamma)
        if gamma > 0:
            fresh = torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
            x = x + fresh * (churn.noise * math.sqrt(raised**2 - sigma**2))
        x = _heun_step(denoise, x, raised, sigma_next)
    return x


def dpmpp_2m(denoise: Denoise, noise: Tensor, sigmas: Sequence[float]) -> Tensor:
    """DPM-Solver++(2M), one evaluation a step (Lu et al., algorithm 2), from standard normal `noise` `[n, D]`.

    Written for alpha = 1, where their lambda is -ln(sigma). The first step and a step to 0 are of first order.
    """
    x = noise * sigmas[0]
    previous: Tensor | None = None
    previous_h = 0.0
    for sigma, sigma_next in pairwise(sigmas):
        estimate = denoise(x, sigma)
        if sigma_next == 0:
            return estimate
        h = math.log(sigma / sigma_next)
        target = estimate
        if previous is not None:
            target = torch.lerp(previous, estimate, 1 + h / (2 * previous_h))
        x = torch.lerp(target, x, sigma_next / sigma)
        previous, previous_h = estimate, h
    return x


def _heun_step(denoise: Denoise, x: Tensor, sigma: float, sigma_next: float) -> Tensor:
    slope = (x - denoise(x, sigma)) / sigma
    euler = x + (sigma_next - sigma) * slope
    if sigma_next == 0:
        return euler
    slope_next = (euler - denoise(euler, sigma_next)) / sigma_next
    return x + (sigma_next - sigma) * 0.5 * (slope + slope_next)
