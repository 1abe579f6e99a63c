"""A small categorical environment that is known, a ring of coloured cells, and generators fitted to it."""

import torch
from lightning.fabric import Fabric

from genreplay.generators.config import FactorisedConfig, MaskedConfig
from genreplay.generators.discrete.factorised import FactorisedGenerator
from genreplay.generators.discrete.masked import MaskedGenerator
from genreplay.generators.fitting import fit
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, TransitionLayout
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION, PARTNER
from tests.helpers.options import with_options

CELLS, COLOURS, MOVES, PARTNERS = 6, 3, 3, 2


CODEC = Codec(
    TransitionLayout(
        (
            Column(OBSERVATION, 0, "categorical", "cell", width=CELLS),
            Column(OBSERVATION, CELLS, "categorical", "colour", width=COLOURS),
            Column(ACTION, 0, "categorical", "move", width=MOVES),
            Column(PARTNER, 0, "categorical", "partner", width=PARTNERS),
            Column(NEXT_OBSERVATION, 0, "categorical", "next cell", width=CELLS),
            Column(NEXT_OBSERVATION, CELLS, "categorical", "next colour", width=COLOURS),
            Column(("next", "event"), 0, "categorical", "event", width=2),
        )
    )
)


NEXT = slice(CELLS + COLOURS + MOVES + PARTNERS, CODEC.width)


def to_rows(*codes):
    widths = (CELLS, COLOURS, MOVES, PARTNERS, CELLS, COLOURS, 2)
    return torch.cat([torch.nn.functional.one_hot(c, n).float() for c, n in zip(codes, widths, strict=True)], dim=1)


def to_codes(rows):
    parts = rows.split((CELLS, COLOURS, MOVES, PARTNERS, CELLS, COLOURS, 2), dim=1)
    assert all(((part == 0) | (part == 1)).all() and (part.sum(dim=1) == 1).all() for part in parts)
    return torch.stack([part.argmax(dim=1) for part in parts], dim=1)


def step(cell, colour, move):
    """The world: a ring of cells, a colour that stays, an event where the ring closes."""
    after = (cell + move) % CELLS
    return after, colour, (after < cell).long()


def world(num_rows=600, seed=0):
    """Rows of the world. Partner 0 moves by 0 or 1, partner 1 by 1 or 2; the colour is the cell's parity."""
    rng = torch.Generator().manual_seed(seed)
    cell = torch.randint(CELLS, (num_rows,), generator=rng)
    partner = torch.randint(PARTNERS, (num_rows,), generator=rng)
    move = torch.randint(2, (num_rows,), generator=rng) + partner
    return to_rows(cell, cell % 2, move, partner, *step(cell, cell % 2, move))


def valid(rows):
    codes = to_codes(rows)
    return (torch.stack(step(*codes[:, :3].T), dim=1) == codes[:, 4:]).all(dim=1)


def small(part=FactorisedGenerator, conditional=False, **options):
    config = MaskedConfig if part is MaskedGenerator else FactorisedConfig
    options = {
        "network.hidden_width": 32,
        "network.num_blocks": 1,
        "fit.num_steps": 20,
        "fit.batch_size": 64,
        "sampler.chunk_size": 16,
    } | options
    if part is FactorisedGenerator:
        options = {"head.hidden_width": 32, "head.num_blocks": 1, "member_share": 1.0} | options
    torch.manual_seed(0)
    return part(with_options(config, options), CODEC, conditional)


def fitted(part=FactorisedGenerator, rows=None, condition=None, **options):
    generator = small(part, condition is not None, **options)
    fit(Fabric(accelerator="cpu", devices=1), generator, world() if rows is None else rows, condition, seed=0)
    return generator


LONG = {"fit.num_steps": 500, "fit.learning_rate": 1e-2, "fit.ema_decay": 0.98, "sampler.chunk_size": 512}
