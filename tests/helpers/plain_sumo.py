"""The program `sumo`, as its users run it."""

import subprocess
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import sumo


class Run(NamedTuple):
    """What it did."""

    status: int
    num_vehicles: int
    """Loaded."""
    num_persons: int


def plain_sumo(folder: Path, net: Path, routes: Path, *options: str, begin: int = 0, end: int = 600) -> Run:
    """Simulate a route file."""
    statistics = folder / "statistics.xml"
    command = [str(Path(sumo.SUMO_HOME, "bin", "sumo")), "-n", str(net), "-r", str(routes), "--no-step-log"]
    command += ["--begin", str(begin), "--end", str(end), "--statistic-output", str(statistics), *options]
    status = subprocess.run(command, capture_output=True, check=False).returncode
    if status != 0:
        return Run(status, 0, 0)
    root = ElementTree.parse(statistics).getroot()
    vehicles, persons = (int(next(root.iter(name)).attrib["loaded"]) for name in ("vehicles", "persons"))
    return Run(status, vehicles, persons)
