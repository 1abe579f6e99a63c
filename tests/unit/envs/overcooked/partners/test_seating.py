"""Who plays an episode, what chance a partner has, and where things are kept."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from genreplay.envs.overcooked.config import OvercookedConfig, PartnerName, parse_partner
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
from genreplay.envs.overcooked.kitchen.rules import STAY, Kitchen
from genreplay.envs.overcooked.partners.base import (
    Partner,
    PartnerInput,
    RandomPartner,
    StayPartner,
    choose,
    uniforms_of,
)
from genreplay.envs.overcooked.partners.cache import cache_folder, clone_file
from genreplay.envs.overcooked.partners.seating import (
    EpisodePartners,
    Seating,
    cycle_seating,
    named_seating,
    sample_seating,
)

KITCHEN = Kitchen(read_layout("cramped_room"))


def scene(uniforms, code=None, seat=0):
    code = KITCHEN.code.start() if code is None else code
    num = len(uniforms)
    uniforms = np.stack([uniforms, np.zeros(num)], axis=1).astype(np.float32)
    return PartnerInput(
        KITCHEN.code, np.repeat(code[None], num, 0), np.full((num, len(code)), -1), np.full(num, seat), uniforms
    )


def grid_of_uniforms(num=600):
    return (np.arange(num) + 0.5) / num


def test_staying_and_chance():
    assert (StayPartner().act(scene(grid_of_uniforms())) == STAY).all()
    assert np.bincount(RandomPartner().act(scene(grid_of_uniforms()))).tolist() == [100] * 6
    assert RandomPartner().act(scene(np.array([0.0, np.nextafter(np.float32(1), np.float32(0))]))).tolist() == [0, 5]


def test_choices_follow_their_probabilities():
    probabilities = np.array([0.0, 0.25, 0.5, 0.0, 0.25, 0.0])
    chosen = choose(np.repeat(probabilities[None], 400, 0), grid_of_uniforms(400))
    assert (np.bincount(chosen, minlength=6) / 400).tolist() == probabilities.tolist()
    ends = choose(np.repeat(probabilities[None], 2, 0), np.array([0.0, 1 - 1e-7]))
    assert ends.tolist() == [1, 4]


def test_a_partner_sees_itself_first():
    code = KITCHEN.random_states(np.random.default_rng(0), 1)[0]
    assert np.array_equal(scene(np.zeros(1), code, 0).views()[0], KITCHEN.code.one_hot(code))
    assert np.array_equal(scene(np.zeros(1), code, 1).views()[0], KITCHEN.code.one_hot(code[KITCHEN.code.swap]))


def test_chance_is_a_function_of_the_seed():
    assert np.array_equal(uniforms_of(5, 30), uniforms_of(5, 30))
    assert not np.array_equal(uniforms_of(5, 30), uniforms_of(6, 30))
    many = uniforms_of(1, 20_000)
    assert (many >= 0).all()
    assert (many < 1).all()
    assert np.abs(many.mean(axis=0) - 0.5).max() < 0.01
    assert abs(np.corrcoef(many.T)[0, 1]) < 0.03


def test_names():
    assert parse_partner("greedy") == PartnerName("greedy")
    assert parse_partner("greedy:0.25") == PartnerName("greedy", softness=0.25)
    assert parse_partner("human").split == parse_partner("human:train").split == "train"
    assert parse_partner("human:test").split == "test"
    assert parse_partner("checkpoint:a/b:c") == PartnerName("checkpoint", folder="a/b:c")
    assert parse_partner("virtual:a/b") == PartnerName("virtual", folder="a/b")
    assert parse_partner("virtual:a/b:2") == PartnerName("virtual", folder="a/b", code=2)
    assert parse_partner("virtual:2") == PartnerName("virtual", folder="2")


@pytest.mark.parametrize(
    ("partners", "learners", "num_partners"),
    [
        ([], "both", 1),
        (["self"], "both", 1),
        (["self", "self"], "both", 2),
        (["stay"], "one", 1),
        (["self", "stay", "random"], "any", 3),
    ],
)
def test_who_learns(partners, learners, num_partners):
    config = OvercookedConfig(partners=partners)
    assert (config.learners, config.num_partners) == (learners, num_partners)


def test_training_draws_partners_and_seats_alike():
    partners = ["stay", "self", "random", "random"]
    drawn = Counter(sample_seating(partners, seed) for seed in range(4000))
    assert set(drawn) == {
        Seating("self", None, 1),
        *(Seating(name, seat, code) for name, code in (("stay", 0), ("random", 2), ("random", 3)) for seat in (0, 1)),
    }
    for seating, times in drawn.items():
        assert times / 4000 == pytest.approx(0.25 if seating.partner == "self" else 0.125, abs=0.03)
    assert {sample_seating([], seed) for seed in range(50)} == {Seating("self", None)}


def test_judging_takes_turns():
    turns = [cycle_seating(["stay", "self"], seed) for seed in range(100, 106)]
    assert turns[0] == turns[3] == Seating("stay", 1, 0)
    assert set(turns[:3]) == {Seating("stay", 0, 0), Seating("stay", 1, 0), Seating("self", None, 1)}


def test_a_demand_names_partner_and_seat():
    assert named_seating("self", []) == Seating("self", None)
    assert named_seating("greedy:1/1", ["stay", "greedy:1"]) == Seating("greedy:1", 1, 1)
    assert named_seating("checkpoint:runs/a/0", ["stay"]) == Seating("checkpoint:runs/a", 0)
    for wrong in ("greedy", "greedy/2", "checkpoint:runs/a", "/0", "self/0", ""):
        with pytest.raises(ValueError, match="is no partner and seat"):
            named_seating(wrong, [])


class Recorder(Partner):
    """Plays the number of its seat, and keeps what it saw."""

    def __init__(self):
        self.scenes = []

    def act(self, scene):
        self.scenes.append(scene)
        return scene.seats.copy()

    def action_probabilities(self, scene):
        return np.eye(6)[scene.seats]


def test_one_batch_for_each_partner_with_its_own_past_and_chance():
    partners = {"stay": Recorder(), "random": Recorder()}
    playing = EpisodePartners(OvercookedConfig(horizon=5), KITCHEN.code, 4, partners.__getitem__, evaluation=False)
    for worker, demand in enumerate(["stay/0", "random/1", "self", "stay/1"]):
        playing.start(worker, 10 + worker, demand)
    codes = KITCHEN.random_states(np.random.default_rng(0), 8).reshape(2, 4, -1)
    own = np.full((4, 2), 5)
    acted = playing.play(np.arange(4), codes[0], np.zeros(4, dtype=np.int64), own)
    assert acted.tolist() == [[5, 1], [0, 5], [5, 5], [0, 5]]
    assert (own == 5).all()
    workers = np.array([3, 1])
    playing.play(workers, codes[1][workers], np.array([1, 1]), own[:2])
    first, second = partners["stay"].scenes
    assert first.seats.tolist() == [1, 0]
    assert (first.previous == -1).all()
    assert np.array_equal(first.codes, codes[0][[0, 3]])
    assert np.array_equal(first.uniforms, [uniforms_of(10, 5)[0], uniforms_of(13, 5)[0]])
    assert np.array_equal(second.previous, codes[0][[3]])
    assert np.array_equal(second.uniforms, uniforms_of(13, 5)[[1]])
    assert playing.learners.tolist() == [[1, 0], [0, 1], [1, 1], [0, 1]]


def test_the_cache_is_where_xdg_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert clone_file("cramped_room", "test") == tmp_path / "genreplay/clones/cramped_room_test.safetensors"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == Path.home() / ".cache/genreplay"
