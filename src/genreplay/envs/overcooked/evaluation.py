"""Evaluation in a kitchen: the partners that a policy is evaluated with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from genreplay.common.errors import UserError
from genreplay.envs.facets import EvaluationSet, NamedDemand
from genreplay.envs.overcooked.config import SELF, SPLITS, OvercookedConfig
from genreplay.envs.overcooked.kitchen.rules import Kitchen
from genreplay.envs.overcooked.partners.base import Partner
from genreplay.envs.overcooked.partners.cache import clone_file
from genreplay.envs.overcooked.partners.seating import named_seating

SCRIPTED = ("stay", "random", "greedy", "greedy:0.25", "greedy:1")
"""The partners that policies are evaluated with in every kitchen."""


class PartnerEvaluation(EvaluationSet):
    """Demands are partners; there are no baselines.

    Args:
        kitchen: its map.
        config: the partners of the training.
        partner_of: the partner of a name; UserError where it is not available.
    """

    def __init__(self, kitchen: Kitchen, config: OvercookedConfig, partner_of: Callable[[str], Partner]):
        self._kitchen, self.config, self._partner_of = kitchen, config, partner_of

    def demands(self, names: Sequence[str] | None = None) -> list[NamedDemand]:
        """Evaluation partners: `self`, or `PARTNER/SEAT` with the policy's seat.

        Without names: self-play, the scripted partners, the human clones that are there, and the training's partners,
        each with the policy in both seats. In range are the partners of the training.

        Raises:
            UserError: a name is neither, or its partner is not available.
        """
        partners = self.config.partners
        if names is None:
            clones = [
                clone for clone, split in zip(("human", "human:test"), SPLITS, strict=True) if self._cloned(split)
            ]
            scripted = SCRIPTED if self._kitchen.code.kitchen.values[2] else SCRIPTED[:2]  # greedy needs that order
            others = dict.fromkeys((*scripted, *clones, *partners))
            names = [SELF, *(f"{name}/{seat}" for name in others if name != SELF for seat in (0, 1))]
        found = []
        for name in names:
            try:
                seating = named_seating(name, partners)
            except ValueError as error:
                raise UserError(
                    f"--demand {name}: write self, or a partner and the policy's seat, such as greedy/0 or human:test/1"
                ) from error
            if seating.partner != SELF:
                self._partner_of(seating.partner)
            in_range = seating.partner in (partners or [SELF])
            found.append(NamedDemand(name, in_range))
        return found

    def _cloned(self, split: str) -> bool:
        return self.config.dynamics == "old" and clone_file(self._kitchen.code.kitchen.name, split).exists()
