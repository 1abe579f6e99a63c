"""SUMO's command line for one episode."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

TELEPORT_SECONDS = -1
"""SUMO moves on a vehicle that has been stuck this long, s; -1 for never, as in sumo-rl."""


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
    command = [
        binary,
        "--net-file",
        str(files.network),
        "--route-files",
        str(files.routes),
        "--begin",
        str(begin_time),
        "--seed",
        str(seed),
        "--time-to-teleport",
        str(TELEPORT_SECONDS),
        "--ignore-junction-blocker",
        str(junction_blocker_seconds),
        "--max-depart-delay",
        "-1",
        "--tripinfo-output",
        str(files.tripinfo),
        "--tripinfo-output.write-unfinished",
        "--tripinfo-output.write-undeparted",
        "--no-step-log",
        "--no-warnings",
        "--duration-log.disable",
    ]
    return [*command, "--additional-files", str(files.programme)] if has_programme else command
