"""Partners: who plays the seat that does not learn. The base class, and two trivial partners.

Shapes: n kitchens, C columns of the code, O entries of its one-hots, A actions, U uniforms.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from genreplay.common.seeding import derive_seed
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS, STAY
from genreplay.envs.overcooked.kitchen.state_code import StateCode

NUM_UNIFORMS = 2
"""U."""


@dataclass(frozen=True)
class PartnerInput:
    """The input of a partner's decision."""

    code: StateCode
    codes: np.ndarray
    """`[n, C]`: the states."""
    previous: np.ndarray
    """`[n, C]`: the states before; -1 in an episode's first step."""
    seats: np.ndarray
    """`[n]`: the partner's seat."""
    uniforms: np.ndarray
    """`[n, U]`, float32 in [0, 1): the only random numbers, fixed by the episode's seed and the time in it."""

    def views(self) -> np.ndarray:
        """`[n, O]`, float32: one-hots of the states, the partner itself first."""
        return self.code.one_hot(np.where(self.seats[:, None] == 1, self.codes[:, self.code.swap], self.codes))


class Partner(ABC):
    """A cook whose actions are a function of `PartnerInput` alone; many kitchens share it."""

    @abstractmethod
    def act(self, seen: PartnerInput) -> np.ndarray:
        """Its actions `[n]`, int64, in `n` kitchens."""

    @abstractmethod
    def action_probabilities(self, seen: PartnerInput) -> np.ndarray:
        """`[n, A]`: the distribution that `act` samples from."""


class StayPartner(Partner):
    """Never does anything."""

    def act(self, seen: PartnerInput) -> np.ndarray:
        """STAY `[n]`."""
        return np.full(len(seen.codes), STAY)

    def action_probabilities(self, seen: PartnerInput) -> np.ndarray:
        """`[n, A]`: 1 for staying."""
        return np.eye(NUM_ACTIONS)[self.act(seen)]


class RandomPartner(Partner):
    """All six actions with equal probability."""

    def act(self, seen: PartnerInput) -> np.ndarray:
        """`[n]` uniform actions."""
        return (seen.uniforms[:, 0].astype(np.float64) * NUM_ACTIONS).astype(np.int64)

    def action_probabilities(self, seen: PartnerInput) -> np.ndarray:
        """`[n, A]`: uniform."""
        return np.full((len(seen.codes), NUM_ACTIONS), 1 / NUM_ACTIONS)


def choose(probabilities: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Actions `[n]`: the inverse of the distribution functions of `[n, A]` at `[n]` in [0, 1)."""
    cumulative = probabilities.astype(np.float64).cumsum(axis=1)
    return (uniforms[:, None] * cumulative[:, -1:] >= cumulative[:, :-1]).sum(axis=1)


def uniforms_of(seed: int, horizon: int) -> np.ndarray:
    """`[horizon, U]`: the uniforms of each step of the episode of `seed`."""
    return np.random.default_rng(derive_seed(seed, "partner")).random((horizon, NUM_UNIFORMS), dtype=np.float32)
