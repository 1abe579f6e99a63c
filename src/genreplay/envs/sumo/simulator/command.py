"""SUMO's files and command line for one episode."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from genreplay.common.errors import UserError
from genreplay.envs.sumo.xml_file import DISCARD

TELEPORT_SECONDS = -1
"""SUMO moves on a vehicle that has been stuck this long, s; -1 for never, as in sumo-rl."""
QUIET = ("no-step-log", "no-warnings", "duration-log.disable")
"""Warnings go to the log alone."""
SPLITTING = (",", "${")
"""SUMO splits paths at commas, and replaces `${NAME}`."""


class EpisodeFiles(NamedTuple):
    """Files of an episode; each episode overwrites all but the network and the additional file."""

    network: Path
    routes: Path
    programme: Path
    """Additional file with the signal programme of a baseline."""
    tripinfo: Path
    """SUMO's record of every trip, which it writes at the end."""
    log: Path
    """SUMO's warnings and errors."""
    additional: Path
    """The definitions of the user's additional files, and the detectors of the sensors."""


class Options(NamedTuple):
    """What differs from episode to episode, or from map to map."""

    begin_time: int
    """s"""
    seed: int
    junction_blocker_seconds: int
    """s; see `SumoConfig`"""
    has_programme: bool = False
    """Whether the light runs `EpisodeFiles.programme`."""
    has_additional: bool = False
    """Whether there is anything in `EpisodeFiles.additional`."""
    has_junction_zones: bool = False
    """Whether trips begin or end at junctions."""
    has_emissions: bool = False
    """Whether SUMO computes what every vehicle emits."""


def episode_files(folder: Path, net_file: Path) -> EpisodeFiles:
    """The files of episodes in `folder`; a network whose path SUMO would split is copied there.

    Raises:
        UserError: SUMO would split the path of the folder.
    """
    if any(mark in str(folder) for mark in SPLITTING):
        raise UserError(
            f"env: SUMO splits the path of the temporary folder {folder.parent}; set the environment variable TMPDIR "
            "to a folder whose path has no comma and no ${"
        )
    network = net_file
    if any(mark in str(net_file) for mark in SPLITTING):
        network = folder / ("network.net.xml.gz" if net_file.suffix == ".gz" else "network.net.xml")
        shutil.copyfile(net_file, network)
    names = ("demand.rou.xml", "programme.add.xml", "tripinfo.xml", "sumo.log", "additional.add.xml")
    return EpisodeFiles(network, *(folder / name for name in names))


def sumo_command(binary: str, files: EpisodeFiles, options: Options) -> list[str]:
    """As sumo-rl's, but quiet, with SUMO's record of every trip, and for paths that contain spaces."""
    values = {
        "net-file": files.network,
        "route-files": files.routes,
        "begin": options.begin_time,
        "seed": options.seed,
        "time-to-teleport": TELEPORT_SECONDS,
        "ignore-junction-blocker": options.junction_blocker_seconds,
        "max-depart-delay": -1,
        "tripinfo-output": files.tripinfo,
        "error-log": files.log,
        "device.ssm.file": DISCARD,  # else a vehicle with that device writes to the working folder
        "xml-validation": "never",  # else a file may name another one as its schema
        "aggregate-warnings": 1,
    }
    additional = [files.additional] * options.has_additional + [files.programme] * options.has_programme
    if additional:
        values["additional-files"] = ",".join(map(str, additional))
    if options.has_emissions:
        values["device.emissions.probability"] = 1
    flags = ["tripinfo-output.write-unfinished", "tripinfo-output.write-undeparted", *QUIET]
    flags += ["junction-taz"] * options.has_junction_zones
    pairs = (part for name, value in values.items() for part in (f"--{name}", str(value)))
    return [binary, *pairs, *(f"--{flag}" for flag in flags)]
