"""Clones in their files, and the command that makes them."""

import json
from typing import Any

import pytest
import torch
from safetensors import safe_open

from genreplay import cli
from genreplay.agents.discrete.actor import CategoricalActor
from genreplay.common.errors import UserError
from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
from genreplay.envs.overcooked.kitchen.rules import Kitchen
from genreplay.envs.overcooked.partners.cache import clone_file
from genreplay.partners.cloning import HIDDEN_WIDTH, Clone, read_clone, write_clone
from genreplay.partners.learned import overcooked_world

KITCHEN = Kitchen(read_layout("cramped_room"))


@pytest.fixture
def clone(monkeypatch, tmp_path):
    """A clone that nobody taught, where the partners look for it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    torch.manual_seed(0)
    actor = CategoricalActor(KITCHEN.code.width, 6, HIDDEN_WIDTH)
    clone = Clone(actor, 0.6, 0.25)
    write_clone(clone_file("cramped_room", "test"), clone, KITCHEN, "test")
    return clone


def test_a_clone_comes_back_as_it_was_written(clone):
    path = clone_file("cramped_room", "test")
    again = read_clone(path, KITCHEN)
    for name, weight in clone.actor.state_dict().items():
        assert torch.equal(again.actor.state_dict()[name], weight)
    assert (again.accuracy, again.majority) == (0.6, 0.25)
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["genreplay"])
    assert (header["layout"], header["dynamics"], header["split"]) == ("cramped_room", "old", "test")
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_clone_is_a_partner_and_a_demand_once_it_is_there(clone):
    world = overcooked_world(OvercookedConfig(partners=["human:test"]))
    names = [demand.name for demand in world.evaluation.demands()]
    assert "human:test/1" in names
    assert "human/0" not in names
    partner: Any = world.partner("human:test")
    view = torch.from_numpy(KITCHEN.code.one_hot(KITCHEN.code.start()))
    assert torch.equal(partner.actor(view), clone.actor(view))


def test_clones_of_another_kitchen_and_broken_files_are_refused(clone):
    path = clone_file("cramped_room", "test")
    with pytest.raises(
        UserError, match=r"was cloned on cramped_room under the old dynamics, and this is cramped_room under"
    ):
        overcooked_world(OvercookedConfig(dynamics="new")).partner("human:test")
    with pytest.raises(
        UserError, match="was cloned on cramped_room under the old dynamics, and this is coordination_ring"
    ):
        read_clone(path, Kitchen(read_layout("coordination_ring")))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        UserError, match=r"is damaged or no clone; make it anew with: genreplay clone --layout cramped_room$"
    ):
        read_clone(path, KITCHEN)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--layout", "bottleneck"], "human play: nobody played 'bottleneck'; choose one of cramped_room, "),
        (["--layout", "cramped_room", "--split", "all"], "argument --split: invalid choice: 'all'"),
        (["--layout", "cramped_room", "seed=1"], "seed=1: has no effect on clone; leave it out"),
        ([], "the following arguments are required: --layout"),
    ],
)
def test_mistakes_of_the_command_are_one_line(argv, message, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cli.main(["clone", *argv]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"genreplay: error: {message}")
