"""A small EDM generator and rows for it."""

import torch
from lightning.fabric import Fabric

from genreplay.common.precision import EXACT
from genreplay.generators.config import EdmConfig
from genreplay.generators.edm.generator import EdmGenerator
from genreplay.generators.fitting import fit
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, TransitionLayout, continuous_columns
from genreplay.transitions.keys import OBSERVATION, REWARD
from tests.helpers.options import with_options

CODEC = Codec(
    TransitionLayout((*continuous_columns(OBSERVATION, ["a", "b"], -9.0, 9.0), Column(REWARD, 0, "continuous", "r")))
)


SMALL = {
    "network.hidden_width": 16,
    "network.num_blocks": 2,
    "fit.num_steps": 20,
    "fit.batch_size": 8,
    "sampler.chunk_size": 8,
}


def small(conditional=False, speed=EXACT, **options):
    return EdmGenerator(with_options(EdmConfig, SMALL | options), CODEC, conditional, speed)


def some_rows(num_rows=64, seed=0):
    return torch.randn(num_rows, 3, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1.0, 5.0, 0.2])


def one_process():
    return Fabric(accelerator="cpu", devices=1)


def weights(generator):
    return torch.cat([p.detach().flatten().clone() for p in generator.ema.parameters()])


def fitted(conditional=True, num_steps=40, speed=EXACT, **options):
    """A generator of width 16 after a fit, and the figures of the fit."""
    generator = small(conditional, speed, **{"fit.num_steps": num_steps} | options)
    condition = torch.linspace(0, 1, 64).unsqueeze(1) if conditional else None
    return generator, fit(one_process(), generator, some_rows(), condition, seed=0)
