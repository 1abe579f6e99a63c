"""Given columns of the EDM generator: the loss, the sampler, which are given, and what is refused."""

import copy

import pytest
import torch

from genreplay.common.errors import FieldError, UserError
from genreplay.generators.config import EdmConfig
from genreplay.generators.edm.denoiser import Denoiser, denoise, edm_loss
from genreplay.generators.edm.generator import EdmGenerator
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, TransitionLayout
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION
from tests.helpers.edm import small
from tests.helpers.options import with_options
from tests.helpers.stages import CURRENT, NEXT, STAGE, fitted_to_stages, stage_generator, stage_rows

BOTH = {"categories": "given", "fit.given_share": 0.25}
SIGMA = torch.tensor([[0.002], [0.1], [1.0], [7.0], [80.0]])


@pytest.fixture(scope="module")
def fitted():
    """After a few steps: what is tested here does not depend on how well it fits."""
    rows = stage_rows(200)
    return fitted_to_stages(rows, torch.rand(200, 1, generator=torch.Generator().manual_seed(0)), **BOTH)


def test_the_loss_counts_unknown_columns_alone_and_shows_the_others_clean():
    torch.manual_seed(0)
    network = Denoiser(3, 16, 2, conditional=False, with_known=True)
    rows, noise = torch.randn(5, 3), torch.randn(5, 3)
    known = torch.tensor([[True, False, False], [False, True, True]] * 3)[:5]
    context = network.context(None, None, known)
    loss = edm_loss(network, rows, noise, SIGMA, context, 0.7, known=known)
    estimate = denoise(network, rows + SIGMA * noise, SIGMA, context, 0.7, rows.masked_fill(~known, torch.nan))
    assert torch.equal(estimate[known], rows[known])
    weighted = (SIGMA**2 + 0.7**2) / (SIGMA * 0.7) ** 2 * (estimate - rows) ** 2
    by_hand = [weighted[i][~known[i]].mean() for i in range(5)]
    assert torch.allclose(loss, torch.stack(by_hand).mean(), rtol=1e-4)
    other = torch.where(known, torch.randn(5, 3), noise)
    assert torch.equal(edm_loss(network, rows, other, SIGMA, context, 0.7, known=known), loss)


def test_the_network_is_told_which_columns_are_known():
    network = Denoiser(3, 16, 2, conditional=True, with_known=True)
    condition, none, first = torch.rand(2, 1), torch.zeros(1, 3) > 0, torch.tensor([[True, False, False]])
    assert torch.equal(network.context(condition, None, none), network.embed(condition))
    told = network.context(condition, None, first) - network.embed(condition)
    assert torch.allclose(told, network.known.weight[:, 0].expand(2, -1), atol=1e-6)


def test_a_training_row_gives_its_categories_or_its_state_and_action():
    generator = stage_generator(conditional=True, **BOTH)
    draws = generator.draw(20_000, torch.Generator().manual_seed(0))
    step = draws["step"].view(-1)
    assert step.float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert not draws["keep"][step].any(), "an outcome does not depend on relevance"
    assert draws["keep"][~step].float().mean().item() == pytest.approx(0.75, abs=0.01)
    known = generator._known(draws["step"])
    assert known[step].all(dim=0).tolist() == [True] * 6 + [False] * 2
    assert known[~step].any(dim=0).tolist() == [False, False, True, True, True, True, False, False]


def test_samples_take_their_stage_from_real_rows_and_nothing_else(fitted):
    real = stage_rows(300, seed=1)
    given = fitted.given_of(real)
    assert torch.equal(given[:, STAGE], real[:, STAGE])
    assert given[:, :2].isnan().all()
    assert given[:, NEXT].isnan().all()
    for condition in (None, torch.rand(300, 1)):
        drawn = fitted.sample(300, condition, seed=2, given=given).rows
        assert torch.equal(drawn[:, STAGE], real[:, STAGE])
        assert torch.isfinite(drawn).all()
        assert (drawn[:, :2] != real[:, :2]).all()
    parts = [fitted.sample(300, condition, 2, part, 2, given).rows for part in range(2)]
    assert torch.equal(torch.cat(parts), drawn)


@pytest.mark.parametrize("solver", ["dpmpp_2m", "heun", "stochastic_heun"])
def test_every_solver_keeps_given_columns_at_every_step(fitted, solver, monkeypatch):
    """Even where the policy's action lies outside the range of the data, to which `min_max` holds the others."""
    generator = copy.deepcopy(fitted)
    generator.config.sampler.solver, generator.normalizer.kind = solver, "min_max"
    rows = stage_rows(20, seed=1) * torch.tensor([9.0] * 2 + [1.0] * 6)
    clean, seen = generator.normalizer.normalize(rows), []
    generator.ema.data.register_forward_hook(lambda module, args, output: seen.append(args[0][:, CURRENT].clone()))
    completed = generator.complete(rows).rows
    assert len(seen) >= generator.config.sampler.num_steps
    assert all(torch.equal(one, clean[:, CURRENT]) for one in seen)
    assert torch.equal(completed[:, CURRENT], rows[:, CURRENT])


def test_complete_ignores_what_follows_and_repeats_with_its_seed(fitted):
    rows = stage_rows(50, seed=1)
    unknown = rows.clone()
    unknown[:, NEXT] = torch.nan
    completed = fitted.complete(rows, seed=1).rows
    assert torch.equal(fitted.complete(unknown, seed=1).rows, completed)
    assert (fitted.complete(rows, seed=2).rows[:, NEXT] != completed[:, NEXT]).all()
    assert len(fitted.complete(rows[:0]).rows) == 0


def test_relevance_does_not_reach_an_outcome(fitted):
    generator, rows = copy.deepcopy(fitted), stage_rows(50, seed=1)
    before = generator.complete(rows).rows
    with torch.no_grad():
        generator.ema.condition[0].weight.add_(5.0)
    generator.config.sampler.guidance_scale = 9.0
    assert torch.equal(generator.complete(rows).rows, before)


def test_without_given_columns_the_network_is_the_old_one():
    plain, no_categories = stage_generator(), small(categories="given")
    assert plain.network.known is None
    assert no_categories.network.known is None
    assert plain.given_columns is plain.step_model is no_categories.given_columns is None
    assert set(plain.draw(2, torch.Generator())) == {"noise", "sigma"}
    assert plain.given_of(stage_rows(3)) is None
    with_both = stage_generator(**BOTH)
    assert with_both.step_model is with_both
    assert set(with_both.state_dict()) - set(plain.state_dict()) == {"network.known.weight", "ema.known.weight"}


def test_misuse_of_given_columns_says_what_is_wrong(fitted):
    with pytest.raises(ValueError, match="takes some columns from real rows: sample needs `given`"):
        fitted.sample(3, None, 0)
    with pytest.raises(ValueError, match=r"given has shape \(3, 2\); it must be \[3, 8\]"):
        fitted.sample(3, None, 0, given=torch.zeros(3, 2))
    rows = stage_rows(3)
    rows[1, 0] = torch.nan
    with pytest.raises(ValueError, match="complete needs every column of state and action; sample draws whole rows"):
        fitted.complete(rows)
    with pytest.raises(RuntimeError, match="the generator has not been fitted"):
        stage_generator(**BOTH).complete(stage_rows(3))


def test_something_must_be_left_to_generate():
    columns = (Column(key, 0, "categorical", str(key), width=3) for key in (OBSERVATION, ACTION, NEXT_OBSERVATION))
    with pytest.raises(UserError) as error:
        EdmGenerator(EdmConfig(categories="given"), Codec(TransitionLayout(tuple(columns))), conditional=False)
    assert str(error.value) == (
        "generator.categories: given leaves 'edm' nothing to generate, as every column is categorical; write numbers, "
        "or generator.name: masked"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categories": "drawn"}, "categories: must be one of numbers, given, not 'drawn'"),
        ({"fit.given_share": 1.0}, "given_share: must lie in [0, 1), not 1.0"),
    ],
)
def test_config_names_the_field_and_the_remedy(options, message):
    with pytest.raises(FieldError) as error:
        with_options(EdmConfig, options)
    assert str(error.value) == message
