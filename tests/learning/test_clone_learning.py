"""A clone plays as people do: what they chose, and soups."""

import numpy as np
import pytest

from genreplay import cli
from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.partners.base import PartnerInput
from genreplay.partners.cloning import read_clone
from genreplay.partners.learned import overcooked_world


@pytest.mark.slow
def test_a_clone_does_what_people_do_and_cooks_with_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cli.main(["clone", "--layout", "cramped_room"]) == 0
    path = capsys.readouterr().out.strip()
    world = overcooked_world(OvercookedConfig())
    clone = read_clone(path, world.kitchen)
    assert clone.majority < 0.4
    assert clone.accuracy > 0.6

    partner, code, num = world.partner("human"), world.kitchen.code, 30
    codes, rng = np.repeat(code.start()[None], num, 0), np.random.default_rng(0)
    previous, returns = np.full_like(codes, -1), np.zeros(num)
    for _ in range(400):
        inputs = [
            PartnerInput(code, codes, previous, np.full(num, seat), rng.random((num, 2), dtype=np.float32))
            for seat in (0, 1)
        ]
        previous = codes
        codes, events = world.kitchen.step(codes, np.stack([partner.act(scene) for scene in inputs], axis=1))
        returns += world.kitchen.sparse_rewards[events].sum(axis=1)
    assert 70 < returns.mean() < 150
