"""Files and times of an episode: one of the single-intersection maps of sumo-rl, or the user's own."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.traffic.counts import clock, read_counts


@dataclass(frozen=True)
class Scenario:
    """A map, its traffic and its time."""

    net_file: Path
    route_files: tuple[Path, ...]
    begin_time: int
    """s"""
    episode_seconds: int
    """s"""
    count_file: Path | None = None
    """`route_files` and `count_file` are not both given; neither for random traffic."""
    additional_files: tuple[Path, ...] = ()
    """Definitions for the traffic and the map."""

    @property
    def end_time(self) -> int:
        """End of the episode, s."""
        return self.begin_time + self.episode_seconds

    @property
    def is_given(self) -> bool:
        """Whether there is traffic to scale, by a route file or counts."""
        return bool(self.route_files) or self.count_file is not None


_SHIPPED = {
    "2way": Scenario(Path("2way-single-intersection/single-intersection.net.xml"), (), 0, 1800),
    "single": Scenario(
        Path("single-intersection/single-intersection.net.xml"),
        (Path("single-intersection/single-intersection.rou.xml"),),
        0,
        1800,
    ),
    "cologne1": Scenario(
        Path("RESCO/cologne1/cologne1.net.xml"), (Path("RESCO/cologne1/cologne1.rou.xml"),), 25200, 3600
    ),
    "ingolstadt1": Scenario(
        Path("RESCO/ingolstadt1/ingolstadt1.net.xml"), (Path("RESCO/ingolstadt1/ingolstadt1.rou.xml"),), 57600, 3600
    ),
}
"""Every map of sumo-rl with exactly one traffic light; paths below its folder `nets`."""

DEFAULT = "2way"

SCENARIOS = tuple(_SHIPPED)
"""Values of `env.scenario`."""


LONGEST_TABLE = 4 * 3600
"""Longest count table that an episode covers by default, s."""


def resolve(config: SumoConfig) -> Scenario:
    """The scenario that `config` names; its files exist.

    Raises:
        UserError: an unknown name, a missing file, or a count table that does not cover the episode.
    """
    if config.net_file is None:
        chosen = _shipped(DEFAULT if config.scenario is None else config.scenario)
    else:
        chosen = Scenario(
            _existing(config.net_file, "env.net_file"),
            () if config.route_file is None else _route_files(config.route_file),
            0,
            1800,
            None if config.count_file is None else _existing(config.count_file, "env.count_file"),
            tuple(_existing(path, "env.additional_files") for path in config.additional_files),
        )
    if chosen.count_file is not None:
        return _within_counts(chosen, config)
    return replace(
        chosen,
        begin_time=chosen.begin_time if config.begin_time is None else config.begin_time,
        episode_seconds=chosen.episode_seconds if config.episode_seconds is None else config.episode_seconds,
    )


def _within_counts(chosen: Scenario, config: SumoConfig) -> Scenario:
    """The scenario, with the times of its count table by default."""
    assert chosen.count_file is not None
    edges = read_counts(chosen.count_file).edges
    first, last = int(edges[0]), int(edges[-1])
    begin = first if config.begin_time is None else config.begin_time
    seconds = max(1, last - begin) if config.episode_seconds is None else config.episode_seconds
    covered = f"env.count_file: {chosen.count_file} covers {clock(first)} to {clock(last)} ({first} to {last} s)"
    if begin < first or begin + seconds > last:
        raise UserError(
            f"{covered}, but the episode is {clock(begin)} to {clock(begin + seconds)}; set env.begin_time and "
            "env.episode_seconds (s) to a time within the table"
        )
    if config.episode_seconds is None and seconds > LONGEST_TABLE:
        raise UserError(
            f"{covered}, too long for one episode; set env.begin_time and env.episode_seconds (s) to the hours to "
            f"train on, such as {begin} and 3600"
        )
    return replace(chosen, begin_time=begin, episode_seconds=seconds)


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
    route_files = tuple(nets / path for path in scenario.route_files)
    return Scenario(nets / scenario.net_file, route_files, scenario.begin_time, scenario.episode_seconds)


def _route_files(paths: str) -> tuple[Path, ...]:
    """The files that `env.route_file` names: one, whose name may contain commas, or several separated by commas."""
    if "," not in paths or Path(paths).expanduser().is_file():
        return (_existing(paths, "env.route_file"),)
    return tuple(_existing(path.strip(), "env.route_file") for path in paths.split(",") if path.strip())


def _existing(path: str, key: str) -> Path:
    resolved = Path(path).expanduser().resolve()
    if not resolved.is_file():
        raise UserError(f"{key}: there is no file {resolved}; write the path of one")
    return resolved
