"""Learned partners in Overcooked: clones of people, frozen policies, generators.

Shapes: n kitchens.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from genreplay.agents.discrete.actor import CategoricalActor
from genreplay.build import build_agent, build_generator
from genreplay.common.errors import UserError
from genreplay.config.reader import from_yaml
from genreplay.config.schema import ExperimentConfig
from genreplay.envs.overcooked.columns import build_layout
from genreplay.envs.overcooked.config import SELF, OvercookedConfig, PartnerName
from genreplay.envs.overcooked.kitchen.rules import Kitchen
from genreplay.envs.overcooked.partners.base import Partner, PartnerInput, choose
from genreplay.envs.overcooked.partners.cache import clone_file
from genreplay.envs.overcooked.partners.human_play import LAYOUTS
from genreplay.envs.overcooked.world import OvercookedWorld
from genreplay.generators.discrete.masked import MaskedGenerator
from genreplay.generators.discrete.partner_model import virtual_action_probabilities
from genreplay.partners.cloning import read_clone
from genreplay.runs import checkpoint
from genreplay.runs.state_tree import fitting
from genreplay.transitions.codec import Codec


class ActorPartner(Partner):
    """A frozen policy.

    Args:
        actor: sees the state with itself first.
    """

    def __init__(self, actor: CategoricalActor):
        self.actor = actor

    def act(self, seen: PartnerInput) -> np.ndarray:
        """Its actions `[n]`."""
        return choose(self.action_probabilities(seen), seen.uniforms[:, 0])

    @torch.no_grad()
    def action_probabilities(self, seen: PartnerInput) -> np.ndarray:
        """`[n, A]`, the policy's own."""
        return self.actor(torch.from_numpy(seen.views())).exp().numpy()


class VirtualPartner(Partner):
    """Samples a partner's actions from a generator (see `virtual_action_probabilities`).

    Args:
        generator: fitted to joint transitions.
        codec: its own.
        code: index of its partner; None for all of them together.
    """

    def __init__(self, generator: MaskedGenerator, codec: Codec, code: int | None):
        self.generator, self.codec, self.code = generator, codec, code

    def act(self, seen: PartnerInput) -> np.ndarray:
        """Its actions `[n]`, all kitchens in one batch."""
        return choose(self.action_probabilities(seen), seen.uniforms[:, 0])

    def action_probabilities(self, seen: PartnerInput) -> np.ndarray:
        """`[n, A]`, the generator's."""
        states, seats = torch.from_numpy(seen.code.one_hot(seen.codes)), torch.from_numpy(seen.seats)
        return virtual_action_probabilities(self.generator, self.codec, states, seats, self.code).numpy()


def overcooked_world(config: OvercookedConfig) -> OvercookedWorld:
    """An Overcooked environment that has learned partners too: what `env.name: overcooked` builds."""
    return OvercookedWorld(config, load_partner)


def load_partner(name: PartnerName, kitchen: Kitchen) -> Partner:
    """Load a learned partner.

    Raises:
        UserError: it does not exist, or is of another kitchen.
    """
    if name.kind == "human":
        return ActorPartner(_read_human(kitchen, name.split))
    if name.kind == "checkpoint":
        return ActorPartner(_read_actor(name.folder, kitchen))
    return _read_virtual(name.folder, name.code, kitchen)


def _read_human(kitchen: Kitchen, split: str) -> CategoricalActor:
    layout = kitchen.code.kitchen.name
    if layout not in LAYOUTS:
        raise UserError(
            f"env.partners: nobody played {layout}, so there is no human partner for it; choose another partner, or a "
            f"layout among {', '.join(LAYOUTS)}"
        )
    path = clone_file(layout, split)
    if not path.exists():
        raise UserError(
            f"env.partners: there is no clone of the people of {layout} ({split}) yet; run: genreplay clone --layout "
            f"{layout} --split {split}"
        )
    return read_clone(path, kitchen).actor


def _read_actor(folder: str, kitchen: Kitchen) -> CategoricalActor:
    """The actor of the policy in a checkpoint, as it explores."""
    loaded, config = _load(folder, kitchen)
    # Its training partners do not matter here, and may no longer exist.
    world = OvercookedWorld(replace(config.env, partners=[]))
    with torch.random.fork_rng(devices=[]):
        agent = build_agent(config, world)
    with fitting(loaded.folder, "its agent is not the one of its config"):
        agent.load_state_dict(loaded.modules["agent"])
    if not isinstance(agent.actor, CategoricalActor):
        raise UserError(
            f"env.partners: the agent of {loaded.folder} is {config.agent.name!r}, which cannot be a partner; name a "
            "checkpoint of discrete_redq_sac"
        )
    return agent.actor.requires_grad_(False)


def _read_virtual(folder: str, code: int | None, kitchen: Kitchen) -> VirtualPartner:
    """The generator in a checkpoint as a partner."""
    loaded, config = _load(folder, kitchen)
    partners = config.env.partners
    if code is not None and code >= config.env.num_partners:
        raise UserError(
            f"env.partners: the generator of {loaded.folder} knows {config.env.num_partners} partners, counted from 0, "
            f"so none has the code {code}"
        )
    if code is not None and partners and partners[code] == SELF:
        raise UserError(
            f"env.partners: partner {code} of the generator of {loaded.folder} is the policy itself; write "
            f"checkpoint:{folder} for it, or another code"
        )
    codec = Codec(build_layout(kitchen, config.env), config.codec.derive)
    with torch.random.fork_rng(devices=[]):
        generator = build_generator(config, codec) if "generator" in loaded.modules else None
    if not isinstance(generator, MaskedGenerator):
        raise UserError(
            f"env.partners: a virtual partner is a generator 'masked' or 'factorised', and {loaded.folder} has "
            f"{config.generator.name!r}; name a checkpoint with one"
        )
    with fitting(loaded.folder, "its generator is not the one of its config"):
        generator.load_state_dict(loaded.modules["generator"])
    if not generator.fitted:
        raise UserError(f"env.partners: the generator of {loaded.folder} is not fitted yet; name a later checkpoint")
    return VirtualPartner(generator.requires_grad_(False).eval(), codec, code)


def _load(folder: str, kitchen: Kitchen) -> tuple[checkpoint.Checkpoint, ExperimentConfig]:
    """A checkpoint of the same kitchen under the same dynamics, and its config."""
    try:
        loaded = checkpoint.load(Path(folder).expanduser())
    except UserError as error:
        raise UserError(f"env.partners: {error}") from error
    config = from_yaml(loaded.config_yaml, f"checkpoint {loaded.folder}")
    env = config.env
    if not isinstance(env, OvercookedConfig):
        raise UserError(f"env.partners: the checkpoint {loaded.folder} is of env.name={env.name}, not of overcooked")
    theirs, ours = OvercookedWorld(replace(env, partners=[])).kitchen, kitchen
    if (theirs.code.kitchen, theirs.dynamics) != (ours.code.kitchen, ours.dynamics):
        raise UserError(
            f"env.partners: the checkpoint {loaded.folder} is of {env.layout} under the {env.dynamics} dynamics, and "
            f"this is {ours.code.kitchen.name} under the {ours.dynamics} dynamics; name one of the same kitchen"
        )
    return loaded, config
