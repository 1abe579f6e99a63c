"""A fitted generator's predictions of a partner, compared with the probabilities that made the rows."""

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from torch.nn.functional import one_hot

from genreplay.generators.config import FactorisedConfig, MaskedConfig
from genreplay.generators.discrete.factorised import FactorisedGenerator
from genreplay.generators.discrete.masked import MaskedGenerator
from genreplay.generators.discrete.partner_model import virtual_action_probabilities
from genreplay.generators.fitting import fit
from genreplay.partners.fidelity import fidelity, frequencies
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, Seats, TransitionLayout
from genreplay.transitions.keys import ACTION, LEARNER, NEXT_OBSERVATION, OBSERVATION, PARTNER
from tests.helpers.options import with_options

PLACES, ACTIONS, PARTNERS, NUM_ROWS = 3, 3, 2, 8000
LAYOUT = TransitionLayout(
    (
        Column(OBSERVATION, 0, "categorical", "place 0", PLACES),
        Column(OBSERVATION, PLACES, "categorical", "place 1", PLACES),
        Column(ACTION, 0, "categorical", "action 0", ACTIONS),
        Column(ACTION, ACTIONS, "categorical", "action 1", ACTIONS),
        Column(NEXT_OBSERVATION, 0, "categorical", "next place 0", PLACES),
        Column(NEXT_OBSERVATION, PLACES, "categorical", "next place 1", PLACES),
        Column(PARTNER, 0, "categorical", "partner", PARTNERS),
        Column(LEARNER, 0, "categorical", "learner", 2),
    ),
    seats=Seats(torch.tensor([3, 4, 5, 0, 1, 2]), ACTIONS, "one"),
)
CODEC = Codec(LAYOUT)


def partner_table():
    """p(action | place of seat 0, place of seat 1, partner, the partner's seat).

    Partner 0 likes its own place's number, partner 1 the last action; either is surer of it in seat 1.
    """
    table = torch.zeros(PLACES, PLACES, PARTNERS, 2, ACTIONS)
    for a in range(PLACES):
        for b in range(PLACES):
            for seat in (0, 1):
                for partner, liked in ((0, (a, b)[seat]), (1, ACTIONS - 1)):
                    table[a, b, partner, seat] = 0.2 - 0.15 * seat
                    table[a, b, partner, seat, liked] = 0.6 + 0.3 * seat
    return table


def rows():
    rng = torch.Generator().manual_seed(0)
    places = torch.randint(PLACES, (NUM_ROWS, 2), generator=rng)
    partner = torch.randint(PARTNERS, (NUM_ROWS,), generator=rng)
    learner = torch.randint(2, (NUM_ROWS,), generator=rng)
    seat = 1 - learner
    does = torch.multinomial(partner_table()[places[:, 0], places[:, 1], partner, seat], 1, generator=rng).squeeze(1)
    actions = torch.randint(ACTIONS, (NUM_ROWS, 2), generator=rng)
    actions[torch.arange(NUM_ROWS), seat] = does
    following = (places + actions) % PLACES
    widths = (PLACES, PLACES, ACTIONS, ACTIONS, PLACES, PLACES, PARTNERS, 2)
    codes = (*places.T, *actions.T, *following.T, partner, learner)
    return torch.cat([one_hot(c, n).float() for c, n in zip(codes, widths, strict=True)], dim=1)


@pytest.fixture(scope="module", params=[pytest.param("diffusion", marks=pytest.mark.slow), "trees"])
def generator(request):
    options = {
        "network.num_blocks": 2,
        "fit.num_steps": 1200,
        "fit.batch_size": 256,
        "fit.learning_rate": 1e-2,
        "fit.ema_decay": 0.99,
    }
    torch.manual_seed(0)
    if request.param == "trees":
        options["fit.num_steps"] = 1  # of the diffusion, which has nothing to say
        generator = FactorisedGenerator(
            with_options(FactorisedConfig, {"heads": "trees", "network.hidden_width": 8} | options),
            CODEC,
            conditional=False,
        )
    else:
        generator = MaskedGenerator(
            with_options(MaskedConfig, {"network.hidden_width": 64} | options), CODEC, conditional=False
        )
    fit(Fabric(accelerator="cpu", devices=1), generator, rows(), None, seed=0)
    return generator


def asked(generator, code):
    """`[9, 2, 3]`: what it says of every state and both seats."""
    places = torch.cartesian_prod(torch.arange(PLACES), torch.arange(PLACES))
    states = one_hot(places, PLACES).flatten(1).float()
    seats = torch.tensor([0, 1]).repeat(len(states))
    answer = virtual_action_probabilities(generator, CODEC, states.repeat_interleave(2, dim=0), seats, code)
    return answer.view(PLACES, PLACES, 2, ACTIONS)


def test_it_plays_as_each_partner_does_in_either_seat(generator):
    table = partner_table()
    for code in (0, 1):
        answer = asked(generator, code)
        assert torch.allclose(answer.sum(dim=-1), torch.ones(PLACES, PLACES, 2), atol=1e-5)
        assert (answer - table[:, :, code]).abs().mean() < 0.07
        assert (answer - table[:, :, 1 - code]).abs().max() > 0.5


def test_trees_that_know_the_partner_are_saved_and_loaded_and_rows_do_not_depend_on_each_other():
    config = with_options(FactorisedConfig, {"heads": "trees", "network.hidden_width": 8, "fit.num_steps": 1})
    made, fresh = (FactorisedGenerator(config, CODEC, conditional=False) for _ in range(2))
    fit(Fabric(accelerator="cpu", devices=1), made, rows(), None, seed=0)
    fresh.load_state_dict(made.state_dict())
    states = one_hot(torch.tensor([[0, 1], [2, 2]]), PLACES).flatten(1).float()
    alone = [virtual_action_probabilities(made, CODEC, states[i : i + 1], torch.tensor([i]), 1) for i in (0, 1)]
    for generator in (made, fresh):
        both = virtual_action_probabilities(generator, CODEC, states, torch.tensor([0, 1]), 1)
        assert torch.equal(both, torch.cat(alone))
    assert (both > 0).all(), "nothing that may be done is said to be impossible"


def test_without_a_code_it_is_all_of_them_together(generator):
    assert (asked(generator, None) - partner_table().mean(dim=2)).abs().mean() < 0.07


def test_there_is_no_such_partner(generator):
    with pytest.raises(ValueError, match=r"^virtual_action_probabilities: partner 2 of 2$"):
        asked(generator, 2)


# Fidelity ------------------------------------------------------------------------------------------------------------


def test_fidelity_by_hand():
    own = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    said = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
    found = fidelity(said, np.array([0, 0]), own)
    assert found.log_likelihood == pytest.approx((np.log(0.5) + np.log(0.25)) / 2)
    assert found.top_1 == 0.5
    assert found.total_variation == pytest.approx((0.5 + 0.25) / 2)
    assert fidelity(own, np.array([0, 0]), own) == pytest.approx((np.log(0.5) / 2, 1.0, 0.0))
    assert fidelity(own, np.array([1, 0]), own).log_likelihood == -np.inf


def test_frequencies_are_those_of_all_actions():
    assert frequencies(np.array([2, 0, 2, 2]), 4).tolist() == [[0.25, 0, 0.75, 0]] * 4


def test_fidelity_needs_shapes_that_fit():
    with pytest.raises(ValueError, match=r"^fidelity: probabilities \(2, 3\) and \(2, 3\) of actions \(3,\)$"):
        fidelity(np.ones((2, 3)), np.zeros(3, dtype=int), np.ones((2, 3)))


def test_a_fitted_generator_is_as_faithful_as_a_generator_can_be(generator):
    """Against the table itself: nearly the log-likelihood of the truth, well above the frequencies and the other."""
    rng, num = np.random.default_rng(0), 4000
    places, seats = rng.integers(PLACES, size=(num, 2)), rng.integers(2, size=num)
    states = one_hot(torch.from_numpy(places), PLACES).flatten(1).float()
    truth = partner_table().numpy()
    for code in (0, 1):
        own = truth[places[:, 0], places[:, 1], code, seats]
        actions = (rng.random((num, 1)) >= own.cumsum(axis=1)).sum(axis=1).clip(max=ACTIONS - 1)
        said = {
            name: virtual_action_probabilities(generator, CODEC, states, torch.from_numpy(seats), asked).numpy()
            for name, asked in (("right", code), ("other", 1 - code), ("all", None))
        }
        found = {name: fidelity(p, actions, own) for name, p in said.items()}
        best, least = fidelity(own, actions, own), fidelity(frequencies(actions, ACTIONS), actions, own)
        assert best.log_likelihood - 0.05 < found["right"].log_likelihood <= best.log_likelihood + 0.02
        assert found["right"].total_variation < 0.11
        assert found["right"].log_likelihood > found["all"].log_likelihood > found["other"].log_likelihood
        assert found["right"].log_likelihood > least.log_likelihood
