"""Which files an episode runs on: the single-intersection maps that sumo-rl ships, or the user's own."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from genreplay.envs.sumo.config import SumoConfig
from genreplay.errors import UserError


@dataclass(frozen=True)
class Scenario:
    """A map, its traffic and its time."""

    net_file: Path
    route_file: Path | None
    """None for random traffic."""
    begin_time: int
    """s"""
    episode_seconds: int
    """s"""


_SHIPPED = {
    "2way": Scenario(Path("2way-single-intersection/single-intersection.net.xml"), None, 0, 1800),
    "single": Scenario(
        Path("single-intersection/single-intersection.net.xml"),
        Path("single-intersection/single-intersection.rou.xml"),
        0,
        1800,
    ),
    "cologne1": Scenario(Path("RESCO/cologne1/cologne1.net.xml"), Path("RESCO/cologne1/cologne1.rou.xml"), 25200, 3600),
    "ingolstadt1": Scenario(
        Path("RESCO/ingolstadt1/ingolstadt1.net.xml"), Path("RESCO/ingolstadt1/ingolstadt1.rou.xml"), 57600, 3600
    ),
}
"""Every map of sumo-rl with exactly one traffic light; paths below its folder `nets`."""

DEFAULT = "2way"

SCENARIOS = tuple(_SHIPPED)
"""The names `env.scenario` knows."""


def resolve(config: SumoConfig) -> Scenario:
    """The scenario that `config` names, with its files checked to exist.

    Raises:
        UserError: an unknown name or a missing file.
    """
    if config.net_file is not None:
        route_file = None if config.route_file is None else _existing(config.route_file, "env.route_file")
        chosen = Scenario(_existing(config.net_file, "env.net_file"), route_file, 0, 1800)
    else:
        chosen = _shipped(DEFAULT if config.scenario is None else config.scenario)
    return Scenario(
        chosen.net_file,
        chosen.route_file,
        chosen.begin_time if config.begin_time is None else config.begin_time,
        chosen.episode_seconds if config.episode_seconds is None else config.episode_seconds,
    )


def _shipped(name: str) -> Scenario:
    if name not in _SHIPPED:
        raise UserError(
            f"env.scenario: there is no scenario {name!r}; choose one of {', '.join(SCENARIOS)}, or set env.net_file "
            "to a map of your own"
        )
    spec = importlib.util.find_spec("sumo_rl")
    if spec is None or spec.origin is None:
        raise UserError("env.scenario: the maps come with sumo-rl, which is not installed; run `pip install sumo-rl`")
    nets, scenario = Path(spec.origin).parent / "nets", _SHIPPED[name]
    route_file = None if scenario.route_file is None else nets / scenario.route_file
    return Scenario(nets / scenario.net_file, route_file, scenario.begin_time, scenario.episode_seconds)


def _existing(path: str, key: str) -> Path:
    resolved = Path(path).expanduser().resolve()
    if not resolved.is_file():
        raise UserError(f"{key}: there is no file {resolved}; write the path of one")
    return resolved
