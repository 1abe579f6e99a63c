"""Every solver against the published sampler, written here a second time in the paper's own terms (NumPy)."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp, wasserstein_distance

from genreplay.generators.config import EdmConfig
from genreplay.generators.edm.sampler import Churn, dpmpp_2m, heun, karras_sigmas, stochastic_heun
from genreplay.generators.networks.condition import guide

WEIGHTS, CENTRES, SPREAD = np.array([0.3, 0.7]), np.array([[-1.0, 0.5], [1.0, -0.5]]), 0.25
NUM_ROWS = 6000
DEFAULT = EdmConfig().sampler
SAME = 0.035
"""KS statistic below which two samples of 6,000 rows count as alike; 0.0298 is its 1 % level."""


def mixture_denoiser(x, sigma, weights=WEIGHTS):
    """E[x0 | x] for a mixture of two round Gaussians."""
    variance = SPREAD**2 + sigma**2
    log_likelihood = -((x[:, None, :] - CENTRES) ** 2).sum(axis=2) / (2 * variance) + np.log(weights)
    posterior = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    each = CENTRES + (x[:, None, :] - CENTRES) * SPREAD**2 / variance
    return (posterior[:, :, None] * each).sum(axis=1)


def published(predict, correct, num_steps, seed):
    """EDM algorithm 2 with SynthER's constants; PGR's release predicts and corrects with different denoisers."""
    rng = np.random.default_rng(seed)
    i = np.arange(num_steps)
    t = (80 ** (1 / 7) + i / (num_steps - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    t = np.append(t, 0.0)
    x = rng.standard_normal((NUM_ROWS, 2)) * t[0]
    for k in range(num_steps):
        gamma = min(80 / num_steps, 2**0.5 - 1) if 0.05 <= t[k] <= 50 else 0.0
        t_hat = t[k] + gamma * t[k]
        x_hat = x + np.sqrt(t_hat**2 - t[k] ** 2) * 1.003 * rng.standard_normal(x.shape)
        d = (x_hat - predict(x_hat, t_hat)) / t_hat
        x = x_hat + (t[k + 1] - t_hat) * d
        if t[k + 1] > 0:
            d_next = (x - correct(x, t[k + 1])) / t[k + 1]
            x = x_hat + (t[k + 1] - t_hat) * (d + d_next) / 2
    return x


def ours(solver, num_steps, denoise, levels=(0.002, 80.0, 7.0)):
    noise = torch.randn(NUM_ROWS, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    sigmas = karras_sigmas(num_steps, *levels)

    def in_torch(x, sigma):
        return torch.from_numpy(denoise(x.numpy(), sigma))

    if solver == "stochastic_heun":
        rng = torch.Generator().manual_seed(6)
        return stochastic_heun(in_torch, noise, sigmas, Churn(80.0, 0.05, 50.0, 1.003), rng).numpy()
    return {"heun": heun, "dpmpp_2m": dpmpp_2m}[solver](in_torch, noise, sigmas).numpy()


@pytest.fixture(scope="module")
def reference():
    return published(mixture_denoiser, mixture_denoiser, 128, seed=0)


@pytest.mark.parametrize(
    ("solver", "num_steps", "levels"),
    [
        ("stochastic_heun", 128, (0.002, 80.0, 7.0)),
        ("heun", 32, (0.002, 80.0, 7.0)),
        ("dpmpp_2m", DEFAULT.num_steps, (DEFAULT.sigma_min, DEFAULT.sigma_max, DEFAULT.rho)),
    ],
)
def test_solver_draws_what_the_published_sampler_draws(solver, num_steps, levels, reference):
    rows = ours(solver, num_steps, mixture_denoiser, levels)
    for column in range(2):
        assert ks_2samp(rows[:, column], reference[:, column]).statistic < SAME
        assert wasserstein_distance(rows[:, column], reference[:, column]) < 0.04
    assert np.allclose(np.cov(rows.T), np.cov(reference.T), atol=0.04)


def test_a_solver_that_is_wrong_would_be_noticed(reference):
    one_step = ours("dpmpp_2m", 3, mixture_denoiser)
    assert ks_2samp(one_step[:, 0], reference[:, 0]).statistic > 2 * SAME


def test_guidance_2_of_the_release_is_1_5_here():
    """PGR's release guides the prediction alone. Conditional: more weight on the right; unconditional: WEIGHTS."""

    def guided(scale):
        def denoise(x, sigma):
            conditional = mixture_denoiser(x, sigma, np.array([0.1, 0.9]))
            return guide(conditional, mixture_denoiser(x, sigma), scale)

        return denoise

    theirs = published(guided(2.0), guided(1.0), 128, seed=1)
    alike = ks_2samp(ours("stochastic_heun", 128, guided(1.5))[:, 0], theirs[:, 0]).statistic
    unlike = ks_2samp(ours("stochastic_heun", 128, guided(2.0))[:, 0], theirs[:, 0]).statistic
    assert alike < SAME < unlike
