"""`genreplay crossplay`: the matrix is what two policies score step by step; means, intervals and mistakes."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genreplay import cli
from genreplay.common.seeding import derive_seed
from genreplay.partners.crossplay import play, play_all, summaries
from genreplay.runs.policy import load_policy
from tests.helpers.saved import save_untrained

CONFIG = """
seed: {seed}
env: {{name: overcooked, layout: {layout}, horizon: 60}}
agent: {{name: discrete_redq_sac, hidden_width: 16}}
generator: {{name: none}}
relevance: {{name: none}}
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    return [str(save_untrained(folder / str(s), CONFIG.format(seed=s, layout="cramped_room"))) for s in (0, 1)]


def stepped(world, policies, chosen=None):
    """The episode of seed 7 by hand: its sparse return and its actions."""
    kitchen, uniforms = world.kitchen, np.random.default_rng(derive_seed(7, "actions")).random((60, 2))
    code, sparse, actions = kitchen.code.start()[None], 0.0, []
    for time in range(60):
        views = kitchen.code.one_hot(np.stack([code[0], code[0][kitchen.code.swap]]))
        logits = [policy.module.actor(torch.from_numpy(view)) for policy, view in zip(policies, views, strict=True)]
        below = [row.exp().cumsum(0).numpy() <= u for row, u in zip(logits, uniforms[time], strict=True)]
        actions.append([int(row.sum()) for row in below])
        code, events = kitchen.step(code, np.array([actions[-1]]))
        sparse += float(kitchen.sparse_rewards[events].sum())
    return sparse, actions


def test_every_pair_plays_its_own_seats(saved, monkeypatch):
    """Step by step, the joint actions are those of cook 0's policy and of cook 1's, each from its own view."""
    first, second = (load_policy(Path(folder)) for folder in saved)
    world: Any = first.world
    policies = [first.policy, second.policy]
    played = []
    step = world.kitchen.step

    def watched(codes, actions):
        following, events = step(codes, actions)
        played.append(actions.copy())
        return following, events

    monkeypatch.setattr(world.kitchen, "step", watched)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        played.clear()
        value = play(world, policies[i], policies[j], [7])
        seen = [row[0].tolist() for row in played]
        played.clear()
        expected, actions = stepped(first.world, (policies[i], policies[j]))
        assert seen == actions
        assert value == [expected]


def test_returns_are_those_of_the_episodes(saved, monkeypatch):
    """Where shaped events are paid, untrained policies that draw their actions score; a kitchen for each seed."""
    loaded = [load_policy(Path(folder)) for folder in saved]
    world: Any = loaded[0].world
    monkeypatch.setattr(world.kitchen, "sparse_rewards", np.array([0, 1, 10, 100, 1000], dtype=np.float32))
    monkeypatch.setattr(world.kitchen, "_wants_dish", np.ones_like(world.kitchen._wants_dish))
    totals, step = np.zeros(20), world.kitchen.step

    def counted(codes, actions):
        following, events = step(codes, actions)
        totals[:] += world.kitchen.sparse_rewards[events].sum(axis=1)
        return following, events

    monkeypatch.setattr(world.kitchen, "step", counted)
    before = torch.get_rng_state()
    policies = [item.policy for item in loaded]
    values = play(world, policies[0], policies[1], range(20))
    assert values == totals.tolist()
    assert len(set(values)) > 1
    assert torch.equal(before, torch.get_rng_state())
    matrix = play_all(world, policies, range(20))
    assert matrix.shape == (2, 2, 20)
    assert matrix[0, 1].tolist() == values, "the same draws again"


def test_summaries_by_hand():
    matrix = np.array([[200.0, 10.0, 20.0], [30.0, 220.0, 40.0], [50.0, 60.0, 240.0]])
    own, cross = summaries(matrix)
    assert (own.mean, cross.mean) == (220.0, 35.0)
    # The extremes of resampling: a run with itself alone; runs 0 and 1 alone, runs 1 and 2 alone.
    assert (own.low, own.high) == (200.0, 240.0)
    assert 20.0 <= cross.low < 35.0 < cross.high <= 50.0
    assert summaries(matrix[:2, :2])[1] == (20.0, None, None)


def test_the_command_prints_and_writes_the_matrix(saved, tmp_path, capsys):
    command = ["crossplay", "--runs", ",".join(saved), "--output", str(tmp_path / "out")]
    assert cli.main([*command, "--seeds", "1-3"]) == 0
    out = capsys.readouterr().out
    assert "Mean sparse return of 3 episodes a pair" in out
    assert "self-play: " in out
    with (tmp_path / "out/crossplay.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 3
    assert {(row["cook_0"], row["cook_1"]) for row in rows} == {(a, b) for a in saved for b in saved}
    with Image.open(tmp_path / "out/crossplay.png") as picture:
        assert picture.width > 500


def test_mistakes_are_one_line(saved, tmp_path, capsys):
    other = str(save_untrained(tmp_path / "other", CONFIG.format(seed=0, layout="coordination_ring")))
    alone = "env: {name: gymnasium, id: Pendulum-v1}\nagent: {hidden_width: 16}\n"
    pendulum = str(save_untrained(tmp_path / "pendulum", alone))
    for runs, message in (
        (saved[0], "names 1 run; cross-play takes two or more"),
        (f"{saved[0]},{other}", "has env.layout=coordination_ring, but"),
        (f"{saved[0]},{pendulum}", "env.name is 'gymnasium'; cross-play takes runs of overcooked"),
        (f"{saved[0]},{tmp_path}", "holds no checkpoint"),
    ):
        assert cli.main(["crossplay", "--runs", runs, "--output", str(tmp_path / "out")]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1), err
        assert message in err
