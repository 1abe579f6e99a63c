"""Trees that say what follows, on a small world that is known."""

import pytest
import torch

from genreplay.common.errors import FieldError
from genreplay.generators.config import FactorisedConfig
from genreplay.generators.discrete.categories import Categories
from genreplay.generators.discrete.factorised import FactorisedGenerator
from genreplay.generators.discrete.forests import Forests, _one_hots
from genreplay.generators.distributed.team import Team, make_fabric
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, TransitionLayout
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION
from tests.helpers.options import with_options

CELLS, MOVES, NUM_NOISE = 5, 3, 6
"""A ring of cells, and six columns that have nothing to do with anything."""
HOLDS = [
    Column(OBSERVATION, 0, "categorical", "cell", width=CELLS),
    *(Column(OBSERVATION, CELLS + 4 * i, "categorical", f"noise {i}", width=4) for i in range(NUM_NOISE)),
    Column(ACTION, 0, "categorical", "move", width=MOVES),
]
FOLLOWS = [
    Column(NEXT_OBSERVATION, 0, "categorical", "next cell", width=CELLS),
    Column(NEXT_OBSERVATION, CELLS, "categorical", "next noise 0", width=4),
    Column(("next", "event"), 0, "categorical", "event", width=2),
]


def categories(columns):
    starts = torch.tensor([0, *(column.width for column in columns)]).cumsum(0)[:-1]
    return Categories(columns, starts.tolist())


def inputs_of(num_rows, seed):
    rng = torch.Generator().manual_seed(seed)
    sizes = (CELLS, *[4] * NUM_NOISE, MOVES)
    return torch.stack([torch.randint(size, (num_rows,), generator=rng) for size in sizes], dim=1)


def follows(inputs):
    """A move of 2 stays and, in cell 3 alone, makes something happen; noise stays as it is."""
    cell, move = inputs[:, 0], inputs[:, -1]
    after = torch.where(move < 2, (cell + move) % CELLS, cell)
    return torch.stack([after, inputs[:, 1], ((cell == 3) & (move == 2)).long()], dim=1)


def forests(num_rows=400, num_trees=12):
    made = Forests(categories(HOLDS), categories(FOLLOWS), num_trees)
    inputs = inputs_of(num_rows, 0)
    made.fit(inputs, follows(inputs))
    return made


def test_a_rule_is_learned_from_a_few_examples_where_everything_else_is_chance() -> None:
    """Of 150 rows some ten show the event; the values of the noise occur in 20,480 combinations."""
    shares, inputs = forests(150)(tested := inputs_of(4_000, 1)), inputs_of(150, 0)
    assert 5 <= int(follows(inputs)[:, 2].sum()) <= 15
    assert (shares.argmax(dim=2) == follows(tested)).all(dim=1).float().mean() > 0.98
    assert (shares.argmax(dim=2) == follows(tested))[follows(tested)[:, 2] == 1].all(dim=1).float().mean() > 0.9


def test_shares_are_those_of_the_trees_that_scikit_learn_grows(monkeypatch) -> None:
    """Walked by hand, a tree comes to the leaf that the library's own prediction comes to."""
    from sklearn.ensemble import ExtraTreesClassifier

    grown, fit = [], ExtraTreesClassifier.fit
    monkeypatch.setattr(ExtraTreesClassifier, "fit", lambda self, *data: grown.append(fit(self, *data)) or grown[-1])
    made, tested = forests(120), inputs_of(500, 1)
    assert len(grown) == 2, "what never changes needs no forest"
    happens = made(tested)[:, 2].argmax(dim=1, keepdim=True)
    entries = torch.cat([_one_hots(tested, made.sizes), _one_hots(happens, [2])], dim=1).numpy()
    moved = grown[0]
    votes = torch.stack(
        [torch.from_numpy(moved.classes_[tree.predict(entries).astype(int)]) for tree in moved.estimators_], dim=1
    )
    copy = made.max_size
    value = torch.where(votes == copy, tested[:, :1], votes)
    expected = torch.nn.functional.one_hot(value, copy).float().mean(dim=1)
    assert torch.equal(made(tested)[:, 0], expected)
    assert (expected.amax(dim=1) < 1).any(), "they disagree somewhere"


def test_no_event_leaves_in_place_what_it_takes() -> None:
    """Forests that did not know of each other left 28 of these 253 events' objects where they were."""

    def taken(inputs):
        cell, move, parity = inputs[:, 0], inputs[:, -1], (inputs[:, 2] + inputs[:, 3]) % 2
        event = (cell == 3) & (move == 2) & (parity == 0) & (inputs[:, 1] > 0)
        return torch.stack([cell, torch.where(event, 0, inputs[:, 1]), event.long()], dim=1)

    made, inputs = Forests(categories(HOLDS), categories(FOLLOWS), 12), inputs_of(300, 0)
    made.fit(inputs, taken(inputs))
    said = made(inputs_of(20_000, 1)).argmax(dim=2)
    events = said[said[:, 2] == 1]
    assert len(events) > 100
    assert (events[:, 1] == 0).all()


def test_what_stays_as_it_was_is_copied_whatever_it_is() -> None:
    inputs = inputs_of(60, 0)
    inputs[:, 1] = 0
    made = Forests(categories(HOLDS), categories(FOLLOWS), 4)
    made.fit(inputs, follows(inputs))
    tested = inputs_of(200, 1)
    assert torch.equal(made(tested)[:, 1].argmax(dim=1), tested[:, 1]), "values that were never seen"


def test_shares_add_up_and_rows_do_not_depend_on_each_other() -> None:
    made, tested = forests(), inputs_of(100, 1)
    shares = made(tested)
    assert shares.shape == (100, 3, CELLS)
    torch.testing.assert_close(shares.sum(dim=2), torch.ones(100, 3))
    assert torch.equal(made(tested[:7]), shares[:7])


def test_repeated_rows_count_once_and_their_order_not_at_all() -> None:
    inputs = inputs_of(200, 0)
    one, other = (Forests(categories(HOLDS), categories(FOLLOWS), 4) for _ in range(2))
    one.fit(inputs, follows(inputs))
    more = torch.cat([inputs.flip(0), inputs[:50]])
    other.fit(more, follows(more))
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))


def test_trees_are_saved_and_loaded_like_weights() -> None:
    made, fresh = forests(), Forests(categories(HOLDS), categories(FOLLOWS), 12)
    fresh(inputs_of(3, 0))  # says something even before a fit
    fresh.load_state_dict(made.state_dict())
    tested = inputs_of(300, 1)
    assert torch.equal(fresh(tested), made(tested))
    made.fit(inputs_of(20, 5), follows(inputs_of(20, 5)))
    assert not torch.equal(fresh(tested), made(tested)), "nothing is shared"


def generator():
    codec = Codec(TransitionLayout((*HOLDS, *FOLLOWS)))
    torch.manual_seed(0)
    options = {"heads": "trees", "network.hidden_width": 16, "network.num_blocks": 1, "fit.num_steps": 5}
    config = with_options(FactorisedConfig, options | {"fit.batch_size": 32})
    return FactorisedGenerator(config, codec, conditional=False)


def rows_of(inputs):
    codes = torch.cat([inputs, follows(inputs)], dim=1)
    widths = [column.width for column in (*HOLDS, *FOLLOWS)]
    one_hots = [torch.nn.functional.one_hot(codes[:, i], width) for i, width in enumerate(widths)]
    return torch.cat(one_hots, dim=1).float()


def test_a_factorised_generator_with_trees_completes_samples_and_is_saved() -> None:
    with Team(make_fabric("cpu"), generator()) as team:
        team.fit(rows_of(inputs_of(40, 0)), None, seed=0)
        tested = rows_of(inputs_of(1_000, 1))
        completed = team.generator.complete(tested)
        assert not list(team.generator.network.members), "no networks beside the trees"
        right = (completed.rows == tested).all(dim=1)
        assert 0.5 < right.float().mean() < 1
        assert completed.agree.all(), "trees count as one member: their doubt is in the confidence"
        sure = completed.confidence.view(-1) > 0.8
        assert right[sure].float().mean() > right[~sure].float().mean()
        drawn = team.sample(50, None, 3)
        assert (team.generator.complete(drawn.rows).rows == drawn.rows).all()
        loaded = generator()
        loaded.load_state_dict(team.generator.state_dict())
        assert torch.equal(loaded.complete(tested).rows, completed.rows)


def test_bad_heads_are_named() -> None:
    with pytest.raises(FieldError, match="must be one of networks, trees, not 'tree'"):
        FactorisedConfig(heads="tree")
    with pytest.raises(FieldError, match="must be at least 1, not 0"):
        FactorisedConfig(num_trees=0)
