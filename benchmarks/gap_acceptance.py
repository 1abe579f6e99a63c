"""How SUMO's default cars use a green, beside the formulas of `genreplay.envs.sumo.capacity`.

    python benchmarks/gap_acceptance.py [--hours N]

On tests/data/signals/allred.net.xml, at 50 km/h, with random arrivals (SUMO's `probability`):

green      vehicles of a queue that pass in greens of 6 to 25 s, and the line through them (saturation flow, lost green)
gaps       left turns that give way, 40 of 80 s, against two lanes of straight traffic
turns      left turns in a stage of their own after one in which they give way, more than can pass, under the map's plan
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sumo

os.environ.setdefault("SUMO_HOME", sumo.SUMO_HOME)

import libsumo

from genreplay.envs.sumo.capacity.cycle import load
from genreplay.envs.sumo.capacity.ways import read_ways, states_of
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection

NET = Path(__file__).parents[1] / "tests/data/signals/allred.net.xml"
WARM_UP = 400
"""s"""
SATURATED = 1800
"""Vehicles/h of a way that always has a queue."""
RED = "r" * 20


def simulate(flows: dict[str, float], states: Sequence[str], seconds: int) -> np.ndarray:
    """Vehicles/h from the north that enter the roads east and south, by second of the light's cycle, `[2, T]`."""
    with tempfile.TemporaryDirectory() as folder:
        routes = Path(folder, "flows.rou.xml")
        entries = [
            f'<flow id="f{i}" from="{way.split()[0]}_in" to="{way.split()[1]}_out" begin="0" end="{seconds}" '
            f'probability="{flow / 3600}" departLane="best" departSpeed="max"/>'
            for i, (way, flow) in enumerate(flows.items())
            if flow > 0
        ]
        routes.write_text(f"<routes>{''.join(entries)}</routes>")
        libsumo.start(
            ["sumo", "-n", str(NET), "-r", str(routes), "--no-step-log", "--no-warnings", "--time-to-teleport", "-1"]
        )
        found, before = np.zeros((2, len(states))), [set(), set()]
        for second in range(seconds):
            libsumo.trafficlight.setRedYellowGreenState("C", states[second % len(states)])
            libsumo.simulationStep()
            for i, road in enumerate(("e_out", "s_out")):
                here = set(libsumo.edge.getLastStepVehicleIDs(road))
                new = [v for v in here - before[i] if libsumo.vehicle.getRoute(v)[0] == "n_in"]
                found[i, second % len(states)] += len(new) * (second >= WARM_UP)
                before[i] = here
        libsumo.close()
    return found * 3600.0 / (seconds - WARM_UP)


def green(hours: float) -> None:
    """Saturation flow, and what of a green is lost."""
    greens, passed = [6, 10, 15, 20, 25], []
    for seconds in greens:
        states = [RED.replace("r", "G", 3)] * seconds + [RED.replace("r", "y", 3)] * 4 + [RED] * 40
        found = simulate({"n s": 2 * SATURATED}, states, int(3600 * hours))
        passed.append(found[1].sum() * len(states) / 3600.0 / 2)
    slope, start = np.polyfit(greens, passed, 1)
    print("green, s:", greens, "vehicles by lane:", np.round(passed, 2).tolist())
    print(f"saturation flow {3600 * slope:.0f} vehicles/h a lane, lost green {-start / slope:.1f} s\n")


def gaps(hours: float) -> None:
    """Left turns that give way."""
    here = read_intersection(NET, SumoConfig(net_file=str(NET)))
    ways, shown = read_ways(here), "GGGggrrrrrGGGggrrrrr"
    states = [shown] * 40 + [shown.replace("G", "y").replace("g", "y")] * 4 + [RED] * 36
    print("opposing, left turns: measured, computed (vehicles/h)")
    for opposing in range(0, 1601, 200):
        found = simulate({"n e": SATURATED, "s n": opposing}, states, int(3600 * hours))
        flows = [
            {"n_in left": 100.0, "s_in straight": opposing}.get(f"{m.from_edge} {m.turn}", 0) for m in here.movements
        ]
        computed = load(ways, states, np.array(flows, dtype=float))
        left = next(i for i, m in enumerate(here.movements) if (m.from_edge, m.turn) == ("n_in", "left"))
        print(f"{opposing:6d} {found[0].sum():6.0f} {100 / computed.saturation[left]:6.0f}")


def turns(hours: float) -> None:
    """Left turns in two stages."""
    here = read_intersection(NET, SumoConfig(net_file=str(NET)))
    states = states_of(here.plan, [stage.green_seconds for stage in here.plan.stages])
    print("\nright, straight, left an approach; left turns: measured, computed (vehicles/h)")
    names = {"right": -1, "straight": 2, "left": 1}
    for flows in ((156, 676, 288), (120, 520, 340), (60, 300, 450)):
        by_way = {
            f"{road} {'nesw'[(i + names[turn]) % 4]}": flow
            for i, road in enumerate("nesw")
            for turn, flow in zip(names, flows, strict=True)
        }
        found = simulate(by_way, states, int(3600 * hours))
        every = np.array([dict(zip(names, flows, strict=True)).get(m.turn, 0) for m in here.movements], dtype=float)
        computed = load(read_ways(here), states, every)
        left = next(i for i, m in enumerate(here.movements) if (m.from_edge, m.turn) == ("n_in", "left"))
        print(flows, f"{found[0].sum():6.0f} {flows[2] / computed.saturation[left]:6.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="simulated, each; default: 1")
    chosen = parser.parse_args()
    for part in (green, gaps, turns):
        part(chosen.hours)
