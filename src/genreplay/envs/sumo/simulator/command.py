"""SUMO's command line for one episode."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

TELEPORT_SECONDS = -1
"""SUMO moves on a vehicle that has been stuck this long, s; -1 for never, as in sumo-rl."""
QUIET = ("no-step-log", "no-warnings", "duration-log.disable")


class EpisodeFiles(NamedTuple):
    """Files of an episode; each episode overwrites all but the network."""

    network: Path
    routes: Path
    programme: Path
    """Additional file with the signal programme of a baseline."""
    tripinfo: Path
    """SUMO's record of every trip, which it writes at the end."""


def sumo_command(
    binary: str, files: EpisodeFiles, begin_time: int, seed: int, junction_blocker_seconds: int, has_programme: bool
) -> list[str]:
    """As sumo-rl's, but quiet, with SUMO's record of every trip, and for paths that contain spaces."""
    options = {
        "net-file": files.network,
        "route-files": files.routes,
        "begin": begin_time,
        "seed": seed,
        "time-to-teleport": TELEPORT_SECONDS,
        "ignore-junction-blocker": junction_blocker_seconds,
        "max-depart-delay": -1,
        "tripinfo-output": files.tripinfo,
    }
    if has_programme:
        options["additional-files"] = files.programme
    flags = ("tripinfo-output.write-unfinished", "tripinfo-output.write-undeparted", *QUIET)
    pairs = (part for name, value in options.items() for part in (f"--{name}", str(value)))
    return [binary, *pairs, *(f"--{flag}" for flag in flags)]
