"""Masked diffusion as pure functions: exact conditionals of a known joint distribution give exact answers."""

import itertools
import math

import pytest
import torch

from genreplay.common.errors import UserError
from genreplay.generators.discrete.categories import Categories, Embedding, split_columns
from genreplay.generators.discrete.masked_diffusion import ColumnLogits, MaskedNetwork, draw_mask, masked_loss, unmask
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, TransitionLayout
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION, REWARD

SIZES = (2, 3, 2)
MASK_CODES = torch.tensor(SIZES)
COLUMNS = Categories([Column(OBSERVATION, 0, "categorical", f"c{i}", width=n) for i, n in enumerate(SIZES)], [0, 2, 5])


def joint():
    """p `[2, 3, 2]`: the first column nearly fixes the others."""
    p = torch.full(SIZES, 0.01, dtype=torch.float64)
    p[0, 0, 0], p[1, 2, 1], p[1, 1, 0] = 0.5, 0.3, 0.1
    return p / p.sum()


def exact(p):
    """The predictor that a perfect network would be: log p(column | columns that are not masked)."""

    def predict(codes):
        logits = torch.full((*codes.shape, max(SIZES)), -torch.inf, dtype=torch.float64)
        for row, known in enumerate(codes.tolist()):
            index = tuple(slice(None) if k == n else slice(k, k + 1) for k, n in zip(known, SIZES, strict=True))
            given = p[index]
            for c, size in enumerate(SIZES):
                others = [d for d in range(3) if d != c]
                marginal = given.sum(dim=others)
                here = slice(0, size) if known[c] == size else slice(known[c], known[c] + 1)
                logits[row, c, here] = (marginal / marginal.sum()).log()
        return logits

    return predict


def cached(predict):
    """The same, each distinct row computed once."""
    table = {}

    def lookup(codes):
        for row in codes.unique(dim=0):
            if (key := tuple(row.tolist())) not in table:
                table[key] = predict(row[None])[0]
        return torch.stack([table[tuple(row)] for row in codes.tolist()])

    return lookup


def frequencies(codes):
    flat = (codes * torch.tensor([6, 2, 1])).sum(dim=1)
    return torch.bincount(flat, minlength=12).double().view(SIZES) / len(codes)


def total_variation(p, q):
    return 0.5 * (p - q).abs().sum().item()


def test_the_expected_loss_of_exact_conditionals_is_the_entropy_per_column():
    p, predict = joint(), exact(joint())
    expected = torch.zeros((), dtype=torch.float64)
    for values in itertools.product(*map(range, SIZES)):
        codes = torch.tensor([values])
        for number in (1, 2, 3):
            sets = list(itertools.combinations(range(3), number))
            for hidden in sets:
                masked = torch.zeros(1, 3, dtype=torch.bool)
                masked[0, list(hidden)] = True
                logits = predict(torch.where(masked, MASK_CODES, codes))
                expected += p[values] / 3 / len(sets) * masked_loss(logits, codes, masked)
    entropy = -(p * p.log()).sum()
    assert expected.item() == pytest.approx(entropy.item() / 3, rel=1e-9)


def test_the_loss_equals_a_hand_computation():
    logits = torch.tensor([[[0.0, math.log(3.0), -torch.inf], [0.0, 0.0, 0.0]]])  # p(1) = 3/4; p(2) = 1/3
    codes = torch.tensor([[1, 2]])
    one, two = torch.tensor([[True, False]]), torch.tensor([[True, True]])
    loss_one, loss_two = math.log(4 / 3), (math.log(4 / 3) + math.log(3)) / 2
    assert masked_loss(logits, codes, one).item() == pytest.approx(loss_one)
    assert masked_loss(logits, codes, two).item() == pytest.approx(loss_two)
    both = masked_loss(logits.repeat(2, 1, 1), codes.repeat(2, 1), torch.cat([one, two]))
    assert both.item() == pytest.approx((loss_one + loss_two) / 2)


def test_masks_hide_every_number_of_columns_and_every_column_equally_often():
    masked = draw_mask(30_000, 4, torch.Generator().manual_seed(0))
    numbers = torch.bincount(masked.sum(dim=1), minlength=5) / 30_000
    assert numbers[0] == 0
    assert torch.allclose(numbers[1:], torch.tensor(0.25), atol=0.01)
    assert torch.allclose(masked.float().mean(dim=0), torch.tensor(2.5 / 4), atol=0.01)


def test_one_column_a_step_draws_the_joint_distribution_and_one_step_only_its_marginals():
    p, predict = joint(), cached(exact(joint()))
    start = MASK_CODES.expand(8000, -1)
    rng = torch.Generator().manual_seed(0)
    slow = frequencies(unmask(predict, start, MASK_CODES, 3, rng))
    fast = frequencies(unmask(predict, start, MASK_CODES, 1, rng))
    marginals = [p.sum(dim=[d for d in range(3) if d != c]) for c in range(3)]
    independent = torch.einsum("i,j,k->ijk", *marginals)
    assert total_variation(p, independent) > 0.3
    assert total_variation(slow, p) < 0.02
    assert total_variation(fast, independent) < 0.025
    assert total_variation(frequencies(unmask(predict, start, MASK_CODES, 50, rng)), p) < 0.02


def test_columns_marked_first_are_revealed_before_the_others_and_the_distribution_is_the_same():
    p, predict = joint(), cached(exact(joint()))
    seen = []

    def watching(codes):
        seen.append(codes != MASK_CODES)
        return predict(codes)

    start = MASK_CODES.expand(8000, -1)
    first = torch.tensor([False, True, False])
    drawn = unmask(watching, start, MASK_CODES, 3, torch.Generator().manual_seed(0), first)
    assert torch.equal(seen[1], first.expand(8000, -1))
    assert 0.45 < seen[2][:, 0].float().mean() < 0.55  # the others still in a random order
    assert total_variation(frequencies(drawn), p) < 0.02


def test_given_columns_stay_and_the_others_follow_their_conditional():
    p, predict = joint(), cached(exact(joint()))
    start = torch.tensor([[1, 3, 2], [2, 3, 0]]).repeat(4000, 1)
    drawn = unmask(predict, start, MASK_CODES, 3, torch.Generator().manual_seed(0))
    assert (drawn[::2, 0] == 1).all()
    assert (drawn[1::2, 2] == 0).all()
    assert (drawn < MASK_CODES).all()
    assert total_variation(frequencies(drawn[::2])[1], p[1] / p[1].sum()) < 0.03
    assert total_variation(frequencies(drawn[1::2])[:, :, 0], p[:, :, 0] / p[:, :, 0].sum()) < 0.03
    whole = torch.tensor([[1, 2, 0]])
    assert torch.equal(unmask(predict, whole, MASK_CODES, 3, torch.Generator()), whole)
    assert unmask(predict, whole[:0], MASK_CODES, 3, torch.Generator()).shape == (0, 3)


def test_codes_and_rows_round_trip_and_nan_is_masked():
    codes = torch.tensor([[0, 2, 1], [1, 0, 0]])
    rows = torch.zeros(2, 7)
    COLUMNS.write(codes, rows)
    assert rows.tolist() == [[1, 0, 0, 0, 1, 0, 1], [0, 1, 1, 0, 0, 1, 0]]
    assert torch.equal(COLUMNS.encode(rows), codes)
    rows[0, 2:5] = torch.nan
    assert COLUMNS.encode(rows).tolist() == [[0, 3, 1], [1, 0, 0]]


def test_the_embedding_is_a_linear_layer_on_one_hots_with_a_mask_of_their_own():
    embedding = Embedding(SIZES, 5)
    codes = torch.tensor([[1, 3, 0], [2, 0, 2]])
    one_hot = torch.cat([torch.nn.functional.one_hot(codes[:, i], n + 1) for i, n in enumerate(SIZES)], dim=1)
    assert torch.allclose(embedding(codes), one_hot.float() @ embedding.table.weight, atol=1e-6)


def test_logits_are_minus_infinity_exactly_where_a_column_has_no_choice():
    layer = ColumnLogits(4, COLUMNS)
    logits = layer(torch.randn(2, 4))
    assert torch.equal(logits.isfinite(), COLUMNS.real.expand(2, -1, -1))
    flat = layer.linear(torch.ones(1, 4))
    assert torch.equal(layer(torch.ones(1, 4))[0][COLUMNS.real], flat[0])


def test_dropped_conditions_become_the_null_token():
    network = MaskedNetwork(COLUMNS, 8, 1, conditional=True)
    condition, keep = torch.tensor([[0.1], [0.2]]), torch.tensor([[True], [False]])
    context = network.embed(condition, keep)
    assert torch.equal(context[1:], network.null_token)
    assert torch.equal(context[:1], network.embed(condition)[:1])
    assert torch.equal(network.embed(None), network.null_token)
    assert not MaskedNetwork(COLUMNS, 8, 1, conditional=False).embed(None).any()


def test_columns_that_are_not_categorical_are_refused_in_one_line():
    state = Column(OBSERVATION, 0, "categorical", "cell", width=3)
    with pytest.raises(UserError) as error:
        split_columns(Codec(TransitionLayout((state, Column(REWARD, 0, "continuous", "reward")))), "masked")
    assert str(error.value) == (
        "generator.name: 'masked' generates categorical columns only, but 'reward' is continuous; use 'edm', or an "
        "environment of categorical columns"
    )
    with pytest.raises(UserError, match="'factorised' needs columns before and after the step"):
        split_columns(Codec(TransitionLayout((state,))), "factorised")


def test_columns_are_split_by_their_keys_wherever_they_stand():
    columns = (
        Column(NEXT_OBSERVATION, 0, "categorical", "next cell", width=3),
        Column(OBSERVATION, 0, "categorical", "cell", width=3),
        Column(("next", "event"), 0, "categorical", "event", width=2),
        Column(ACTION, 0, "categorical", "action", width=4),
    )
    current, following = split_columns(Codec(TransitionLayout(columns)), "masked")
    assert (current.keys, current.starts) == ((OBSERVATION, ACTION), (3, 8))
    assert (following.keys, following.starts) == ((NEXT_OBSERVATION, ("next", "event")), (0, 6))
