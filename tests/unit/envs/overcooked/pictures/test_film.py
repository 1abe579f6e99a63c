"""Pictures of kitchens: they show what the code says, move along an episode, and mark what cannot happen."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensordict import TensorDict
from torch.nn.functional import one_hot

from genreplay import cli
from genreplay.common.errors import UserError
from genreplay.envs.facets import Camera, FilmRequest
from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
from genreplay.envs.overcooked.kitchen.rules import Kitchen
from genreplay.envs.overcooked.kitchen.state_code import CELL, DIRECTION, HELD, ONION, PLAYER_COLUMNS
from genreplay.envs.overcooked.pictures.film import FrameRenderer, FrameState, picture_transitions
from genreplay.envs.overcooked.pictures.kitchen import BAD, GOOD, HATS, Artist, sprites
from genreplay.envs.overcooked.world import OvercookedWorld
from genreplay.runs import checkpoint
from genreplay.runs.policy import load_policy
from genreplay.transitions.keys import ACTION, EVENT, NEXT_OBSERVATION, OBSERVATION, REWARD, SHAPED_REWARD
from tests.helpers.saved import save_untrained

CONFIG = """
env: {name: overcooked, horizon: 30}
agent: {name: discrete_redq_sac, hidden_width: 16}
generator: {name: none}
relevance: {name: none}
"""
SCALE = 3


@pytest.fixture(scope="module")
def kitchen():
    return Kitchen(read_layout("cramped_room"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp("saved"), CONFIG)


def tile(picture, cell, size):
    x, y = cell
    return np.asarray(picture)[y * size : (y + 1) * size, x * size : (x + 1) * size]


def changed_cells(kitchen, one, other, size):
    grid = kitchen.code.kitchen.grid
    cells = itertools.product(range(len(grid[0])), range(len(grid)))
    return {cell for cell in cells if (tile(one, cell, size) != tile(other, cell, size)).any()}


def num_pixels(picture, color):
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.asarray(picture) == wanted).all(axis=-1).sum())


def rows(kitchen, before, actions, after, events):
    """Joint transitions as the environment writes them."""
    num_events = len(kitchen.event_names)
    rewards = kitchen.sparse_rewards[events].sum(axis=1, keepdims=True)
    return TensorDict(
        {
            OBSERVATION: torch.from_numpy(kitchen.code.one_hot(before)),
            ACTION: one_hot(torch.from_numpy(actions), 6).float().flatten(1),
            NEXT_OBSERVATION: torch.from_numpy(kitchen.code.one_hot(after)),
            EVENT: one_hot(torch.from_numpy(events), num_events).float().flatten(1),
            REWARD: torch.from_numpy(rewards),
            SHAPED_REWARD: torch.from_numpy(kitchen.shaped_rewards[events]),
        },
        [len(before)],
    )


@pytest.mark.parametrize("layout", ["cramped_room", "counter_circuit_o_1order"])
def test_each_column_of_the_code_changes_its_own_cell_and_no_other(layout):
    kitchen = Kitchen(read_layout(layout))
    artist, code, start = Artist(kitchen.code, SCALE), kitchen.code, kitchen.code.start()
    empty = artist.draw(start)
    assert empty.size == artist.size == (len(code.kitchen.grid[0]) * 45, len(code.kitchen.grid) * 45)
    for column, place in enumerate([*code.counters, *code.pots], start=code.first_counter):
        is_pot = column >= code.first_pot
        here = code.first_pot + 2 * (column - code.first_pot) if is_pot else column
        looks = []
        for thing in range(1, 4 if is_pot else 6):
            state = start.copy()
            state[here] = thing
            looks.append(artist.draw(state))
            assert changed_cells(kitchen, empty, looks[-1], artist.tile) == {place}
        for one, other in itertools.combinations(looks, 2):
            assert np.any(np.asarray(one) != np.asarray(other)), "every object looks different"


def test_a_cook_stands_where_the_code_says_and_wears_its_hat(kitchen):
    artist, code = Artist(kitchen.code, SCALE), kitchen.code
    floor = np.asarray(sprites(SCALE)["floor"].convert("RGB"))
    looks = set()
    for cook, (direction, held) in itertools.product((0, 1), itertools.product(range(4), (0, ONION))):
        state = code.start()
        state[cook * PLAYER_COLUMNS + DIRECTION], state[cook * PLAYER_COLUMNS + HELD] = direction, held
        picture = artist.draw(state)
        cell = code.cells[state[cook * PLAYER_COLUMNS + CELL]]
        here = tile(picture, cell, artist.tile)
        looks.add(here.tobytes())
        facing = ("NORTH", "SOUTH", "EAST", "WEST")[direction]
        hat = np.asarray(sprites(SCALE)[f"{facing}-{HATS[cook]}hat"])
        worn = hat[..., 3] > 0
        assert (here[worn] == hat[worn][:, :3]).all()
        others = {code.cells[state[i * PLAYER_COLUMNS + CELL]] for i in (0, 1)}
        for free in set(code.cells) - others:
            assert (tile(picture, free, artist.tile) == floor).all()
    assert len(looks) == 2 * 4 * 2


def test_a_pot_tells_how_far_it_is(kitchen):
    artist, code = Artist(kitchen.code, SCALE), kitchen.code
    cook_time, filled = code.kitchen.cook_times[2], []
    for timer in (2, 8, 14, cook_time + 1):
        state = code.start()
        state[code.first_pot], state[code.first_pot + 1] = 3, timer
        picture = artist.draw(state)
        filled.append(num_pixels(picture, "#ffb52e"))
        assert (num_pixels(picture, GOOD) > 0) == (timer > cook_time), "green once the soup is ready"
    assert 0 < filled[0] < filled[1] < filled[2]
    assert filled[3] == 0


def test_two_cooks_in_one_cell_are_both_seen(kitchen):
    artist, state = Artist(kitchen.code, SCALE), kitchen.code.start()
    state[PLAYER_COLUMNS + CELL] = state[CELL]
    picture = artist.draw(state)
    for hat in HATS:
        color = sprites(SCALE)[f"NORTH-{hat}hat"].getpixel((22, 5))[:3]
        assert (np.asarray(picture) == color).all(axis=-1).sum() > 0


def test_impossible_transitions_are_marked_where_they_are_wrong(kitchen):
    rng = np.random.default_rng(0)
    before, actions = kitchen.random_states(rng, 40), rng.integers(6, size=(40, 2))
    after, events = kitchen.step(before, actions)
    right = list(picture_transitions(kitchen, rows(kitchen, before, actions, after, events)))
    assert all(num_pixels(picture, BAD) == 0 for picture in right)
    assert all(picture.shape == right[0].shape and picture.dtype == np.uint8 for picture in right)

    counter = kitchen.code.first_counter
    after[:, counter] = np.where(after[:, counter] == ONION, 0, ONION)
    wrong = list(picture_transitions(kitchen, rows(kitchen, before, actions, after, events)))
    size = 45
    x, y = kitchen.code.counters[0]
    left = wrong[0].shape[1] - 14 - len(kitchen.code.kitchen.grid[0]) * size + x * size
    top = 14 + 44 + y * size
    for picture in wrong:
        assert num_pixels(picture[0], BAD) == picture.shape[1], "a red frame around it all"
        framed = picture[top : top + size, left : left + size]
        assert num_pixels(framed, BAD) > 4 * 40 * 2, "and one around the counter"


def test_a_frame_shows_score_time_and_soups(kitchen):
    renderer, frame = FrameRenderer(kitchen, 400), FrameState(["learned policy", "greedy"])
    quiet = renderer.draw(kitchen.code.start(), frame)
    assert quiet.shape == (renderer.size[1], renderer.size[0], 3)
    assert num_pixels(quiet, GOOD) == 0
    frame.time, frame.score, frame.gain, frame.deliveries = 100, 20.0, 20.0, [100]
    served = renderer.draw(kitchen.code.start(), frame)
    columns = np.flatnonzero((served[-30:] == (0x4C, 0xCB, 0x6E)).all(axis=-1).any(axis=0))
    width = renderer.size[0] - 28
    assert abs(columns.mean() - (14 + width / 4)) < 2, "its mark lies at a quarter of the episode"


def test_an_episode_is_filmed_from_its_code(saved):
    loaded: Any = load_policy(saved)
    pictures = list(loaded.world.camera.film(loaded.policy, FilmRequest(None, 3, 5, 20, 4, None)))
    assert len(pictures) == 5
    for one, other in itertools.pairwise(pictures):
        assert (one != other).any(), "at least its time moves"
    # The kitchen in the last picture is that of 22 steps in the environment.
    env = loaded.world.make_env(1, lambda worker, index: 3, evaluation=True)
    view = env.start({0: 3})[0]
    for _ in range(22):
        chances = loaded.policy.module(torch.from_numpy(view)[None])[0].numpy()
        view = env.advance({0: chances})[0].observation
    renderer = FrameRenderer(loaded.world.kitchen, 30)
    expected = Artist(loaded.world.kitchen.code, 4).draw(env.codes[0])
    (left, top), (width, height) = renderer.place, expected.size
    assert (pictures[-1][top : top + height, left : left + width] == np.asarray(expected)).all()


def test_render_writes_a_whole_episode_by_itself(saved, tmp_path, capsys):
    gif = tmp_path / "film.gif"
    assert cli.main(["render", "--checkpoint", str(saved), "--output", str(gif)]) == 0
    assert capsys.readouterr().out.startswith(f"{gif}: 30 pictures, ")
    with Image.open(gif) as film:
        assert film.n_frames > 1  # type: ignore[attr-defined]


def test_synthetic_transitions_of_a_checkpoint(saved, tmp_path, capsys):
    world = OvercookedWorld(OvercookedConfig(horizon=30))
    rng = np.random.default_rng(0)
    before, actions = world.kitchen.random_states(rng, 50), rng.integers(6, size=(50, 2))
    transitions = rows(world.kitchen, before, actions, *world.kitchen.step(before, actions))
    loaded = checkpoint.load(saved)
    folder = checkpoint.save(
        tmp_path / "synthetic",
        modules=loaded.modules,
        optimizers={},
        buffers=TensorDict({"cursor": torch.tensor(0), "synthetic": transitions}, []),
        counters=loaded.counters,
        config_yaml=loaded.config_yaml,
    )
    gif = tmp_path / "rows.gif"
    assert cli.main(["render", "--checkpoint", str(folder), "--synthetic", "--output", str(gif)]) == 0
    assert capsys.readouterr().out.startswith(f"{gif}: 40 pictures, ")
    with Image.open(gif) as film:
        assert (film.n_frames, film.info["duration"]) == (40, 2000)  # type: ignore[attr-defined]


def test_mistakes_are_one_line(saved, tmp_path, capsys):
    own = ["render", "--checkpoint", str(saved)]
    for argv, message in (
        ([*own, "--begin", "30"], "--begin 30: the episode has 30 steps; begin before its end"),
        (
            [*own, "--baseline"],
            "--baseline: Overcooked shows one kitchen; leave it out, and name a partner",
        ),
        ([*own, "--synthetic"], "--synthetic: this checkpoint has no synthetic transitions; take one of a run whose"),
        ([*own, "--synthetic", "--stride", "2"], "--stride: has no effect with --synthetic; leave it out"),
    ):
        assert cli.main([*argv, "--output", str(tmp_path / "film.gif")]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1), err
        assert message in err


def test_a_camera_without_pictures_of_transitions_says_so():
    with pytest.raises(UserError, match="--synthetic: this environment draws no transitions"):
        Camera.picture_transitions(None, TensorDict({}, [0]))
