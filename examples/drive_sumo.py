"""Control a traffic light in a running SUMO with an exported policy; needs only NumPy, ONNX Runtime and TraCI.

The file `sumo_sensors.py` next to this one reads what the policy sees.

    genreplay export --run last --output export
    python examples/drive_sumo.py export --seconds 1800 -- -n my.net.xml -r my.rou.xml --seed 7

Options after `--` are passed to SUMO; `--sumo sumo-gui` shows it. `--log FILE` writes one line for each decision.
`--failed LANE` names a lane whose detectors have failed.
"""

import argparse
import csv
import json
import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import traci
from sumo_sensors import KINDS, with_detectors


class Light:
    """The signal, its recent history, and the bounds that every controller keeps."""

    def __init__(self, signal):
        self.name, self.stages, self.transitions = signal["light"], signal["stages"], signal["transitions"]
        self.max_red, self.round, self.longest_wait = signal["max_red"], signal["round"], signal["longest_wait"]
        count = len(self.stages)
        self.stage = signal["first_stage"]
        self.since_green = [0.0 if p == self.stage else float(self.longest_wait) for p in range(count)]
        self.last_green, self.waited = [0.0] * count, [0.0] * count

    def plan(self, mode, action):
        """The stages and greens (s) of one action, in order."""
        count = len(self.stages)
        if mode == "cycle":
            order = [(self.stage + 1 + k) % count for k in range(count)]
            return [(p, self.seconds(p, action[p])) for p in order]
        if mode == "duration":
            following = (self.stage + 1) % count
            return [(following, self.seconds(following, action[0]))]
        spare = {p: self.spare(p) for p in range(count)}
        allowed = [p for p in range(count) if spare[p] is not None and not self.is_exhausted(p)]
        if allowed:
            chosen = max(allowed, key=lambda p: (action[p - count] - p * 1e-9, -p))
        else:
            others = [each["stage"] for each in self.round if each["stage"] != self.stage]
            chosen = max(others, key=lambda p: (self.waited[p], -p))
        least = self.stages[chosen]["min_green"]
        limit = least + (spare[chosen] or 0.0)
        goes_on = chosen == self.stage and any(self.waited)
        room = self.stages[chosen]["max_green"] - (self.last_green[chosen] if goes_on else 0.0)
        return [(chosen, min(self.seconds(chosen, action[0]), max(least, min(limit, room))))]

    def is_exhausted(self, stage):
        """Whether the current stage had its longest green while somebody waits."""
        bounds = self.stages[stage]
        so_far = self.last_green[stage] + bounds["min_green"]
        return stage == self.stage and any(self.waited) and so_far > bounds["max_green"]

    def spare(self, stage):
        """How much longer than its shortest green `stage` may be shown next, s; None if everybody else cannot be served
        in time after that.
        """
        passed = self.change_seconds(stage) + self.stages[stage]["min_green"]
        left = []
        for each in self.round:
            is_satisfied = stage in each["satisfied_by"]
            due = self.max_red if is_satisfied else self.max_red - self.waited[each["stage"]] - passed
            left.append((due, is_satisfied, each))
        left.sort(key=lambda entry: entry[0])
        begin, spare = 0.0, 1e6
        for due, is_satisfied, each in left:
            slack = due - begin - each["reach"]
            if slack < 0:
                return None
            spare = spare if is_satisfied else min(spare, slack)
            begin += each["reach"] + self.stages[each["stage"]]["min_green"]
        return spare

    def change_seconds(self, stage):
        """Seconds until `stage` can be green."""
        return sum(seconds for _, seconds in self.transitions[self.stage][stage])

    def seconds(self, stage, entry):
        """[-1, 1] -> whole seconds of green."""
        low, high = self.stages[stage]["min_green"], self.stages[stage]["max_green"]
        entry = min(max(float(entry), -1.0), 1.0)
        return (low + (entry + 1.0) / 2.0 * (high - low) + 0.5) // 1.0

    def show(self, stage, green, run, goes_on=None):
        """Change to `stage` and keep it for `green` s; `run(seconds)` simulates.

        With `goes_on` that is the longest green: from the shortest on it ends when `goes_on(stage)` is false.
        """
        change, state, seconds = self.change_seconds(stage), self.stages[stage]["state"], green
        for between, its_seconds in self.transitions[self.stage][stage]:
            self.turn(between, its_seconds, run)
        if goes_on is not None:
            seconds = self.stages[stage]["min_green"]
        self.turn(state, seconds, run)
        while seconds < green and goes_on(stage):
            self.turn(state, 1, run)
            seconds += 1
        passed = seconds + change
        longest = max(bounds["max_green"] for bounds in self.stages)
        so_far = self.last_green[stage] if stage == self.stage else 0.0
        self.last_green[stage] = min(seconds + so_far, longest)
        self.since_green = [
            0.0 if p == stage else min(t + passed, self.longest_wait) for p, t in enumerate(self.since_green)
        ]
        self.waited = [min(t + passed, self.longest_wait) for t in self.waited]
        self.stage = stage

    def call(self, is_seen, is_cycle):
        """After a decision: nobody waits for a stage that is shown, or that nobody is seen in front of.

        `is_seen(section)` of vehicles or people; after a whole cycle a wait began with the end of green.
        """
        called = {each["stage"]: any(is_seen(section) for section in each["calls"][self.stage]) for each in self.round}
        waits = self.since_green if is_cycle else self.waited
        self.waited = [seconds if called.get(p) else 0.0 for p, seconds in enumerate(waits)]

    def turn(self, state, seconds, run):
        """Show `state` for `seconds`."""
        if seconds > 0:
            traci.trafficlight.setRedYellowGreenState(self.name, state)
            run(int(seconds))


def goes_on(signal, sensors, reach, stage):
    """Whether an actuated green goes on: it is used, or nobody calls another stage."""
    served = [[link in "GgoOs" for link in each["state"]] for each in signal["stages"]]
    by_all, by_any = ([which(link) for link in zip(*served, strict=True)] for which in (all, any))
    coming = sensors.approaching(max(reach, signal["zone_metres"]))
    if any(metres <= reach and served[stage][link] and not by_all[link] for link, metres in coming):
        return True
    calling = {link for link, metres in coming if metres <= signal["zone_metres"]} | sensors.walkers()
    return not any(by_any[link] and not served[stage][link] for link in calling)


def observe(card, sensors, light):
    """The policy's input `[1, O]`, entry by entry as described by the card."""
    values = sensors.values()
    for stage in range(len(light.stages)):
        values["phase", str(stage)] = float(stage == light.stage)
        values["since_green", str(stage)] = light.since_green[stage]
        values["last_green", str(stage)] = light.last_green[stage]
        values["waited_for", str(stage)] = light.waited[stage]
    entries = []
    for about in card["inputs"]:
        entry = min(values[about["quantity"], about["of"]], about["limit"]) / about["scale"]
        entries.append(entry**0.5 if about["transform"] == "sqrt" else entry)
    return np.array([entries], dtype=np.float32)


def drive(folder, seconds, sumo, options, log, failed=()):
    """Control the light for `seconds` of simulated time; returns the number of decisions."""
    card = json.loads((folder / "policy.json").read_text())
    policy = onnxruntime.InferenceSession(str(folder / card["model"]["file"]), providers=["CPUExecutionProvider"])
    writer = None if log is None else csv.writer(log)
    with tempfile.TemporaryDirectory() as scratch:
        traci.start([sumo, *with_detectors(options, card["detectors"], scratch)])
    light, sensors, decisions = Light(card["signal"]), KINDS[card["sensors"]](card, failed), 0
    traci.trafficlight.setRedYellowGreenState(light.name, light.stages[light.stage]["state"])
    mode = card["signal"]["action_mode"]
    begin = traci.simulation.getTime()
    while traci.simulation.getTime() - begin < seconds:
        (action,) = policy.run(None, {"observation": observe(card, sensors, light)})
        shown = light.plan(mode, action[0].astype(float))
        if writer is not None:
            writer.writerow([traci.simulation.getTime() - begin, *(int(part) for pair in shown for part in pair)])
        sensors.forget()
        prolongs = None
        if mode == "actuated":
            reach = card["signal"]["zone_metres"] * card["signal"]["reach_factor"] ** float(action[0, 1].clip(-1, 1))
            prolongs = partial(goes_on, card["signal"], sensors, reach)
        for stage, green in shown:
            light.show(stage, green, sensors.run, prolongs)
        light.call(sensors.is_seen, mode == "cycle")
        decisions += 1
    traci.close()
    return decisions


def main():
    """Read the command line and control the light."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="output of `genreplay export`")
    parser.add_argument("--seconds", type=float, default=3600.0, help="simulated time to control, s")
    parser.add_argument("--sumo", default="sumo", help="the program, such as sumo-gui")
    parser.add_argument("--log", type=Path, help="CSV: time, then stage and green (s) of each decision")
    parser.add_argument("--failed", action="append", default=[], metavar="LANE", help="its detectors have failed")
    parser.add_argument("options", nargs="+", help="options for SUMO, after --")
    arguments = parser.parse_args()
    with open(arguments.log or os.devnull, "w", newline="") as log:
        decisions = drive(arguments.folder, arguments.seconds, arguments.sumo, arguments.options, log, arguments.failed)
    print(f"{decisions} decisions in {arguments.seconds:g} s")


if __name__ == "__main__":
    main()
