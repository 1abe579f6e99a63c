"""Transitions with a known law: a stage, a green, and what follows from them. For generators with given columns.

Shapes: N rows.
"""

import torch
from tensordict import TensorDict

from genreplay.generators.config import EdmConfig
from genreplay.generators.edm.generator import EdmGenerator
from genreplay.generators.fitting import fit
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, TransitionLayout, continuous_columns
from genreplay.transitions.keys import ACTION, IS_SYNTHETIC, NEXT_OBSERVATION, OBSERVATION, REWARD, TERMINATED
from tests.helpers.edm import one_process
from tests.helpers.options import with_options

SHARES = torch.tensor([0.55, 0.3, 0.1, 0.05])
MEANS = torch.tensor([-3.0, 1.0, -1.0, 3.0])
"""Of what follows, by stage."""
COVARIANCE = torch.tensor([[0.25, 0.12], [0.12, 0.16]])
"""Of the next observation and the reward, given state and action."""
CODEC = Codec(
    TransitionLayout(
        (
            *continuous_columns(OBSERVATION, ["queue"], -9.0, 9.0),
            Column(ACTION, 0, "continuous", "green", low=-1.0, high=1.0),
            Column(ACTION, 1, "categorical", "stage", width=4),
            *continuous_columns(NEXT_OBSERVATION, ["next queue"], -90.0, 90.0),
            Column(REWARD, 0, "continuous", "reward"),
            Column(TERMINATED, 0, "binary", "terminated", derived=True),
        ),
        derive=lambda transitions: None,  # it never ends
    )
)
STAGE, CURRENT, NEXT = slice(2, 6), slice(0, 6), slice(6, 8)


def expected(rows):
    """The mean of what follows, `[N, 2]`, of rows `[N, 8]`."""
    mean = rows[:, STAGE] @ MEANS + 0.5 * rows[:, 0] + 0.8 * rows[:, 1]
    return torch.stack([mean, -0.5 * mean], dim=1)


def stage_rows(num_rows, seed=0):
    """Rows `[N, 8]` of the law."""
    rng = torch.Generator().manual_seed(seed)
    queue, green = torch.randn(num_rows, 1, generator=rng), torch.rand(num_rows, 1, generator=rng) * 2 - 1
    stage = torch.multinomial(SHARES, num_rows, replacement=True, generator=rng)
    current = torch.cat([queue, green, torch.nn.functional.one_hot(stage, 4)], dim=1)
    noise = torch.randn(num_rows, 2, generator=rng) @ torch.linalg.cholesky(COVARIANCE).T
    return torch.cat([current, expected(current) + noise], dim=1)


def transitions(rows):
    """The same as real transitions."""
    real: TensorDict = CODEC.decode(rows)
    return real.set(IS_SYNTHETIC, torch.zeros_like(real[IS_SYNTHETIC]))


def stage_generator(conditional=False, **options):
    small = {"network.hidden_width": 64, "fit.num_steps": 20, "fit.batch_size": 64, "sampler.chunk_size": 512}
    return EdmGenerator(with_options(EdmConfig, small | options), CODEC, conditional)


def fitted_to_stages(rows, condition=None, **options):
    """A generator after a fit to `rows`."""
    generator = stage_generator(condition is not None, **options)
    fit(one_process(), generator, rows, condition, seed=0)
    return generator
