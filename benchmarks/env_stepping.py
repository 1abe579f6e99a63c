"""How fast the SUMO environment steps, beside bare libsumo and sumo-rl as it ships.

    python benchmarks/env_stepping.py [--seconds N] [--repeats N] [--json FILE]

Every variant runs N simulated seconds of the same traffic (the 2way intersection, 1,500 vehicles/h) in a process of
its own, round after round, so that a busy machine meets them all alike. Reported: microseconds of wall-clock for one
simulated second (median and least over the rounds), the median over the rounds of the ratio to the bare loop, and the
ratio of the least times, which other work on the machine disturbs less. Starting a process and, except for `restarts`,
starting and ending an episode is left out.

bare         libsumo.simulationStep, the queue and backlog reads the reward needs each second, the same signal changes
simulator    genreplay's simulator, called in its own process
env          genreplay's TorchRL environment with one worker process (what the loop uses)
env_2        the same with two workers: per simulated second of both together
restarts     `env`, with the starts of its 1,800 s episodes
sumo_rl      sumo-rl as it ships, libsumo, a decision every 5 s
sumo_rl_traci  the same over TraCI
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

VARIANTS = ("bare", "simulator", "env", "env_2", "restarts", "sumo_rl", "sumo_rl_traci")
FLOW = 1500.0
SEED = 1


def scenario_config(seconds: int):
    from genreplay.envs.sumo.config import DemandConfig, SumoConfig

    # Longer than what is measured, so that no episode ends while the clock runs.
    return SumoConfig(episode_seconds=seconds + 200, demand=DemandConfig(flow_range=[FLOW, FLOW]))


def actions(seed: int = 0):
    """The same decisions for every variant of ours, and for the bare loop."""
    rng = np.random.default_rng(seed)
    while True:
        yield rng.uniform(-1.0, 1.0, 5).astype(np.float32)


def write_traffic(folder: Path, seconds: int):
    """The episode's route file and intersection, as our simulator has them."""
    from genreplay.envs.sumo.network.intersection import read_intersection
    from genreplay.envs.sumo.traffic.demand import Demand
    from genreplay.envs.sumo.traffic.scenarios import resolve

    config = scenario_config(seconds)
    scenario = resolve(config)
    intersection = read_intersection(scenario.net_file, config)
    traffic = Demand(config.demand, scenario, intersection).sample(SEED, evaluation=False)
    ElementTree.ElementTree(traffic.root).write(folder / "demand.rou.xml", encoding="unicode")
    return str(scenario.net_file), str(folder / "demand.rou.xml"), intersection


def bare(seconds: int, folder: Path) -> tuple[float, int]:
    import libsumo

    from genreplay.common.seeding import derive_seed
    from genreplay.envs.sumo.actions import decode_action, first_signal
    from genreplay.envs.sumo.signals.timing import timing_of

    net_file, route_file, intersection = write_traffic(folder, seconds)
    timing = timing_of(scenario_config(seconds), intersection.plan)
    # The signal's timetable, worked out beforehand: [(state, seconds), ...]
    timetable, elapsed, shown = [], 0, 0
    signal, plan = first_signal(timing), intersection.plan
    for action in actions():
        decision = decode_action(timing, signal, action.astype(np.float64)[None])
        number, signal = int(decision.order[0, 0]), decision.signal
        if number != shown:
            timetable += plan.transitions[shown][number]
        timetable.append((plan.stages[number].state, int(decision.greens[0, 0])))
        shown, elapsed = number, elapsed + int(decision.duration[0])
        if elapsed >= seconds:
            break
    lanes = [section.name for section in intersection.sections]
    edges = [approach.name for approach in intersection.approaches]
    libsumo.start(
        [
            "sumo",
            "--net-file",
            net_file,
            "--route-files",
            route_file,
            "--seed",
            str(derive_seed(SEED, "sumo")),
            "--time-to-teleport",
            "-1",
            "--max-depart-delay",
            "-1",
            "--no-step-log",
            "--no-warnings",
            "--duration-log.disable",
            "--tripinfo-output",
            str(folder / "tripinfo.xml"),
            "--tripinfo-output.write-unfinished",
            "--tripinfo-output.write-undeparted",
        ]
    )
    begin, queue = time.perf_counter(), 0
    for state, length in timetable:
        libsumo.trafficlight.setRedYellowGreenState(intersection.light, state)
        for _ in range(length):
            libsumo.simulationStep()
            for lane in lanes:
                queue += libsumo.lane.getLastStepHaltingNumber(lane)
            for edge in edges:
                queue += len(libsumo.edge.getPendingVehicles(edge))
    taken = time.perf_counter() - begin
    libsumo.close()
    return taken, elapsed


def simulator(seconds: int, folder: Path) -> tuple[float, int]:
    from genreplay.envs.sumo.simulator.episode import EpisodeRequest
    from genreplay.envs.sumo.simulator.simulator import Simulator

    simulated = Simulator(scenario_config(seconds), folder)
    simulated.start(EpisodeRequest(SEED, evaluation=False))
    begin, elapsed = time.perf_counter(), 0
    for action in actions():
        elapsed += int(simulated.decide(action).duration)
        if elapsed >= seconds:
            return time.perf_counter() - begin, elapsed
    raise AssertionError("actions never end")


def env(seconds: int, folder: Path, num_workers: int = 1, restarts: bool = False) -> tuple[float, int]:
    import torch

    from genreplay.envs.sumo.world import SumoWorld

    torch.set_num_threads(1)
    world = SumoWorld(scenario_config(1600 if restarts else seconds))
    environment = world.make_env(num_workers, lambda worker, index: SEED)
    state = environment.reset()
    begin, elapsed = time.perf_counter(), 0
    for action in actions():
        state = state.set("action", torch.from_numpy(action).expand(num_workers, -1))
        step, state = environment.step_and_maybe_reset(state)
        elapsed += int(step["next", "duration"].sum())
        if elapsed >= seconds * num_workers:
            break
    taken = time.perf_counter() - begin
    environment.close()
    return taken, elapsed


def sumo_rl(seconds: int, folder: Path) -> tuple[float, int]:
    import sumo

    os.environ.setdefault("SUMO_HOME", sumo.SUMO_HOME)
    net_file, route_file, _ = write_traffic(folder, seconds)
    from sumo_rl import SumoEnvironment

    environment = SumoEnvironment(net_file, route_file, num_seconds=seconds, single_agent=True, sumo_seed=SEED)
    environment.reset()
    begin, done = time.perf_counter(), False
    rng = np.random.default_rng(0)
    while not done:
        *_, done, _ = environment.step(int(rng.integers(4)))
    taken = time.perf_counter() - begin
    environment.close()
    return taken, seconds


RUNNERS: dict[str, Callable[[int, Path], tuple[float, int]]] = {
    "bare": bare,
    "simulator": simulator,
    "env": env,
    "env_2": lambda seconds, folder: env(seconds, folder, num_workers=2),
    "restarts": lambda seconds, folder: env(seconds, folder, restarts=True),
    "sumo_rl": sumo_rl,
    "sumo_rl_traci": sumo_rl,
}


def measure(variant: str, seconds: int) -> float:
    """Microseconds for one simulated second, measured in a fresh process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("LIBSUMO_AS_TRACI", None)
    if variant != "sumo_rl_traci":
        environment["LIBSUMO_AS_TRACI"] = "1"
    command = [sys.executable, __file__, "--variant", variant, "--seconds", str(seconds)]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return float(output.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3600, help="simulated seconds of one measurement")
    parser.add_argument("--repeats", type=int, default=5, help="rounds over all variants")
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        with tempfile.TemporaryDirectory() as folder:
            taken, elapsed = RUNNERS[options.variant](options.seconds, Path(folder))
        print(f"\n{taken / elapsed * 1e6:.3f}")
        return

    rounds: list[dict[str, float]] = []
    for _ in range(options.repeats):
        rounds.append({variant: measure(variant, options.seconds) for variant in VARIANTS})
    print(f"{'variant':<14} {'median µs':>10} {'least µs':>9} {'median ratio':>13} {'least ratio':>12}")
    summary = {}
    for variant in VARIANTS:
        times = [r[variant] for r in rounds]
        summary[variant] = {
            "median_microseconds": statistics.median(times),
            "least_microseconds": min(times),
            "median_ratio": statistics.median(r[variant] / r["bare"] for r in rounds),
            "least_ratio": min(times) / min(r["bare"] for r in rounds),
        }
        median, least, median_ratio, least_ratio = summary[variant].values()
        print(f"{variant:<14} {median:10.1f} {least:9.1f} {median_ratio:13.2f} {least_ratio:12.2f}")
    if options.json:
        options.json.write_text(json.dumps({"simulated_seconds": options.seconds, "variants": summary}, indent=2))


if __name__ == "__main__":
    main()
