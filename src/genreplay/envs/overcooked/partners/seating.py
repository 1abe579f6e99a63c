"""Who plays each episode: the policy in both seats, or the policy and a partner.

Shapes: W kitchens, n of them, C columns of the code, U uniforms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from genreplay.common.seeding import derive_seed
from genreplay.envs.overcooked.config import SELF, OvercookedConfig
from genreplay.envs.overcooked.kitchen.rules import STAY
from genreplay.envs.overcooked.kitchen.state_code import StateCode
from genreplay.envs.overcooked.partners.base import NUM_UNIFORMS, Partner, PartnerInput, uniforms_of


class Seating(NamedTuple):
    """Who plays an episode."""

    partner: str
    """`self` where the policy has both seats."""
    learner: int | None
    """The policy's seat; None for both."""
    code: int = 0
    """Index among the training's partners; 0 for one that is not among them."""


def sample_seating(partners: Sequence[str], seed: int) -> Seating:
    """Seating of the training episode of `seed`: a uniform entry of `partners` and a uniform seat."""
    rng = np.random.default_rng(derive_seed(seed, "seating"))
    seat, code = int(rng.integers(2)), int(rng.integers(max(1, len(partners))))
    return _seating(partners, code, seat)


def cycle_seating(partners: Sequence[str], seed: int) -> Seating:
    """Seating of the evaluation episode of `seed` without a demand: partners and seats in turn as seeds go up."""
    turns = [_seating(partners, code, seat) for code in range(max(1, len(partners))) for seat in (0, 1)]
    turns = list(dict.fromkeys(turns))
    return turns[seed % len(turns)]


def named_seating(demand: str, partners: Sequence[str]) -> Seating:
    """Seating of a demand: `self`, or `PARTNER/SEAT` with the policy's seat.

    Raises:
        ValueError: the demand is neither.
    """
    if demand == SELF:
        return Seating(SELF, None, partners.index(SELF) if SELF in partners else 0)
    name, _, seat = demand.rpartition("/")
    if name in ("", SELF) or seat not in ("0", "1"):
        raise ValueError(f"{demand!r} is no partner and seat")
    return Seating(name, int(seat), partners.index(name) if name in partners else 0)


def _seating(partners: Sequence[str], code: int, seat: int) -> Seating:
    name = partners[code] if partners else SELF
    return Seating(name, None if name == SELF else seat, code)


class EpisodePartners:
    """Who plays in each of W kitchens, and the state partners keep between steps.

    Args:
        config: the partners of the training.
        code: encodes the states.
        num_workers: W.
        partner_of: the partner of a name; called when an episode first needs it.
        evaluation: take partners and seats in turn instead of sampling them.
    """

    def __init__(
        self,
        config: OvercookedConfig,
        code: StateCode,
        num_workers: int,
        partner_of: Callable[[str], Partner],
        evaluation: bool,
    ):
        self._config, self._code, self._partner_of = config, code, partner_of
        self._default_seating = cycle_seating if evaluation else sample_seating
        self.learners = np.ones((num_workers, 2), dtype=np.int64)
        """`[W, 2]`: which seats the policy has."""
        self.partners = np.zeros(num_workers, dtype=np.int64)
        """`[W]`: index of the partner."""
        self.acted = np.full((num_workers, 2), STAY)
        """`[W, 2]`: what both cooks did last; staying before the first step."""
        self._names = [SELF] * num_workers
        self._previous = np.full((num_workers, len(code.sizes)), -1)
        self._uniforms = np.zeros((num_workers, config.horizon, NUM_UNIFORMS), dtype=np.float32)

    def start(self, worker: int, seed: int, demand: str | None) -> None:
        """Begin the episode of `seed` in `worker`, with the partner of `demand` or one of the training's."""
        partners = self._config.partners
        seating = self._default_seating(partners, seed) if demand is None else named_seating(demand, partners)
        self._names[worker], self.partners[worker] = seating.partner, seating.code
        self.learners[worker] = 1 if seating.learner is None else np.arange(2) == seating.learner
        self.acted[worker], self._previous[worker] = STAY, -1
        self._sample_uniforms(worker, seed)

    def play(self, workers: np.ndarray, codes: np.ndarray, times: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Actions of both cooks `[n, 2]`: the policy's `actions` `[n, 2]`, and those of partners in their seats.

        Args:
            workers: `[n]`, the kitchens.
            codes: `[n, C]`, their states.
            times: `[n]`, steps since the episodes began.
            actions: of the policy, for both seats.
        """
        acted, names = actions.copy(), np.array([self._names[worker] for worker in workers])
        for name in sorted(set(names.tolist()) - {SELF}):
            rows = np.flatnonzero(names == name)
            here = workers[rows]
            seats, uniforms = self.learners[here].argmin(axis=1), self._uniforms[here, times[rows]]
            acted[rows, seats] = self._partner_of(name).act(
                PartnerInput(self._code, codes[rows], self._previous[here], seats, uniforms)
            )
        self.acted[workers], self._previous[workers] = acted, codes
        return acted

    def state_dict(self) -> dict[str, Any]:
        """State to resume from, as plain JSON."""
        return {
            "names": list(self._names),
            "previous": self._previous.tolist(),
            **{key: getattr(self, key).tolist() for key in ("learners", "partners", "acted")},
        }

    def load_state_dict(self, state: dict[str, Any], seeds: Sequence[int]) -> None:
        """Resume from `state_dict`, with the episodes of `seeds` `[W]` running."""
        self._names, self._previous = list(state["names"]), np.array(state["previous"])
        self.learners, self.partners, self.acted = (np.array(state[k]) for k in ("learners", "partners", "acted"))
        for worker, seed in enumerate(seeds):
            self._sample_uniforms(worker, seed)

    def _sample_uniforms(self, worker: int, seed: int) -> None:
        """Precompute the random numbers of the episode's partner, if it has one."""
        if self._names[worker] != SELF:
            self._uniforms[worker] = uniforms_of(seed, self._config.horizon)
