"""Two cooks in one kitchen as a world to learn in. Shapes: N transitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule
from torch import Tensor

from genreplay.common.errors import FieldError, UserError
from genreplay.envs.batched import EpisodeSeeds
from genreplay.envs.overcooked.columns import build_layout
from genreplay.envs.overcooked.config import SELF, SPLITS, OvercookedConfig, PartnerName, parse_partner
from genreplay.envs.overcooked.env import OvercookedEnv
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
from genreplay.envs.overcooked.kitchen.rules import Kitchen
from genreplay.envs.overcooked.kitchen.validity import REASONS, reasons, simulate
from genreplay.envs.overcooked.partners.base import Partner, RandomPartner, StayPartner
from genreplay.envs.overcooked.partners.cache import clone_file
from genreplay.envs.overcooked.partners.greedy import GreedyPartner
from genreplay.envs.overcooked.partners.seating import named_seating
from genreplay.envs.overcooked.pictures.film import film, picture_transitions
from genreplay.envs.world import FilmRequest, NamedDemand, World
from genreplay.transitions.keys import EVENT

METRIC_UNITS = MappingProxyType(
    {"sparse_return": "", "deliveries": "soups", "potted_onions": "onions", "shaped_return": ""}
)
SCRIPTED = ("stay", "random", "greedy", "greedy:0.25", "greedy:1")
"""The partners that policies are judged beside in every kitchen."""


class OvercookedWorld(World):
    """One Overcooked layout. The reward is the team's, for soups alone; shaped rewards are told beside it.

    Args:
        config: its options.

    Raises:
        UserError: the kitchen cannot be played.
    """

    primary_metric = "sparse_return"
    primary_unit = ""
    minimise = False
    metric_units = METRIC_UNITS
    has_film = True

    def __init__(self, config: OvercookedConfig):
        self.config = config
        self.kitchen = Kitchen(read_layout(config.layout), config.dynamics)
        self.layout = build_layout(self.kitchen, config)
        self._partners: dict[str, Partner] = {}
        self._lock = Lock()

    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> OvercookedEnv:
        """Kitchens in this process; with `evaluation`, always from the layout's own start.

        Raises:
            UserError: a partner to train with cannot be had.
        """
        if not evaluation:
            for name in set(self.config.partners) - {SELF}:
                self.partner(name)
        return OvercookedEnv(self.config, self.kitchen, num_workers, episode_seeds, evaluation, self.partner)

    def partner(self, name: str) -> Partner:
        """The partner of a name, made when it is first asked for.

        Raises:
            UserError: there is no such partner, or not for this kitchen.
        """
        with self._lock:  # evaluations ask from several threads
            if name not in self._partners:
                try:
                    self._partners[name] = self.make_partner(parse_partner(name))
                except FieldError as error:
                    raise UserError(f"env.{error}") from error
            return self._partners[name]

    def make_partner(self, name: PartnerName) -> Partner:
        """A new partner; those that were learned need `genreplay.partners.learned.PartneredWorld`."""
        if name.kind == "stay":
            return StayPartner()
        if name.kind == "random":
            return RandomPartner()
        if name.kind == "greedy":
            return GreedyPartner(self.kitchen, name.softness)
        raise NotImplementedError(f"a partner of the kind {name.kind}")

    def demands(self, names: Sequence[str] | None = None) -> list[NamedDemand]:
        """Whom to judge policies beside: `self`, or `PARTNER/SEAT` where the policy sits in `SEAT`.

        Without names: self-play, the scripted partners, the human clones that are there, and the training's partners,
        each with the policy in both seats. In range is what the policy trained with.

        Raises:
            UserError: a name is neither, or its partner cannot be had.
        """
        partners = self.config.partners
        if names is None:
            clones = [
                clone for clone, split in zip(("human", "human:test"), SPLITS, strict=True) if self._cloned(split)
            ]
            scripted = SCRIPTED if self.kitchen.code.kitchen.values[2] else SCRIPTED[:2]  # greedy needs that order
            others = dict.fromkeys((*scripted, *clones, *partners))
            names = [SELF, *(f"{name}/{seat}" for name in others if name != SELF for seat in (0, 1))]
        found = []
        for name in names:
            try:
                seating = named_seating(name, partners)
            except ValueError as error:
                raise UserError(
                    f"--demand {name}: write self, or a partner and the policy's seat beside it, such as greedy/0 or "
                    "human:test/1"
                ) from error
            if seating.partner != SELF:
                self.partner(seating.partner)
            in_range = seating.partner in (partners or [SELF])
            found.append(NamedDemand(name, in_range))
        return found

    def _cloned(self, split: str) -> bool:
        return self.config.dynamics == "old" and clone_file(self.kitchen.code.kitchen.name, split).exists()

    def card(self) -> dict[str, Any]:
        """Inputs and outputs of a cook's policy, and what its choices mean."""
        actions = ["north", "south", "east", "west", "stay", "interact"]
        return {**super().card(), "actions": actions, "events": list(self.kitchen.event_names)}

    @property
    def default_shot(self) -> FilmRequest:
        """The whole episode."""
        return FilmRequest(None, 101, 0, self.config.horizon, 1, None)

    def film(self, policy: TensorDictModule, shot: FilmRequest) -> Iterator[np.ndarray]:
        """Pictures of the kitchen in an episode; the shot's demand names partner and seat, its times are steps."""
        return film(self, policy, shot)

    def picture_transitions(self, transitions: TensorDictBase) -> Iterator[np.ndarray]:
        """Pictures of joint transitions `[N]`, what cannot happen marked in red."""
        return picture_transitions(self.kitchen, transitions)

    def simulate(self, transitions: TensorDictBase) -> TensorDict:
        """What the kitchen itself does from the states of joint transitions `[N]`, with their actions."""
        return simulate(self.kitchen, transitions)

    def validity(self, transitions: TensorDictBase) -> dict[str, Tensor]:
        """Which joint transitions `[N]` are exactly what the simulator gives: `valid` `[N]`, and each reason why not.

        A measure of generated rows. It must not choose or change what an agent learns from.
        """
        flags = torch.from_numpy(reasons(self.kitchen, transitions))
        return {"valid": ~flags.any(dim=1), **dict(zip(REASONS, flags.unbind(dim=1), strict=True))}

    def measure(self, transitions: TensorDictBase) -> dict[str, float]:
        """Shares of transitions `[N]`: exactly `valid` ones, those with each reason why not, with each event."""
        flags = self.validity(transitions)
        shares = {name.replace("'", "").replace(" ", "_"): float(flag.float().mean()) for name, flag in flags.items()}
        events = transitions.get(EVENT).unflatten(-1, (2, -1)).amax(dim=1).float().mean(dim=0).tolist()
        named = zip(self.kitchen.event_names, events, strict=True)
        return shares | {f"rows_with_{name.replace(' ', '_')}": share for name, share in named if name != "none"}
