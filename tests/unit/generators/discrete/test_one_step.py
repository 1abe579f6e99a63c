"""The one-step heads: copy gate, confidence, agreement, and the rows of each member."""

import math

import torch

from genreplay.generators.discrete.one_step import (
    copy_gate_log_prob,
    copy_gate_probabilities,
    counterparts,
    member_share,
    outcome,
)
from tests.helpers.ring import small


def test_copy_gate_by_hand():
    logits = torch.tensor([[[0.0, math.log(3.0)], [0.0, 0.0]]])  # softmax: (1/4, 3/4), (1/2, 1/2)
    gate = torch.tensor([[math.log(4.0), -torch.inf]])  # g = 0.8; the second column has nothing to copy
    current = torch.tensor([[0, -1]])
    p = copy_gate_probabilities(logits, gate, current)
    assert torch.allclose(p, torch.tensor([[[0.8 + 0.2 * 0.25, 0.2 * 0.75], [0.5, 0.5]]]))
    for target in ([0, 0], [1, 1]):
        got = copy_gate_log_prob(logits, gate, current, torch.tensor([target]))
        wanted = torch.stack([p[0, 0, target[0]], p[0, 1, target[1]]]).log()
        assert torch.allclose(got[0], wanted)


def test_copy_gate_gradients_are_finite_at_its_edges():
    logits = torch.tensor([[[200.0, -200.0, -torch.inf]]], requires_grad=True)
    for gate_value, current, target in ((-torch.inf, -1, 1), (200.0, 0, 1), (-200.0, 1, 1)):
        gate = torch.tensor([[gate_value]], requires_grad=True)
        loss = copy_gate_log_prob(logits, gate, torch.tensor([[current]]), torch.tensor([[target]])).sum()
        assert loss.isfinite()
        grads = torch.autograd.grad(loss, [logits, gate])
        assert grads[0].isfinite().all()
        assert gate_value == -torch.inf or grads[1].isfinite().all()


def test_next_columns_copy_the_same_place_of_the_same_tensor():
    generator = small()
    assert counterparts(generator.current_columns, generator.next_columns).tolist() == [0, 1, -1]


def test_confidence_is_the_product_of_mean_probabilities_and_one_dissenter_breaks_agreement():
    p = torch.tensor(
        [  # members, rows, columns, choices
            [[[0.9, 0.1], [0.6, 0.4]], [[0.2, 0.8], [0.3, 0.7]]],
            [[[0.7, 0.3], [0.2, 0.8]], [[0.4, 0.6], [0.1, 0.9]]],
        ]
    )
    after = outcome(p)
    assert after.codes.tolist() == [[0, 1], [1, 1]]
    assert torch.allclose(after.confidence, torch.tensor([[0.8 * 0.6], [0.7 * 0.8]]))
    assert after.agree.tolist() == [[False], [True]]


def test_each_member_is_spared_a_random_share_of_distinct_rows_and_no_row_is_spared_by_all():
    codes = torch.cartesian_prod(*[torch.arange(10)] * 4)
    learns = member_share(codes, 3, 0.7)
    assert torch.allclose(learns.float().mean(dim=1), torch.tensor(0.7 + 0.3**3), atol=0.02)
    assert learns.any(dim=0).all()
    both = (learns[0] & learns[1]).float().mean()
    assert abs(both - (0.49 + 0.3**3)) < 0.02  # as if drawn independently
    assert torch.equal(member_share(codes.flip(0), 3, 0.7), learns.flip(1))
    assert member_share(codes, 3, 1.0).all()
