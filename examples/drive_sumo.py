"""Control a traffic light in a running SUMO with an exported policy; needs only NumPy, ONNX Runtime and TraCI.

    genreplay export --run last --output export
    python examples/drive_sumo.py export --seconds 1800 -- -n my.net.xml -r my.rou.xml --seed 7

Options after `--` are passed to SUMO; `--sumo sumo-gui` shows it. `--log FILE` writes one line for each decision.
"""

import argparse
import csv
import json
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime
import traci


class Light:
    """The signal and its recent history."""

    def __init__(self, signal):
        self.name, self.states = signal["light"], signal["phases"]
        self.min_green, self.max_green = signal["min_green"], signal["max_green"]
        self.yellow_time, self.all_red_time = signal["yellow_time"], signal["all_red_time"]
        count = len(self.states)
        self.phase = signal["first_phase"]
        self.since_green = [0.0 if p == self.phase else 300.0 for p in range(count)]
        self.last_green = [0.0] * count

    def plan(self, mode, action):
        """The phases and greens (s) of one action, in order."""
        count = len(self.states)
        if mode == "cycle":
            order = [(self.phase + 1 + k) % count for k in range(count)]
            return [(p, self.seconds(action[p])) for p in order]
        if mode == "duration":
            return [((self.phase + 1) % count, self.seconds(action[0]))]
        so_far = self.last_green[self.phase]
        is_exhausted = so_far + self.min_green > self.max_green
        choices = [p for p in range(count) if not (p == self.phase and is_exhausted)]
        chosen = max(choices, key=lambda p: (action[1 + p] - p * 1e-9, -p))
        room = self.max_green - (so_far if chosen == self.phase else 0.0)
        return [(chosen, min(self.seconds(action[0]), room))]

    def seconds(self, entry):
        """[-1, 1] -> whole seconds of green."""
        entry = min(max(float(entry), -1.0), 1.0)
        return (self.min_green + (entry + 1.0) / 2.0 * (self.max_green - self.min_green) + 0.5) // 1.0

    def show(self, phase, green, run):
        """Change to `phase` and keep it for `green` s; `run(seconds)` simulates."""
        passed = green
        if phase != self.phase:
            now, following = self.states[self.phase], self.states[phase]
            pairs = zip(now, following, strict=True)
            yellow = "".join("y" if old in "Gg" and new in "rs" else old for old, new in pairs)
            self.turn(yellow, self.yellow_time, run)
            self.turn(yellow.replace("y", "r"), self.all_red_time, run)
            passed += self.yellow_time + self.all_red_time
        self.turn(self.states[phase], green, run)
        self.last_green[phase] = green + (self.last_green[phase] if phase == self.phase else 0.0)
        self.since_green = [0.0 if p == phase else t + passed for p, t in enumerate(self.since_green)]
        self.phase = phase

    def turn(self, state, seconds, run):
        """Show `state` for `seconds`."""
        if seconds > 0:
            traci.trafficlight.setRedYellowGreenState(self.name, state)
            run(int(seconds))


class Counter:
    """Vehicles by section and approach, now and as means over the seconds since `forget`."""

    def __init__(self, card):
        self.places = [
            (section["name"], domain, name, limit)
            for section in card["sections"]
            for domain, names in ((traci.lane, section["lanes"]), (traci.edge, section["edges"]))
            if names
            for name, limit in zip(names, section["speed_limits"], strict=True)
        ]
        self.entries = [(approach["name"], edge) for approach in card["approaches"] for edge in approach["edges"]]
        self.forget()

    def forget(self):
        """Begin new means."""
        self.halting, self.losses, self.waiting = [], [], []

    def run(self, seconds):
        """Simulate, counting every second."""
        for _ in range(seconds):
            traci.simulationStep()
            self.halting.append([domain.getLastStepHaltingNumber(name) for _, domain, name, _ in self.places])
            self.losses.append([self.loss(*place[1:]) for place in self.places])
            self.waiting.append([len(traci.edge.getPendingVehicles(edge)) for _, edge in self.entries])

    @staticmethod
    def loss(domain, name, limit):
        """Seconds that the vehicles on a lane or an edge lose in the last second."""
        return domain.getLastStepVehicleNumber(name) * max(0.0, 1.0 - domain.getLastStepMeanSpeed(name) / limit)

    def values(self):
        """`{(quantity, of): value}`."""
        found: dict[tuple[str, str], float] = defaultdict(float)
        for i, (section, domain, name, _) in enumerate(self.places):
            losses = [second[i] for second in self.losses] or [0.0]
            found["density", section] += domain.getLastStepVehicleNumber(name)
            found["queue", section] += self.halting[-1][i] if self.halting else 0
            found["time_loss", section] += sum(losses) / len(losses)
        for i, (approach, _) in enumerate(self.entries):
            column = [second[i] for second in self.waiting] or [0]
            found["backlog", approach] += column[-1]
            found["mean_backlog", approach] += sum(column) / len(column)
        return found


def observe(card, counter, light):
    """The policy's input `[1, O]`, entry by entry as described by the card."""
    values = counter.values()
    for phase in range(len(light.states)):
        values["phase", str(phase)] = float(phase == light.phase)
        values["since_green", str(phase)] = light.since_green[phase]
        values["last_green", str(phase)] = light.last_green[phase]
    entries = []
    for about in card["inputs"]:
        entry = min(values[about["quantity"], about["of"]], about["limit"]) / about["scale"]
        entries.append(entry**0.5 if about["transform"] == "sqrt" else entry)
    return np.array([entries], dtype=np.float32)


def drive(folder, seconds, sumo, options, log):
    """Control the light for `seconds` of simulated time; returns the number of decisions."""
    card = json.loads((folder / "policy.json").read_text())
    policy = onnxruntime.InferenceSession(str(folder / card["model"]["file"]), providers=["CPUExecutionProvider"])
    writer = None if log is None else csv.writer(log)
    traci.start([sumo, *options])
    light, counter, decisions = Light(card["signal"]), Counter(card), 0
    traci.trafficlight.setRedYellowGreenState(light.name, light.states[light.phase])
    begin = traci.simulation.getTime()
    while traci.simulation.getTime() - begin < seconds:
        (action,) = policy.run(None, {"observation": observe(card, counter, light)})
        shown = light.plan(card["signal"]["action_mode"], action[0].astype(float))
        if writer is not None:
            writer.writerow([traci.simulation.getTime() - begin, *(int(part) for pair in shown for part in pair)])
        counter.forget()
        for phase, green in shown:
            light.show(phase, green, counter.run)
        decisions += 1
    traci.close()
    return decisions


def main():
    """Read the command line and control the light."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="output of `genreplay export`")
    parser.add_argument("--seconds", type=float, default=3600.0, help="simulated time to control, s")
    parser.add_argument("--sumo", default="sumo", help="the program, such as sumo-gui")
    parser.add_argument("--log", type=Path, help="CSV: time, then phase and green (s) of each decision")
    parser.add_argument("options", nargs="+", help="options for SUMO, after --")
    arguments = parser.parse_args()
    with open(arguments.log or os.devnull, "w", newline="") as log:
        decisions = drive(arguments.folder, arguments.seconds, arguments.sumo, arguments.options, log)
    print(f"{decisions} decisions in {arguments.seconds:g} s")


if __name__ == "__main__":
    main()
