"""Solvers against a Gaussian, for which the perfect denoiser and the exact path are known."""

import math

import pytest
import torch

from genreplay.generators.config import EdmConfig
from genreplay.generators.edm.sampler import Churn, dpmpp_2m, heun, karras_sigmas, stochastic_heun
from genreplay.generators.networks.condition import guide

MEAN = torch.tensor([1.0, -2.0], dtype=torch.float64)
STD = torch.tensor([0.5, 1.5], dtype=torch.float64)
NO_CHURN = Churn(0.0, 0.05, 50.0, 1.003)
PUBLISHED_CHURN = Churn(80.0, 0.05, 50.0, 1.003)


def gaussian_denoiser(x, sigma):
    """E[x0 | x] for x0 ~ N(MEAN, STD^2), independent columns."""
    return MEAN + (x - MEAN) * STD**2 / (STD**2 + sigma**2)


def exact_path(noise, sigma_max, sigma_min):
    """Where the probability-flow ODE takes `noise * sigma_max`."""
    return MEAN + (noise * sigma_max - MEAN) * ((STD**2 + sigma_min**2) / (STD**2 + sigma_max**2)).sqrt()


def noise_rows(num_rows, seed=0):
    return torch.randn(num_rows, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_karras_sigmas_are_those_of_equation_5():
    sigmas = karras_sigmas(18, 0.002, 80.0, 7.0)
    assert len(sigmas) == 19
    assert sigmas[0] == pytest.approx(80.0)
    assert sigmas[17] == pytest.approx(0.002)
    assert sigmas[18] == 0.0
    assert sigmas[1] == pytest.approx(57.586, abs=1e-3)  # computed by hand from the paper's formula
    assert sigmas == sorted(sigmas, reverse=True)


@pytest.mark.parametrize("solver", [heun, dpmpp_2m])
def test_global_error_falls_with_the_square_of_the_step(solver):
    noise = noise_rows(64)
    num_steps = [16, 24, 32, 48, 64, 96]
    errors = []
    for n in num_steps:
        log_levels = torch.linspace(math.log(10.0), math.log(0.1), n + 1, dtype=torch.float64)
        ends = solver(gaussian_denoiser, noise, log_levels.exp().tolist())
        errors.append((ends - exact_path(noise, 10.0, 0.1)).abs().max().item())
    x = -torch.tensor(num_steps).double().log()
    y = torch.tensor(errors).double().log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    assert 1.8 < slope < 2.3, f"order {slope:.2f}"


@pytest.mark.parametrize(
    ("solver", "num_steps"),
    [("heun", 100), ("dpmpp_2m", 100), ("stochastic_heun", 256)],
)
def test_mean_and_covariance_are_those_of_the_gaussian(solver, num_steps):
    noise, sigmas = noise_rows(40_000), karras_sigmas(num_steps, 0.002, 80.0, 7.0)
    if solver == "stochastic_heun":
        rows = stochastic_heun(
            gaussian_denoiser, noise, sigmas, Churn(80.0, 0.05, 50.0, 1.0), torch.Generator().manual_seed(1)
        )
    else:
        rows = {"heun": heun, "dpmpp_2m": dpmpp_2m}[solver](gaussian_denoiser, noise, sigmas)
    # Sampling errors: std / sqrt(n) = 0.0075 for the mean, std^2 sqrt(2 / n) = 0.016 for the variance. Starting at
    # mean 0 instead of MEAN leaves MEAN * STD / 80 = 0.04 of the deterministic solvers' mean.
    assert torch.allclose(rows.mean(dim=0), MEAN, atol=0.06)
    assert torch.allclose(torch.cov(rows.T), torch.diag(STD**2), atol=0.07)


@pytest.mark.parametrize(("rho", "least", "most"), [(EdmConfig().sampler.rho, 0.0, 0.02), (7.0, 0.1, 0.11)])
def test_default_levels_change_no_column_by_more_than_2_percent_where_the_published_bend_does(rho, least, most):
    config = EdmConfig().sampler
    sigmas = karras_sigmas(config.num_steps, config.sigma_min, config.sigma_max, rho)
    stds = torch.tensor([0.03, 0.1, 0.3, 1.0, 1.5], dtype=torch.float64)
    rows = dpmpp_2m(lambda x, sigma: x * stds**2 / (stds**2 + sigma**2), torch.ones(1, 5, dtype=torch.float64), sigmas)
    assert least < (rows[0] / stds - 1).abs().max() < most


def test_stochastic_heun_without_churn_is_heun():
    noise, sigmas = noise_rows(8), karras_sigmas(12, 0.002, 80.0, 7.0)
    rng = torch.Generator().manual_seed(0)
    assert torch.equal(
        stochastic_heun(gaussian_denoiser, noise, sigmas, NO_CHURN, rng), heun(gaussian_denoiser, noise, sigmas)
    )


def test_churn_is_limited_in_range_and_size():
    assert PUBLISHED_CHURN.gamma(1.0, 128) == pytest.approx(math.sqrt(2) - 1)
    assert PUBLISHED_CHURN.gamma(1.0, 800) == pytest.approx(0.1)
    assert PUBLISHED_CHURN.gamma(0.04, 128) == 0.0
    assert PUBLISHED_CHURN.gamma(51.0, 128) == 0.0


@pytest.mark.parametrize(("solver", "evaluations"), [(heun, 23), (dpmpp_2m, 12)])
def test_number_of_network_evaluations(solver, evaluations):
    calls = []

    def counting(x, sigma):
        calls.append(sigma)
        return gaussian_denoiser(x, sigma)

    solver(counting, noise_rows(2), karras_sigmas(12, 0.002, 80.0, 7.0))
    assert len(calls) == evaluations
    assert min(calls) > 0


def test_guidance_runs_from_unconditional_over_conditional_beyond():
    conditional, unconditional = torch.tensor([[3.0]]), torch.tensor([[1.0]])
    assert [guide(conditional, unconditional, w).item() for w in (0.0, 1.0, 2.0)] == [1.0, 3.0, 5.0]
