"""The generators of categorical rows: `masked` and `factorised`, on a small world that is known."""

import copy

import pytest
import torch
from lightning.fabric import Fabric

from genreplay.common.errors import FieldError
from genreplay.generators.base import Sampled
from genreplay.generators.config import EdmConfig, FactorisedConfig
from genreplay.generators.discrete.factorised import FactorisedGenerator
from genreplay.generators.discrete.masked import MaskedGenerator
from genreplay.generators.edm.generator import EdmGenerator
from genreplay.generators.fitting import fit
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, TransitionLayout
from genreplay.transitions.keys import ACTION, OBSERVATION
from tests.helpers.options import with_options
from tests.helpers.ring import (
    CELLS,
    CODEC,
    LONG,
    MOVES,
    NEXT,
    PARTNERS,
    fitted,
    small,
    to_codes,
    to_rows,
    valid,
    world,
)


@pytest.fixture(scope="module")
def masked():
    return fitted(MaskedGenerator, **LONG)


@pytest.fixture(scope="module")
def factorised():
    return fitted(FactorisedGenerator, **LONG)


# What is learned -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least_valid"), [("masked", 0.8), ("factorised", 0.95)])
def test_samples_follow_the_joint_distribution_of_the_rows(name, least_valid, request):
    generator = request.getfixturevalue(name)
    rows = generator.sample(4000, None, seed=1).rows
    assert valid(rows).float().mean() > least_valid  # 1 in 36 by chance
    codes = to_codes(rows)
    assert (codes[:, 1] == codes[:, 0] % 2).float().mean() > 0.97
    flat = codes[:, 0] * 6 + codes[:, 2] * 2 + codes[:, 3]
    real = torch.tensor(
        [(0 <= m - p <= 1) / (CELLS * 4) for _ in range(CELLS) for m in range(MOVES) for p in range(PARTNERS)]
    )
    distance = 0.5 * (torch.bincount(flat, minlength=CELLS * 6) / 4000 - real).abs().sum()
    uniform = 0.5 * (1 / (CELLS * 6) - real).abs().sum()
    assert uniform > 0.3
    assert distance < 0.12


def test_the_relevance_steers_and_guidance_steers_further():
    rows = world()
    condition = to_codes(rows)[:, 6:].float()
    noisy = torch.where(torch.rand(600, 1, generator=torch.Generator().manual_seed(1)) < 0.4, 1 - condition, condition)
    generator = fitted(MaskedGenerator, rows, noisy, **LONG)
    share = {}
    for scale in (0.0, 1.0, 3.0):
        generator.config.sampler.guidance_scale = scale
        share[scale] = to_codes(generator.sample(2000, torch.ones(2000, 1), seed=1).rows)[:, 6].float().mean().item()
    real = condition.mean().item()
    assert abs(share[0.0] - real) < 0.05
    assert share[1.0] > share[0.0] + 0.03
    assert share[3.0] > share[1.0] + 0.05


@pytest.mark.slow
def test_members_disagree_and_doubt_where_nothing_was_seen():
    columns = (
        Column(OBSERVATION, 0, "categorical", "cell", width=30),
        Column(ACTION, 0, "categorical", "move", width=4),
        Column(("next", "event"), 0, "categorical", "event", width=8),
    )
    # A table without any rule: nothing can be known of what was not seen.
    rng = torch.Generator().manual_seed(0)
    cell, move = torch.cartesian_prod(torch.arange(30), torch.arange(4)).T
    event = torch.randint(8, (120,), generator=rng)
    parts = [torch.nn.functional.one_hot(c, n).float() for c, n in zip((cell, move, event), (30, 4, 8), strict=True)]
    rows = torch.cat(parts, dim=1)[torch.randperm(120, generator=rng)]
    options = {"network.hidden_width": 8, "network.num_blocks": 1, "head.hidden_width": 32, "head.num_blocks": 1}
    config = with_options(FactorisedConfig, options | {"member_share": 1.0, "fit.batch_size": 60} | LONG)
    torch.manual_seed(0)
    generator = FactorisedGenerator(config, Codec(TransitionLayout(columns)), conditional=False)
    fit(Fabric(accelerator="cpu", devices=1), generator, rows[:60], None, seed=0)
    seen, unseen = generator.complete(rows[:60]), generator.complete(rows[60:])
    assert torch.equal(seen.rows, rows[:60])
    assert seen.agree.all()
    assert seen.confidence.min() > 0.8
    assert unseen.agree.float().mean() < 0.8
    assert unseen.confidence.mean() < seen.confidence.mean() - 0.15
    assert (unseen.rows == rows[60:]).all(dim=1).float().mean() < 0.5


def test_what_happens_is_drawn_first_and_what_leads_to_it_goes_with_it(factorised, monkeypatch):
    generator, event = factorised, 4
    assert [column.name for column in generator.diffused.columns] == ["cell", "colour", "move", "partner", "event"]
    drawn_first = []

    def predictor(num_rows, condition, original=generator.predictor):
        predict = original(num_rows, condition)

        def watching(codes):
            drawn_first.append((codes != generator.diffused.mask_codes).sum(dim=0))
            return predict(codes)

        return watching

    monkeypatch.setattr(generator, "predictor", predictor)
    codes = generator.draw_codes(4000, None, torch.Generator().manual_seed(0))
    assert drawn_first[1][event] == 4000
    assert drawn_first[1].sum() == 4000
    happens = (codes[:, 0] + codes[:, 2] >= CELLS).long()
    assert (happens == codes[:, event]).float().mean() > 0.95
    real = to_codes(world())[:, 6].float().mean()
    assert abs(codes[:, event].float().mean() - real) < 0.05


def test_rows_count_by_the_root_of_how_rare_it_is_what_visibly_happens_and_by_one_in_the_mean():
    rows = world(400)
    generator = small()
    generator.begin_fit(rows, None, seed=0)
    codes = generator.diffused.encode(rows)
    visible = torch.zeros_like(codes, dtype=torch.bool)
    weights = generator.row_weights(codes, visible)
    happens = codes[:, 4] == 1
    share = happens.float().mean()
    assert 0.1 < share < 0.4
    assert weights.mean().item() == pytest.approx(1, abs=1e-5)
    ratio = weights[happens].mean() / weights[~happens].mean()
    assert ratio.item() == pytest.approx(((1 - share) / share).sqrt().item(), rel=1e-5)
    hidden = visible.clone()
    hidden[:, 4] = True
    assert (generator.row_weights(codes, hidden) == 1).all()


def test_half_of_the_training_rows_show_what_happens_and_every_row_hides_something():
    masked = small().draw(20_000, torch.Generator().manual_seed(0))["masked"]
    assert masked.any(dim=1).all()
    # Hidden in a plain row with probability (1 + ... + 5) / 5 / 5 = 0.6, alone in one of 25; in half of the rows it is
    # hidden only then.
    assert masked[:, 4].float().mean().item() == pytest.approx(0.5 * 0.6 + 0.5 * 0.04, abs=0.01)


@pytest.mark.slow
def test_a_rare_event_has_its_real_share():
    """One row in fifty: seven columns of a state must hold 1 and the action be 1, as in no other row."""
    num_state, num_rows = 7, 6000
    columns = [Column(OBSERVATION, 3 * i, "categorical", f"s{i}", width=3) for i in range(num_state)]
    columns += [Column(ACTION, 0, "categorical", "move", width=3), Column(("next", "event"), 0, "categorical", "e", 2)]
    rng = torch.Generator().manual_seed(0)
    codes = torch.randint(3, (num_rows, num_state + 1), generator=rng)
    codes[: num_rows // 50] = 1
    event = (codes == 1).all(dim=1).long()
    rows = torch.cat([torch.nn.functional.one_hot(codes, 3).flatten(1), torch.nn.functional.one_hot(event, 2)], dim=1)
    options = {
        "network.hidden_width": 32,
        "network.num_blocks": 1,
        "head.hidden_width": 32,
        "head.num_blocks": 1,
        "ensemble_size": 1,
    }
    config = with_options(FactorisedConfig, options | {"fit.batch_size": 128} | LONG)
    torch.manual_seed(0)
    generator = FactorisedGenerator(config, Codec(TransitionLayout(tuple(columns))), conditional=False)
    fit(Fabric(accelerator="cpu", devices=1), generator, rows.float(), None, seed=0)
    drawn = generator.sample(20_000, None, seed=1).rows
    happens = (drawn[:, 1 : 3 * num_state + 3 : 3] == 1).all(dim=1)
    assert (happens == (drawn[:, -1] == 1)).float().mean() > 0.99
    assert 1 / 1.5 < drawn[:, -1].mean() / event.float().mean() < 1.5


# complete --------------------------------------------------------------------------------------------------


def test_complete_labels_counterfactual_actions_and_ignores_what_the_rows_say_follows(factorised):
    rows = world(200, seed=3)
    codes = to_codes(rows)
    codes[:, 2] = (1 - (codes[:, 2] - codes[:, 3])) + codes[:, 3]  # the other move that this partner makes
    rows = to_rows(*codes.T)
    rows[:, NEXT] = torch.nan
    labelled = factorised.complete(rows)
    assert torch.equal(labelled.rows[:, : NEXT.start], rows[:, : NEXT.start])
    assert valid(labelled.rows).float().mean() > 0.97
    assert labelled.confidence.shape == labelled.agree.shape == (200, 1)
    assert labelled.agree.dtype == torch.bool
    assert ((labelled.confidence > 0) & (labelled.confidence <= 1)).all()


# As any generator ------------------------------------------------------------------------------------------


def test_a_sample_survives_packing():
    sampled = Sampled(torch.rand(3, 4), torch.rand(3, 1), torch.tensor([[True], [False], [True]]))
    for a, b in zip(sampled, Sampled.unpack(sampled.pack(), 4), strict=True):
        assert torch.equal(a, b)
    plain = Sampled.unpack(Sampled(sampled.rows).pack(), 4)
    assert plain.confidence is None
    assert torch.equal(plain.rows, sampled.rows)


def test_guided_logits():
    generator = fitted(MaskedGenerator, condition=torch.rand(600, 1), **{"sampler.guidance_scale": 2.0})
    codes, condition = generator.diffused.mask_codes.expand(4, -1), torch.rand(4, 1)
    guided = generator.predictor(4, condition)(codes)
    network, real = generator.ema, generator.diffused.real
    with torch.no_grad():
        wanted = network(codes, network.embed(generator.condition_normalizer.normalize(condition)))
        unguided = network(codes, network.embed(None))
    assert torch.allclose(guided[:, real], (unguided + 2 * (wanted - unguided))[:, real], atol=1e-5)
    assert (guided[:, ~real] == -torch.inf).all()
    generator.config.sampler.guidance_scale = 1.0
    assert torch.equal(generator.predictor(4, condition)(codes), wanted)


def test_a_quarter_of_the_training_rows_lose_their_condition():
    draws = small(conditional=True).draw(20_000, torch.Generator().manual_seed(0))
    assert draws["keep"].float().mean().item() == pytest.approx(0.75, abs=0.02)
    assert set(small().draw(2, torch.Generator())) == {"masked"}


def test_edm_runs_on_categorical_columns():
    generator = EdmGenerator(
        with_options(EdmConfig, {"network.hidden_width": 16, "fit.num_steps": 20}), CODEC, conditional=False
    )
    fit(Fabric(accelerator="cpu", devices=1), generator, world(), None, seed=0)
    drawn = generator.sample(50, None, seed=0)
    assert drawn.confidence is None
    assert to_codes(CODEC.project(drawn.rows)).shape == (50, 7)


def test_misuse_says_what_is_wrong():
    unfitted, generator = small(), fitted()
    with pytest.raises(RuntimeError, match="the generator has not been fitted: call fit before complete"):
        unfitted.complete(world(3))
    with pytest.raises(ValueError, match=r"rows have shape \(3, 4\), but this generator has 25 columns"):
        generator.complete(torch.zeros(3, 4))
    unknown = copy.deepcopy(world(3))
    unknown[1, 2] = torch.nan
    with pytest.raises(ValueError, match="complete needs every column of state and action"):
        generator.complete(unknown)
    with pytest.raises(ValueError, match="this generator is conditional: fit needs the condition of every row"):
        small(conditional=True).begin_fit(world(), None, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ensemble_size": 0}, "ensemble_size: must be at least 1, not 0"),
        ({"member_share": 0.0}, "member_share: must lie in (0, 1], not 0.0"),
        ({"sampler.num_steps": 0}, "num_steps: must be at least 1, not 0"),
        ({"sampler.guidance_scale": -1.0}, "guidance_scale: must not be negative, not -1.0"),
        ({"fit.condition_dropout": 1.0}, "condition_dropout: must lie in [0, 1), not 1.0"),
        ({"fit.learning_rate": 0.0}, "learning_rate: must be positive, not 0.0"),
        ({"sampler.prompt_top_fraction": 1.5}, "prompt_top_fraction: must lie in (0, 1], not 1.5"),
    ],
)
def test_config_names_the_field_and_the_remedy(options, message):
    with pytest.raises(FieldError) as error:
        with_options(FactorisedConfig, options)
    assert str(error.value) == message
