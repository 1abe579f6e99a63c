"""The EDM generator: preconditioning, denoiser, normaliser, and what one fit leaves behind."""

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from genreplay.common import precision
from genreplay.common.errors import FieldError, GeneratorDiverged
from genreplay.generators.config import EdmConfig
from genreplay.generators.edm.denoiser import Denoiser, denoise, edm_loss, preconditioning
from genreplay.generators.fitting import Batches, fit
from genreplay.generators.networks.normalizer import Normalizer
from tests.helpers.edm import one_process, small, some_rows, weights
from tests.helpers.options import with_options

SIGMA = torch.tensor([[0.002], [0.1], [1.0], [7.0], [80.0]], dtype=torch.float64)


@pytest.mark.parametrize("sigma_data", [0.5, 1.0])
def test_preconditioning_gives_network_input_and_target_unit_variance(sigma_data):
    c = preconditioning(SIGMA, sigma_data)
    ones = torch.ones_like(SIGMA)
    assert torch.allclose(c.inp**2 * (sigma_data**2 + SIGMA**2), ones)  # EDM, equation 114
    target_variance = ((1 - c.skip) ** 2 * sigma_data**2 + c.skip**2 * SIGMA**2) / c.out**2
    assert torch.allclose(target_variance, ones)  # EDM, equation 115
    slope = (1 - c.skip) * sigma_data**2 - c.skip * SIGMA**2  # c_skip minimises c_out, equation 129
    assert torch.allclose(slope, torch.zeros_like(SIGMA), atol=1e-12)
    assert torch.allclose(c.noise, SIGMA.log() / 4)


def test_loss_is_the_weighted_denoising_error_of_equation_2():
    torch.manual_seed(0)
    network = Denoiser(3, 16, 2, conditional=False).double()
    rows, noise = torch.randn(5, 3).double(), torch.randn(5, 3).double()
    context = network.embed(None)
    loss = edm_loss(network, rows, noise, SIGMA, context, sigma_data=0.7)
    error = denoise(network, rows + SIGMA * noise, SIGMA, context, sigma_data=0.7) - rows
    weight = (SIGMA**2 + 0.7**2) / (SIGMA * 0.7) ** 2
    assert torch.allclose(loss, (weight * error**2).mean(), rtol=1e-6)


@pytest.mark.parametrize("setting", ["highest", "high", "medium"])
@pytest.mark.parametrize("has_it", [False, True])
def test_medium_precision_denoises_in_bfloat16_where_the_cpu_has_it(monkeypatch, has_it, setting):
    torch.manual_seed(0)
    network, rows, noise = Denoiser(3, 64, 2, conditional=True), torch.randn(256, 3), torch.randn(256, 3)
    sigma, condition = torch.rand(256, 1) + 0.01, torch.rand(256, 1)

    def loss_and_gradients():
        loss = edm_loss(network, rows, noise, sigma, network.embed(condition), sigma_data=1.0)
        return [loss, *torch.autograd.grad(loss, [*network.parameters()], allow_unused=True)]

    exact = loss_and_gradients()
    monkeypatch.setattr(precision, "_CPU_HAS_BFLOAT16", has_it)
    with precision.matmul_precision(setting):
        found = loss_and_gradients()
    used = [(a, b) for a, b in zip(found, exact, strict=True) if b is not None]
    assert len(used) == len(exact) - 1, "only the null token has no gradient"
    assert all(a.dtype == torch.float32 for a, _ in used)
    errors = [((a - b).norm() / b.norm()).item() for a, b in used]
    if has_it and setting == "medium":
        assert 0 < max(errors) < 0.05
    else:
        assert max(errors) < 1e-5


def test_residual_blocks_share_no_parameters():
    network = Denoiser(3, 16, 4, conditional=True)
    storages = [p.data_ptr() for block in network.blocks for p in block.parameters()]
    assert len(set(storages)) == len(storages) == 4 * 6
    before = [block.inner.weight.clone() for block in network.blocks]
    with torch.no_grad():
        network.blocks[0].inner.weight.add_(1.0)
    changed = [not torch.equal(a, block.inner.weight) for a, block in zip(before, network.blocks, strict=True)]
    assert changed == [True, False, False, False]


def test_dropped_conditions_become_the_null_token():
    network = Denoiser(3, 16, 1, conditional=True)
    condition, keep = torch.tensor([[0.1], [0.2], [0.3]]), torch.tensor([[True], [False], [True]])
    context = network.embed(condition, keep)
    assert torch.equal(context[1:2], network.null_token)
    assert torch.equal(context[::2], network.embed(condition)[::2])
    context[1].sum().backward()
    assert network.null_token.grad.abs().sum() > 0
    assert network.condition[0].weight.grad.abs().sum() == 0


def test_a_quarter_of_the_training_rows_lose_their_condition():
    generator = small(conditional=True)
    draws = generator.draw(20_000, torch.Generator().manual_seed(0))
    assert draws["keep"].float().mean().item() == pytest.approx(0.75, abs=0.02)
    assert draws["sigma"].log().mean().item() == pytest.approx(-1.2, abs=0.04)
    assert draws["sigma"].log().std().item() == pytest.approx(1.2, abs=0.03)
    assert set(small(conditional=False).draw(2, torch.Generator())) == {"noise", "sigma"}


def test_fitting_teaches_the_null_token():
    generator, rows, condition = small(conditional=True), some_rows(), torch.rand(64, 1)
    generator.begin_fit(rows, condition, seed=0)
    before = generator.network.null_token.detach().clone()
    fit(one_process(), generator, rows, condition, seed=0)
    assert not torch.equal(before, generator.network.null_token)
    generator.config.fit.condition_dropout = 0.0
    fit(one_process(), generator, rows, condition, seed=0)
    assert torch.equal(before, generator.network.null_token)


def test_guidance_1_is_the_conditional_model_and_evaluates_nothing_else():
    generator, condition = small(conditional=True, **{"sampler.guidance_scale": 1.0}), torch.rand(8, 1)
    fit(one_process(), generator, some_rows(), torch.rand(64, 1), seed=0)
    batch_sizes = []
    generator.ema.data.register_forward_hook(lambda module, args, output: batch_sizes.append(len(output)))
    x, sigma = torch.randn(8, 3), 0.7
    estimate = generator.denoiser(8, condition)(x, sigma)
    context = generator.ema.embed(generator.condition_normalizer.normalize(condition))
    level = torch.full((1, 1), sigma)
    assert torch.equal(estimate, denoise(generator.ema, x, level, context, 1.0))
    generator.config.sampler.guidance_scale = 1.5
    guided = generator.denoiser(8, condition)(x, sigma)
    unconditional = generator.denoiser(8, None)(x, sigma)
    assert torch.allclose(guided, unconditional + 1.5 * (estimate - unconditional), atol=1e-5)
    assert batch_sizes == [8, 8, 16, 8]


@pytest.mark.parametrize("kind", ["standard", "min_max"])
def test_normalizer_round_trip_with_constant_columns(kind):
    rows = torch.tensor([[1.0, 5.0, 1e6], [3.0, 5.0, 1e6], [8.0, 5.0, 1e6]])
    normalizer = Normalizer(3, kind)
    normalizer.fit(rows)
    small_rows = normalizer.normalize(rows)
    assert torch.equal(small_rows[:, 1:], torch.zeros(3, 2))
    assert torch.allclose(normalizer.denormalize(small_rows), rows)
    drawn = normalizer.denormalize(normalizer.limit(torch.full((1, 3), 2.0)))
    assert drawn[0, 1] == 5.0
    assert drawn[0, 2] == 1e6
    if kind == "min_max":
        assert small_rows[:, 0].min() == -1
        assert small_rows[:, 0].max() == 1
        assert drawn[0, 0] == 8.0
    else:
        assert small_rows[:, 0].mean().abs() < 1e-6
        assert small_rows[:, 0].std(correction=0).item() == pytest.approx(1.0)


def test_constant_columns_come_back_exactly():
    rows = some_rows()
    rows[:, 1] = 0.3
    generator = small()
    metrics = fit(one_process(), generator, rows, None, seed=0)
    drawn = generator.sample(20, None, seed=1).rows
    assert torch.equal(drawn[:, 1], torch.full((20,), 0.3))
    assert torch.isfinite(drawn).all()
    assert metrics["num_steps"] == 20
    assert metrics["seconds"] > 0


def test_fit_depends_on_its_seed_alone_and_warm_start_on_the_last_fit():
    rows = some_rows()
    generator = small(**{"fit.learning_rate": 1e-9})
    fit(one_process(), generator, rows, None, seed=0)
    first = weights(generator)
    torch.rand(7)
    fit(one_process(), generator, rows, None, seed=1)
    other = weights(generator)
    fit(one_process(), generator, rows, None, seed=0)
    assert torch.equal(weights(generator), first)
    assert not torch.allclose(other, first, atol=1e-2)
    generator.config.fit.warm_start = True
    fit(one_process(), generator, rows, None, seed=1)
    assert torch.allclose(weights(generator), first, atol=1e-5)


def test_begin_fit_leaves_the_global_random_state_alone():
    generator = small()
    state = torch.get_rng_state()
    generator.begin_fit(some_rows(), None, seed=0)
    assert torch.equal(state, torch.get_rng_state())


def test_trainer_and_fabric_fit_the_same_weights():
    rows, condition = some_rows(), torch.rand(64, 1)
    by_fabric, by_trainer = (small(conditional=True) for _ in range(2))
    fit(one_process(), by_fabric, rows, condition, seed=4)
    by_trainer.begin_fit(rows, condition, seed=4)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(by_trainer, DataLoader(Batches(by_trainer, rows, condition, seed=4), batch_size=None))
    assert trainer.global_step == 20
    assert by_trainer.fitted
    assert torch.allclose(weights(by_trainer), weights(by_fabric), atol=1e-6)


def test_progress_ends_at_the_last_step():
    calls = []
    fit(one_process(), small(**{"fit.num_steps": 120}), some_rows(), None, 0, lambda *call: calls.append(call))
    assert len(calls) == 50
    assert [call[0] for call in calls] == sorted(call[0] for call in calls)
    assert calls[-1][:2] == (120, 120)


def test_misuse_says_what_is_wrong():
    with pytest.raises(RuntimeError, match="the generator has not been fitted: call fit before sample"):
        small().sample(3, None, 0)
    with pytest.raises(ValueError, match=r"rows have shape \(4, 2\), but this generator has 3 columns"):
        small().begin_fit(torch.zeros(4, 2), None, 0)
    with pytest.raises(ValueError, match="this generator is conditional: fit needs the condition of every row"):
        small(conditional=True).begin_fit(some_rows(), None, 0)
    with pytest.raises(ValueError, match=r"condition has shape \(64,\); it must be \[64, 1\]"):
        small(conditional=True).begin_fit(some_rows(), torch.zeros(64), 0)


def test_a_fit_that_diverges_leaves_the_generator_as_it_was():
    generator, rows = small(), some_rows()
    fit(one_process(), generator, rows, None, 0)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    rows[3] = float("nan")
    message = r"^generator: the loss is no longer a number; lower generator\.fit\.learning_rate$"
    with pytest.raises(GeneratorDiverged, match=message):
        fit(one_process(), generator, rows, None, 1)
    after = generator.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler.solver": "ddim"}, "solver: must be one of dpmpp_2m, heun, stochastic_heun, not 'ddim'"),
        ({"fit.normalization": "none"}, "normalization: must be one of standard, min_max, not 'none'"),
        ({"fit.condition_dropout": 1.0}, "condition_dropout: must lie in [0, 1), not 1.0"),
        ({"sampler.num_steps": 1}, "num_steps: must be at least 2, not 1"),
        ({"sampler.rho": 0.0}, "rho: must be finite and not 0, not 0.0"),
        ({"sampler.sigma_max": 0.001}, "sigma_max: must be above sigma_min (0.005), not 0.001"),
        ({"fit.learning_rate": 0.0}, "learning_rate: must be positive, not 0.0"),
        ({"sampler.prompt_top_fraction": 0.0}, "prompt_top_fraction: must lie in (0, 1], not 0.0"),
    ],
)
def test_config_names_the_field_and_the_remedy(options, message):
    with pytest.raises(FieldError) as error:
        with_options(EdmConfig, options)
    assert str(error.value) == message
