import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from genreplay.common.errors import UserError
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, TransitionLayout, continuous_columns
from genreplay.transitions.keys import (
    ACTION,
    DONE,
    IS_SYNTHETIC,
    NEXT_OBSERVATION,
    OBSERVATION,
    REWARD,
    TERMINATED,
    TRUNCATED,
)

GRIDS = (0.1, 0.25, 1.0, 5.0)


@st.composite
def columns_of(draw, key):
    """Adjacent columns of every kind that fill one tensor."""
    columns, start = [], 0
    for i in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["continuous", "grid", "binary", "categorical"]))
        width = draw(st.integers(1, 4)) if kind == "categorical" else draw(st.integers(1, 2))
        options = {}
        if kind == "grid":
            resolution = draw(st.sampled_from(GRIDS))
            low = draw(st.integers(-20, 20)) * resolution
            options = {"resolution": resolution, "low": low, "high": low + draw(st.integers(0, 30)) * resolution}
        elif kind == "continuous" and draw(st.booleans()):
            options = {"low": -2.0, "high": 3.0}
        kind = "continuous" if kind == "grid" else kind
        columns.append(Column(key, start, kind, f"{key}{i}", width=width, **options))
        start += width
    return columns


@st.composite
def layouts(draw):
    """A random layout whose next observation's last entry is derived: twice the reward."""
    reward = Column(REWARD, 0, "continuous", "reward", low=-5.0, high=5.0)
    terminated = Column(TERMINATED, 0, "binary", "terminated")
    following = draw(columns_of(NEXT_OBSERVATION))
    last = following[-1].start + following[-1].width
    derived = Column(NEXT_OBSERVATION, last, "continuous", "twice the reward", derived=True)

    def derive(transitions):
        transitions[NEXT_OBSERVATION][:, last] = 2 * transitions[REWARD][:, 0]

    columns = [
        *draw(columns_of(OBSERVATION)),
        *draw(columns_of(ACTION)),
        *following,
        reward,
        terminated,
        derived,
    ]
    return TransitionLayout(tuple(draw(st.permutations(columns))), derive)


def is_valid(layout, transitions):
    """Whether every column of `transitions` satisfies the layout, checked column by column."""
    for column in layout.columns:
        values = transitions[column.key][:, column.start : column.start + column.width].double()
        assert values.isfinite().all(), column
        if column.kind == "binary":
            assert ((values == 0) | (values == 1)).all(), column
        elif column.kind == "categorical":
            assert ((values == 0) | (values == 1)).all(), column
            assert (values.sum(1) == 1).all(), column
        elif not column.derived:
            slack = 1e-6 * max(1.0, abs(column.low), abs(column.high)) if math.isfinite(column.low) else 0.0
            assert (values >= column.low - slack).all(), column
            assert (values <= column.high + slack).all(), column
            if column.resolution:
                steps = values / column.resolution
                assert (steps - steps.round()).abs().max() < 1e-3, column
    return True


def rows_for(codec, num_rows, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_rows, codec.width, generator=generator) * scale


@settings(deadline=None, max_examples=80)
@given(layout=layouts(), derive=st.booleans(), seed=st.integers(0, 999), scale=st.sampled_from([0.5, 10, 1e6, 1e37]))
def test_whatever_is_generated_decodes_to_valid_transitions_that_survive_a_round_trip(layout, derive, seed, scale):
    codec = Codec(layout, derive)
    transitions = codec.decode(rows_for(codec, 13, scale, seed))
    assert is_valid(layout, transitions)
    if derive:
        derived = next(c for c in layout.columns if c.derived)
        assert torch.equal(transitions[NEXT_OBSERVATION][:, derived.start], 2 * transitions[REWARD][:, 0])
    again = codec.decode(codec.encode(transitions))
    assert all(torch.allclose(again[key].float(), transitions[key].float(), rtol=1e-5) for key in layout.widths())


@settings(deadline=None, max_examples=40)
@given(layout=layouts(), seed=st.integers(0, 999))
def test_projecting_twice_changes_nothing_more_and_leaves_its_input(layout, seed):
    codec = Codec(layout)
    rows = rows_for(codec, 9, 3.0, seed)
    before = rows.clone()
    once = codec.project(rows)
    assert torch.equal(rows, before)
    assert torch.allclose(codec.project(once), once)


@settings(deadline=None, max_examples=40)
@given(layout=layouts(), derive=st.booleans())
def test_every_column_has_one_name_and_derived_ones_are_left_out(layout, derive):
    codec = Codec(layout, derive)
    assert len(codec.names) == codec.width
    assert codec.width == sum(c.width for c in layout.columns if not (derive and c.derived))
    assert ("twice the reward" in codec.names) is not derive


LAYOUT = TransitionLayout(
    (
        Column(OBSERVATION, 0, "categorical", "phase", width=3),
        Column(OBSERVATION, 3, "continuous", "queue", low=0.0, high=10.0, resolution=1.0),
        *continuous_columns(ACTION, ["green"], -1.0, 1.0),
        Column(NEXT_OBSERVATION, 0, "categorical", "phase", width=3),
        Column(NEXT_OBSERVATION, 3, "continuous", "queue", low=0.0, high=10.0, resolution=1.0),
        Column(REWARD, 0, "continuous", "reward"),
        Column(TERMINATED, 0, "binary", "terminated"),
    )
)
ROW = [0.2, 0.1, 0.9, 3.4, 1.7, 5.0, -2.0, 4.9, 12.0, -30.5, 0.7]


def test_decode_by_hand():
    transitions = Codec(LAYOUT).decode(torch.tensor([ROW, [0.0] * 11]))
    assert transitions[OBSERVATION].tolist() == [[0, 0, 1, 3], [1, 0, 0, 0]]
    assert transitions[ACTION].tolist() == [[1.0], [0.0]]
    assert transitions[NEXT_OBSERVATION].tolist() == [[1, 0, 0, 10], [1, 0, 0, 0]]
    assert transitions[REWARD].tolist() == [[-30.5], [0.0]]
    assert transitions[TERMINATED].tolist() == transitions[DONE].tolist() == [[True], [False]]
    assert not transitions[TRUNCATED].any()
    assert transitions[IS_SYNTHETIC].all()
    assert {transitions[key].dtype for key in (TERMINATED, TRUNCATED, DONE, IS_SYNTHETIC)} == {torch.bool}


def test_real_rows_come_back_exactly():
    real = TensorDict(
        {
            "observation": torch.tensor([[0.0, 1, 0, 4]]),
            "action": torch.tensor([[0.123456]]),
            "next": {
                "observation": torch.tensor([[0.0, 0, 1, 7]]),
                "reward": torch.tensor([[-1234.5678]]),
                "terminated": torch.tensor([[True]]),
            },
        },
        batch_size=[1],
    )
    codec = Codec(LAYOUT)
    rows = codec.encode(real)
    assert rows.shape == (1, 11)
    assert rows.dtype == torch.float32
    decoded = codec.decode(rows)
    assert all(torch.equal(decoded[key], real[key]) for key in LAYOUT.widths())


def test_names_tell_the_choices_of_a_one_hot():
    assert Codec(LAYOUT).names[:5] == ("phase[0]", "phase[1]", "phase[2]", "queue", "green")


def test_bounds_between_grid_points_do_not_lead_off_the_grid():
    layout = TransitionLayout(
        (Column(OBSERVATION, 0, "continuous", "count", low=0.5, high=3.7, resolution=1.0), LAYOUT.columns[-1])
    )
    decoded = Codec(layout).decode(torch.tensor([[-4.0, 0.0], [0.6, 0.0], [99.0, 0.0]]))
    assert decoded[OBSERVATION].tolist() == [[1.0], [1.0], [3.0]]


def test_an_open_grid_stays_finite_for_the_largest_numbers():
    layout = TransitionLayout(
        (Column(OBSERVATION, 0, "continuous", "time", low=0.0, resolution=0.1), LAYOUT.columns[-1])
    )
    assert Codec(layout).decode(torch.tensor([[3e38, 0.0]]))[OBSERVATION].isfinite().all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_generator_that_diverged_is_a_user_error(value):
    rows = torch.zeros(5, 11)
    rows[1, 9], rows[3, 4], rows[3, 9] = value, value, value
    message = (
        r"^generator: 2 of 5 generated rows are not finite, first in column 'green': it has diverged; lower "
        r"generator\.fit\.learning_rate or fit it longer$"
    )
    with pytest.raises(UserError, match=message):
        Codec(LAYOUT).decode(rows)


@pytest.mark.parametrize("shape", [(5, 10), (11,), (2, 5, 11)])
def test_rows_of_another_width_are_refused(shape):
    message = rf"^rows have shape {tuple(shape)}, but this layout has 11 columns$"
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        Codec(LAYOUT).decode(torch.zeros(*shape))


def test_no_rows_decode_to_no_transitions():
    assert len(Codec(LAYOUT).decode(torch.zeros(0, 11))) == 0


def test_what_is_stored_are_the_layout_s_columns_and_how_the_step_ended():
    columns = (Column("observation", 0, "continuous", "o"), Column(("next", "event"), 0, "categorical", "e", 3))
    keys = TransitionLayout(columns).stored_keys
    assert keys == ("observation", ("next", "event"), ("next", "truncated"), ("next", "done"), "is_synthetic")
