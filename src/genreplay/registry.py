"""Which class a name in a config file stands for. The only place that maps names to classes.

Entries are dotted paths, resolved when used, so that `genreplay --help` and a config error need not wait for torch.
Another package adds its own parts through the entry-point group `genreplay`: each entry point is a function without
arguments that calls `register`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from genreplay.common.errors import UserError

KINDS = ("env", "agent", "generator", "relevance")


@dataclass(frozen=True)
class Entry:
    """One named part: where its config dataclass and its class live, as `package.module:attribute`."""

    kind: str
    name: str
    config_path: str
    part_path: str | None

    @property
    def config(self) -> type:
        """The config dataclass."""
        return _resolve(self.config_path)

    @property
    def part(self) -> Any:
        """The class, or None for the part that stands for "none"."""
        return None if self.part_path is None else _resolve(self.part_path)


_entries: dict[tuple[str, str], Entry] = {}


def register(kind: str, name: str, config: str, part: str | None) -> None:
    """Make `name` available as `<kind>.name` in config files.

    Raises:
        ValueError: `kind` is not one of `KINDS`, or `name` is taken.
    """
    if kind not in KINDS:
        raise ValueError(f"register: kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if (kind, name) in _entries:
        raise ValueError(f"register: {kind} {name!r} is registered already, as {_entries[kind, name].config_path}")
    _entries[kind, name] = Entry(kind, name, config, part)


def names(kind: str) -> list[str]:
    """The names a config file may use for `<kind>.name`."""
    _load_plugins()
    return sorted(name for entry_kind, name in _entries if entry_kind == kind)


def entry(kind: str, name: str) -> Entry:
    """The entry for `<kind>.name`. Raises UserError, naming the choices, where there is none."""
    _load_plugins()
    if (kind, name) not in _entries:
        raise UserError(f"{kind}.name: there is no {kind} {name!r}; choose one of {', '.join(names(kind))}")
    return _entries[kind, name]


def _resolve(path: str) -> Any:
    module, attribute = path.split(":")
    return getattr(importlib.import_module(module), attribute)


@cache
def _load_plugins() -> None:
    for point in entry_points(group="genreplay"):
        point.load()()


register("env", "sumo", "genreplay.envs.sumo.config:SumoConfig", "genreplay.envs.sumo.world:SumoWorld")
register(
    "env",
    "gymnasium",
    "genreplay.envs.gymnasium.config:GymnasiumConfig",
    "genreplay.envs.gymnasium.world:GymnasiumWorld",
)
register(
    "env",
    "overcooked",
    "genreplay.envs.overcooked.config:OvercookedConfig",
    "genreplay.partners:PartneredWorld",
)
register("agent", "redq_sac", "genreplay.agents.config:RedqSacConfig", "genreplay.agents.redq_sac:RedqSac")
register(
    "agent",
    "discrete_redq_sac",
    "genreplay.agents.config:DiscreteRedqSacConfig",
    "genreplay.agents.discrete_redq_sac:DiscreteRedqSac",
)
register("generator", "none", "genreplay.generators.config:NoneConfig", None)
register("generator", "edm", "genreplay.generators.config:EdmConfig", "genreplay.generators.edm.generator:EdmGenerator")
register(
    "generator",
    "masked",
    "genreplay.generators.config:MaskedConfig",
    "genreplay.generators.discrete.masked:MaskedGenerator",
)
register(
    "generator",
    "factorised",
    "genreplay.generators.config:FactorisedConfig",
    "genreplay.generators.discrete.factorised:FactorisedGenerator",
)
register("relevance", "none", "genreplay.relevance.config:NoneConfig", None)
register(
    "relevance", "curiosity", "genreplay.relevance.config:CuriosityConfig", "genreplay.relevance.curiosity:Curiosity"
)
register("relevance", "td_error", "genreplay.relevance.config:TdErrorConfig", "genreplay.relevance.td_error:TdError")
register("relevance", "reward", "genreplay.relevance.config:RewardConfig", "genreplay.relevance.reward:Reward")
register("relevance", "novelty", "genreplay.relevance.config:NoveltyConfig", "genreplay.relevance.novelty:Novelty")
