"""Overcooked environments with partners, and how often a partner acts."""

import numpy as np

from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
from genreplay.envs.overcooked.kitchen.rules import Kitchen
from genreplay.envs.overcooked.partners.base import PartnerInput
from genreplay.partners.learned import overcooked_world

KITCHEN = Kitchen(read_layout("cramped_room"))


def make(*partners, num_workers=3, evaluation=False, **options):
    world = overcooked_world(OvercookedConfig(partners=list(partners), **options))
    return world, world.make_env(num_workers, lambda worker, index: 100 * worker + index, evaluation)


def scene(codes, seat, uniforms=None, previous=None):
    num = len(codes)
    drawn = np.random.default_rng(0).random((num, 2)) if uniforms is None else np.stack([uniforms, uniforms], axis=1)
    previous = np.full_like(codes, -1) if previous is None else previous
    return PartnerInput(KITCHEN.code, codes, previous, np.full(num, seat), drawn.astype(np.float32))


def shares(partner, code, seat, num=3000):
    """`[6]`: how often a partner takes each action in the state `code` `[C]`, over evenly spaced chances."""
    chosen = partner.act(scene(np.repeat(code[None], num, 0), seat, (np.arange(num) + 0.5) / num))
    return np.bincount(chosen, minlength=6) / num
