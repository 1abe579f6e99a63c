"""The generator learns a known distribution, and its condition steers what it draws."""

import pytest
import torch
from lightning.fabric import Fabric

from genreplay.generators.config import EdmConfig
from genreplay.generators.edm.generator import EdmGenerator
from genreplay.generators.fitting import fit
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import TransitionLayout, continuous_columns
from genreplay.transitions.keys import OBSERVATION
from tests.helpers.options import with_options

CODEC = Codec(TransitionLayout(tuple(continuous_columns(OBSERVATION, ["x", "y", "x + y"], -99.0, 99.0))))
NUM_ROWS = 2000


def mixture(seed):
    """Two clusters, at (-2, 10) and (2, 30), with a column that the other two fix; the condition is the mode, noisy."""
    rng = torch.Generator().manual_seed(seed)
    right = (torch.rand(NUM_ROWS, 1, generator=rng) < 0.3).float()
    x = 4 * right - 2 + 0.3 * torch.randn(NUM_ROWS, 1, generator=rng)
    y = 20 * right + 10 + 2 * torch.randn(NUM_ROWS, 1, generator=rng)
    condition = right + 0.05 * torch.randn(NUM_ROWS, 1, generator=rng)
    return torch.cat([x, y, x + y], dim=1), condition


@pytest.fixture(scope="module")
def fitted():
    rows, condition = mixture(0)
    options = {"network.hidden_width": 64, "fit.num_steps": 1200, "fit.batch_size": 128, "sampler.guidance_scale": 1.0}
    config = with_options(EdmConfig, options)
    generator = EdmGenerator(config, CODEC, conditional=True)
    metrics = fit(Fabric(accelerator="cpu", devices=1), generator, rows, condition, seed=0)
    assert metrics["loss_last"] < 0.8 * metrics["loss_first"]
    return generator


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 1.5])
@pytest.mark.parametrize(("mode", "centre"), [(0.0, (-2.0, 10.0)), (1.0, (2.0, 30.0))])
def test_the_condition_steers_the_samples(fitted, mode, centre, scale):
    fitted.config.sampler.guidance_scale = scale
    rows = fitted.sample(1000, torch.full((1000, 1), mode), seed=1).rows
    right = (rows[:, 0] > 0).float().mean().item()
    assert abs(right - mode) < 0.03
    assert (rows[:, :2].mean(dim=0) - torch.tensor(centre)).abs().div(torch.tensor([0.3, 2.0])).max() < 0.4
    assert 0.7 < rows[:, 0].std() / 0.3 < 1.4
    assert 0.7 < rows[:, 1].std() / 2.0 < 1.4


@pytest.mark.slow
def test_without_a_condition_it_draws_the_whole_distribution(fitted):
    rows, real = fitted.sample(4000, None, seed=2).rows, mixture(1)[0]
    assert abs((rows[:, 0] > 0).float().mean() - 0.3).item() < 0.06
    assert torch.allclose(torch.corrcoef(rows.T), torch.corrcoef(real.T), atol=0.03)
    assert torch.allclose(rows.std(dim=0), real.std(dim=0), rtol=0.08)


@pytest.mark.slow
def test_a_column_that_others_fix_stays_fixed(fitted):
    rows = fitted.sample(2000, None, seed=3).rows
    error = (rows[:, 2] - rows[:, 0] - rows[:, 1]).abs().mean() / rows[:, 2].std()
    assert error < 0.05
