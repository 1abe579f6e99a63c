"""Per-player rows of joint transitions: observation, action, reward."""

import pytest
import torch
from tensordict import TensorDict

from genreplay.agents.discrete.seat_rows import seat_rows
from genreplay.transitions.columns import Seats
from genreplay.transitions.seats import swap_seats

PERMUTATION = torch.tensor([2, 3, 0, 1, 4])
A = 3


def joint(learner, lead=()):
    """Two transitions whose entries all differ, repeated over `lead`; `learner` `[2, 2]`."""
    following = TensorDict(
        {
            "observation": torch.arange(10.0).view(2, 5) + 100,
            "reward": torch.tensor([[20.0], [0.0]]),
            "shaped_reward": torch.tensor([[3.0, 5.0], [0.0, 8.0]]),
            "duration": torch.tensor([[1.0], [2.0]]),
            "terminated": torch.tensor([[False], [True]]),
        },
        [2],
    )
    rows = TensorDict(
        {
            "observation": torch.arange(10.0).view(2, 5),
            "action": torch.tensor([[1.0, 0, 0, 0, 0, 1], [0, 1.0, 0, 1, 0, 0]]),
            "next": following,
            "learner": torch.tensor(learner),
            "is_synthetic": torch.tensor([[True], [False]]),
        },
        [2],
    )
    return rows.expand(*lead, 2)


def rows_of(transitions, learners="any", coefficient=0.5):
    return seat_rows(transitions, PERMUTATION, Seats(PERMUTATION, A, learners), coefficient)


@pytest.mark.parametrize("lead", [(), (4,)])
def test_both_seats_see_themselves_first_and_get_their_own_shaped_reward(lead):
    rows = rows_of(joint([[1.0, 0.0], [1.0, 1.0]], lead=lead))
    first = {name: tensor[(0,) * len(lead)] for name, tensor in rows._asdict().items()}
    state = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [2, 3, 0, 1, 4], [7, 8, 5, 6, 9]]
    assert first["observation"].tolist() == state
    assert (first["next_observation"] - 100).tolist() == state
    assert first["action"].argmax(dim=1).tolist() == [0, 1, 2, 0]
    assert first["reward"].flatten().tolist() == [21.5, 0.0, 22.5, 4.0]
    assert first["duration"].flatten().tolist() == [1, 2, 1, 2]
    assert first["terminated"].flatten().tolist() == [False, True, False, True]
    assert first["is_synthetic"].flatten().tolist() == [True, False, True, False]
    assert first["learns"].flatten().tolist() == [1, 1, 0, 1]
    assert {tensor.shape[:-1] for tensor in rows} == {(*lead, 4)}


def test_swapped_players_see_what_the_other_one_saw():
    rows = joint([[1.0, 0.0], [1.0, 1.0]]).clone()
    rows["next", "event"] = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    before = rows.clone()
    seats = Seats(PERMUTATION, A)
    swapped = swap_seats(rows, seats)
    assert (rows == before).all()
    assert swapped["learner"].tolist() == [[0, 1], [1, 1]]
    assert swapped["next", "event"].tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]
    for one, other in zip(
        seat_rows(rows, PERMUTATION, seats, 0.5), seat_rows(swapped, PERMUTATION, seats, 0.5), strict=True
    ):
        assert torch.equal(one, other.roll(2, dims=0)), "player 0's rows are now player 1's"
    assert (swap_seats(swapped, seats) == rows).all()


def test_with_a_partner_a_transition_is_the_one_row_of_its_learner():
    transitions = joint([[0.0, 1.0], [1.0, 0.0]])
    one, every = rows_of(transitions, "one"), rows_of(transitions, "any")
    learning = every.learns[:, 0] == 1  # row 1 (seat 0) and row 2 (seat 1)
    assert learning.tolist() == [False, True, True, False]
    for ours, theirs in zip(one, every, strict=True):
        assert torch.equal(ours, theirs[learning].flip(0))


def test_a_permutation_that_loses_entries_is_an_error():
    with pytest.raises(ValueError, match=r"^Seats: permutation must hold every index of an observation once$"):
        Seats(torch.tensor([0, 0, 1]), A)
