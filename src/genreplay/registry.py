"""Registry of environments, agents, generators, relevance functions and launchers: it alone maps names to classes.

Entries are dotted paths, imported when used, so that `genreplay --help` and a config error need not wait for torch.
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
"""Parts of an experiment."""
STUDY_KINDS = ("launcher",)
"""Parts of a study."""


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
        """What builds the part from its config, mostly its class; None for `none`."""
        return None if self.part_path is None else _resolve(self.part_path)


@dataclass
class NoPart:
    """The section of a generator or relevance called `none`: real transitions only, or no preference (SynthER)."""

    name: str = "none"
    """Which one: `none`."""


_entries: dict[tuple[str, str], Entry] = {}


def register(kind: str, name: str, config: str, part: str | None) -> None:
    """Make `name` available as `<kind>.name` in config files.

    Raises:
        ValueError: `kind` is not one of `KINDS` and `STUDY_KINDS`, or `name` is taken.
    """
    if kind not in (*KINDS, *STUDY_KINDS):
        raise ValueError(f"register: kind must be one of {', '.join((*KINDS, *STUDY_KINDS))}, not {kind!r}")
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


# The parts that genreplay brings: kind, name, config dataclass and class.
_OURS = (
    ("env", "sumo", "envs.sumo.config:SumoConfig", "envs.sumo.world:SumoWorld"),
    ("env", "gymnasium", "envs.gymnasium.config:GymnasiumConfig", "envs.gymnasium.world:GymnasiumWorld"),
    ("env", "overcooked", "envs.overcooked.config:OvercookedConfig", "partners.learned:overcooked_world"),
    ("agent", "redq_sac", "agents.config:RedqSacConfig", "agents.continuous.redq_sac:RedqSac"),
    ("agent", "discrete_redq_sac", "agents.config:DiscreteRedqSacConfig", "agents.discrete.redq_sac:DiscreteRedqSac"),
    ("agent", "hybrid_redq_sac", "agents.config:HybridRedqSacConfig", "agents.hybrid.redq_sac:HybridRedqSac"),
    ("generator", "none", "registry:NoPart", None),
    ("generator", "edm", "generators.config:EdmConfig", "generators.edm.generator:EdmGenerator"),
    ("generator", "masked", "generators.config:MaskedConfig", "generators.discrete.masked:MaskedGenerator"),
    (
        "generator",
        "factorised",
        "generators.config:FactorisedConfig",
        "generators.discrete.factorised:FactorisedGenerator",
    ),
    ("relevance", "none", "registry:NoPart", None),
    ("relevance", "curiosity", "relevance.config:CuriosityConfig", "relevance.curiosity:Curiosity"),
    ("relevance", "td_error", "relevance.config:TdErrorConfig", "relevance.td_error:TdError"),
    ("relevance", "reward", "relevance.config:RewardConfig", "relevance.reward:Reward"),
    ("relevance", "novelty", "relevance.config:NoveltyConfig", "relevance.novelty:Novelty"),
    ("launcher", "local", "studies.config:LocalConfig", "studies.launchers.local:LocalLauncher"),
    ("launcher", "slurm", "studies.config:SlurmConfig", "studies.launchers.slurm:SlurmLauncher"),
    ("launcher", "ray", "studies.config:RayConfig", "studies.launchers.ray:RayLauncher"),
)
for _kind, _name, _config, _part in _OURS:
    register(_kind, _name, f"genreplay.{_config}", None if _part is None else f"genreplay.{_part}")
