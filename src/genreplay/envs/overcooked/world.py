"""Two cooks in one kitchen as a world to learn in. Shapes: N transitions."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule
from torch import Tensor

from genreplay.envs.base import EpisodeSeeds, Shot, World
from genreplay.envs.overcooked.check import REASONS, reasons, simulate
from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.env import OvercookedEnv
from genreplay.envs.overcooked.film import film, picture_transitions
from genreplay.envs.overcooked.kitchen import Kitchen
from genreplay.envs.overcooked.layout import build_layout
from genreplay.envs.overcooked.layouts import read_layout
from genreplay.transition import EVENT

METRIC_UNITS = MappingProxyType(
    {"sparse_return": "", "deliveries": "soups", "potted_onions": "onions", "shaped_return": ""}
)


class OvercookedWorld(World):
    """One Overcooked layout. The reward is the team's, for soups alone; shaped rewards are told beside it."""

    headline = "sparse_return"
    headline_unit = ""
    minimise = False
    metric_units = METRIC_UNITS
    has_film = True

    def __init__(self, config: OvercookedConfig):
        self.config = config
        self.kitchen = Kitchen(read_layout(config.layout), config.dynamics)
        self.layout = build_layout(self.kitchen, config.learners, config.num_partners)

    def make_env(self, num_workers: int, episode_seeds: EpisodeSeeds, evaluation: bool = False) -> OvercookedEnv:
        """Kitchens in this process; with `evaluation`, always from the layout's own start."""
        return OvercookedEnv(self.config, self.kitchen, num_workers, episode_seeds, evaluation)

    def card(self) -> dict[str, Any]:
        """Inputs and outputs of a cook's policy, and what its choices mean."""
        actions = ["north", "south", "east", "west", "stay", "interact"]
        return {**super().card(), "actions": actions, "events": list(self.kitchen.event_names)}

    @property
    def default_shot(self) -> Shot:
        """The whole episode."""
        return Shot(None, 101, 0, self.config.horizon, 1, None)

    def film(self, policy: TensorDictModule, shot: Shot) -> Iterator[np.ndarray]:
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
