"""Two cooks in one kitchen as an environment to learn in. Shapes: N transitions."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from types import MappingProxyType
from typing import Any

from genreplay.common.errors import FieldError, UserError
from genreplay.envs.batched import EpisodeSeeds
from genreplay.envs.overcooked.camera import KitchenCamera
from genreplay.envs.overcooked.columns import build_layout
from genreplay.envs.overcooked.config import SELF, OvercookedConfig, PartnerName, parse_partner
from genreplay.envs.overcooked.env import OvercookedEnv
from genreplay.envs.overcooked.evaluation import PartnerEvaluation
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
from genreplay.envs.overcooked.kitchen.rules import Kitchen
from genreplay.envs.overcooked.kitchen.validity import KitchenOracle
from genreplay.envs.overcooked.partners.base import Partner, RandomPartner, StayPartner
from genreplay.envs.overcooked.partners.greedy import GreedyPartner
from genreplay.envs.world import World

METRIC_UNITS = MappingProxyType(
    {"sparse_return": "", "deliveries": "soups", "potted_onions": "onions", "shaped_return": ""}
)

LoadPartner = Callable[[PartnerName, Kitchen], Partner]


class OvercookedWorld(World):
    """One Overcooked layout. The reward is the team's, for soups alone; shaped rewards are reported next to it.

    Args:
        config: its options.
        load_partner: loads learned partners; None where there are only scripted ones.

    Raises:
        UserError: the kitchen cannot be played.
    """

    primary_metric = "sparse_return"
    primary_unit = ""
    minimise = False
    metric_units = METRIC_UNITS

    def __init__(self, config: OvercookedConfig, load_partner: LoadPartner | None = None):
        self.config, self._load_partner = config, load_partner
        self.kitchen = Kitchen(read_layout(config.layout), config.dynamics)
        self.layout = build_layout(self.kitchen, config)
        self._partners: dict[str, Partner] = {}
        self._lock = Lock()
        self.evaluation = PartnerEvaluation(self.kitchen, config, self.partner)
        self.camera = KitchenCamera(
            lambda seed: self.make_env(1, lambda worker, index: seed, evaluation=True),
            self.evaluation,
            self.kitchen,
            config.horizon,
        )
        self.oracle = KitchenOracle(self.kitchen)

    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> OvercookedEnv:
        """Kitchens in this process; with `evaluation`, always from the layout's own start.

        Raises:
            UserError: a training partner is not available.
        """
        if not evaluation:
            for name in set(self.config.partners) - {SELF}:
                self.partner(name)
        return OvercookedEnv(self.config, self.kitchen, num_workers, episode_seeds, evaluation, self.partner)

    def partner(self, name: str) -> Partner:
        """The partner of a name, built at its first use.

        Raises:
            UserError: there is no such partner, or not for this kitchen.
        """
        with self._lock:  # evaluations call this from several threads
            if name not in self._partners:
                try:
                    self._partners[name] = self._make_partner(parse_partner(name))
                except FieldError as error:
                    raise UserError(f"env.{error}") from error
            return self._partners[name]

    def _make_partner(self, name: PartnerName) -> Partner:
        if name.kind == "stay":
            return StayPartner()
        if name.kind == "random":
            return RandomPartner()
        if name.kind == "greedy":
            return GreedyPartner(self.kitchen, name.softness)
        if self._load_partner is None:
            raise UserError(f"env.partners: {name.kind} is a learned partner, and this environment has none")
        return self._load_partner(name, self.kitchen)

    def card(self) -> dict[str, Any]:
        """Inputs and outputs of a cook's policy, and the names of its actions."""
        actions = ["north", "south", "east", "west", "stay", "interact"]
        return {**super().card(), "actions": actions, "events": list(self.kitchen.event_names)}
