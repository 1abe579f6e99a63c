"""A fitted generator from a checkpoint, to sample transitions."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from tensordict import TensorDict

from genreplay.build import build_generator, build_world
from genreplay.common.errors import UserError
from genreplay.common.seeding import derive_seed
from genreplay.config.reader import from_yaml
from genreplay.config.schema import ExperimentConfig
from genreplay.generators.base import Generator
from genreplay.runs import checkpoint
from genreplay.runs.state_tree import fitting
from genreplay.transitions.codec import Codec


class LoadedGenerator(NamedTuple):
    """A generator and the codec that it was fitted through."""

    config: ExperimentConfig
    codec: Codec
    generator: Generator
    """Fitted, on the CPU."""
    real: TensorDict | None = None
    """The real transitions of the checkpoint, where samples take columns from them; None where they do not."""

    def sample(self, num_rows: int, seed: int = 0, relevance: float | None = None) -> TensorDict:
        """Synthetic transitions `[num_rows]`, the same at every call.

        Args:
            num_rows: how many.
            seed: of the noise.
            relevance: condition of every row, in the unit of the run's relevance function; None samples without one.
        """
        condition = None if relevance is None else torch.full((num_rows, 1), relevance)
        given = None
        if self.real is not None:
            rng = torch.Generator().manual_seed(derive_seed(seed, "prompts"))
            followed = self.real[torch.randint(len(self.real), (num_rows,), generator=rng)]
            given = self.generator.given_of(self.codec.encode(followed))
        return self.codec.decode(self.generator.sample(num_rows, condition, seed, given=given).rows)


def load_generator(folder: Path) -> LoadedGenerator:
    """The generator of a checkpoint.

    Args:
        folder: of the checkpoint, or the one above it.

    Raises:
        UserError: the checkpoint cannot be read, or has no generator that was fitted.
    """
    loaded = checkpoint.load(folder)
    config = from_yaml(loaded.config_yaml, f"checkpoint {loaded.folder}")
    codec = Codec(build_world(config).layout, config.codec.derive)
    with torch.random.fork_rng(devices=[]):
        generator = build_generator(config, codec)
    if generator is None:
        raise UserError(f"checkpoint {loaded.folder}: has generator.name: none; name one of a run with a generator")
    with fitting(loaded.folder, "its generator is not the one of its config"):
        generator.load_state_dict(loaded.modules["generator"])
    if not generator.fitted:
        raise UserError(f"checkpoint {loaded.folder}: its generator is not fitted yet; name a later checkpoint")
    real = None if generator.given_columns is None else loaded.buffers["real"]
    return LoadedGenerator(config, codec, generator.requires_grad_(False).eval(), real)
