"""The batched kitchen is overcooked-ai, exactly: states, rewards, views."""

import subprocess
import sys

import numpy as np
import pytest

from genreplay.common.errors import UserError
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
from genreplay.envs.overcooked.kitchen.rules import INTERACT, Kitchen
from genreplay.envs.overcooked.partners.human_play import LAYOUTS, SHA256, human_play
from tests.helpers.kitchens import HUMAN_LAYOUTS, Package, assert_same_step, supported

BOTH = [(name, dynamics) for name in HUMAN_LAYOUTS for dynamics in ("old", "new")]


def rich_states(kitchen: Kitchen, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Possible states with actions, as many as can be of each pair of events."""
    rng = np.random.default_rng(0)
    codes = kitchen.random_states(rng, 100_000)
    actions = np.where(rng.random((len(codes), 2)) < 0.6, INTERACT, rng.integers(6, size=(len(codes), 2)))
    _, events = kitchen.step(codes, actions)
    _, kind, counts = np.unique(events @ [len(kitchen.event_names), 1], return_inverse=True, return_counts=True)
    weight = 1.0 / counts[kind]
    chosen = rng.choice(len(codes), size=num, replace=False, p=weight / weight.sum())
    return codes[chosen], actions[chosen]


@pytest.mark.parametrize(("name", "dynamics"), supported())
def test_random_states_step_and_code_as_in_the_package(name, dynamics):
    kitchen = Kitchen(read_layout(name), dynamics)
    package = Package(kitchen)
    codes, actions = rich_states(kitchen, 150)
    for code in codes[:50]:
        assert kitchen.code.encode(kitchen.code.decode(code)).tolist() == code.tolist()
    assert kitchen.code.encode(package.mdp.get_standard_start_state()).tolist() == kitchen.code.start().tolist()
    assert_same_step(kitchen, package, codes, actions)
    _, events = kitchen.step(codes, actions)
    missing = set(range(len(kitchen.event_names))) - set(events.ravel().tolist())
    assert not missing, [kitchen.event_names[i] for i in missing]


@pytest.mark.parametrize(("name", "dynamics"), BOTH)
def test_random_play_is_the_package_s(name, dynamics):
    kitchen = Kitchen(read_layout(name), dynamics)
    package = Package(kitchen)
    rng = np.random.default_rng(1)
    code, expected = kitchen.code.start(), kitchen.code.start()
    for _ in range(400):
        actions = np.where(rng.random(2) < 0.3, INTERACT, rng.integers(6, size=2))
        following, events = kitchen.step(code[None], actions[None])
        code = following[0]
        expected, sparse, shaped = package.step(expected, actions)
        assert code.tolist() == expected.tolist()
        assert kitchen.sparse_rewards[events[0]].tolist() == sparse.tolist()
        assert kitchen.shaped_rewards[events[0]].tolist() == shaped.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", list(LAYOUTS))
def test_human_play_is_reproduced(name, split, tmp_path):
    play = human_play(name, split, tmp_path)
    kitchen = Kitchen(read_layout(name), "old")
    following, events = kitchen.step(play.codes, play.actions)
    assert len(play.codes) > 5000
    assert (following == play.next_codes).all(axis=1).mean() == 1.0
    assert np.array_equal((events >= 4).sum(axis=1), play.soups)
    assert play.soups.sum() > 50
    again = human_play(name, split, tmp_path)
    assert np.array_equal(play.codes, again.codes)
    assert_same_step(kitchen, Package(kitchen), play.codes[::40], play.actions[::40])


def test_human_play_is_refused_where_there_is_none_or_the_file_is_another(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"^human play: nobody played 'bottleneck'; choose one of cramped_room, "):
        human_play("bottleneck", "train", tmp_path)
    monkeypatch.setitem(SHA256, "train", "0" * 64)
    with pytest.raises(UserError, match=r"is not the file of overcooked-ai 1\.1\.0; install that version again$"):
        human_play("cramped_room", "train", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_prints_nothing():
    program = "from genreplay.envs.overcooked.kitchen.package import overcooked; overcooked('mdp.overcooked_env')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
