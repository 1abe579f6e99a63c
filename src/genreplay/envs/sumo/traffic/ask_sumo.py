"""SUMO's own answer to the traffic of an episode: it reads the files, or simulates the episode under the map's plan."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import sumo

from genreplay.common.scratch import Scratch
from genreplay.envs.sumo.simulator.command import Options, episode_files, sumo_command
from genreplay.envs.sumo.traffic.demand import Demand
from genreplay.envs.sumo.traffic.notices import differences, messages, read_log, shorten
from genreplay.envs.sumo.traffic.ways import has_junctions

BLOCKER_SECONDS = 120
"""As in `SumoConfig`, s."""


class Answer(NamedTuple):
    """What SUMO says."""

    error: str
    """Its errors on one line; empty if there are none."""
    notices: list[str]
    """What it dropped or ignored (see `notices`)."""
    num_vehicles: int = 0
    """Vehicles that entered the simulation, or waited to."""
    num_persons: int = 0


def ask_sumo(demand: Demand, root: Element, is_simulated: bool) -> Answer:
    """SUMO's answer to a route file.

    Args:
        demand: its map, additional files and times.
        root: the route file.
        is_simulated: simulate the episode; else only read the files.
    """
    scenario = demand.scenario
    end = scenario.end_time if is_simulated else scenario.begin_time
    with Scratch("check") as folder:
        files = episode_files(Path(folder), scenario.net_file)
        ElementTree.ElementTree(root).write(files.routes, encoding="unicode")
        if demand.additional is not None:
            ElementTree.ElementTree(demand.additional).write(files.additional, encoding="unicode")
        options = Options(
            scenario.begin_time,
            0,
            BLOCKER_SECONDS,
            has_additional=demand.additional is not None,
            has_junction_zones=has_junctions(root),
        )
        statistics = Path(folder, "statistics.xml")
        command = sumo_command(str(Path(sumo.SUMO_HOME, "bin", "sumo")), files, options)
        command += ["--end", str(end), "--statistic-output", str(statistics)]
        command += [] if is_simulated else ["--route-steps", "0"]  # read all at once
        environment = {**os.environ, "SUMO_HOME": sumo.SUMO_HOME}
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
        if done.returncode != 0:
            errors = messages(files.log, "Error") or [done.stderr.decode(errors="replace")]
            return Answer(shorten(" ".join(errors)), read_log(files.log))
        notices = read_log(files.log)
        numbers = _loaded(ElementTree.parse(statistics).getroot())
        if is_simulated:
            notices += differences(root, scenario.begin_time, end, *numbers)
    return Answer("", notices, *numbers)


def _loaded(statistics: Element) -> tuple[int, int]:
    """Vehicles and persons that SUMO loaded."""
    vehicles, persons = (statistics.find(name) for name in ("vehicles", "persons"))
    assert vehicles is not None
    assert persons is not None
    return int(vehicles.attrib["loaded"]), int(persons.attrib["loaded"])
