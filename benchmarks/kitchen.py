"""How fast kitchens step and are encoded, beside overcooked-ai as it ships. One core.

    python benchmarks/kitchen.py [--layout NAME] [--kitchens N] [--seconds S] [--repeats N] [--json FILE]

Every contender plays random actions, new dynamics, and encodes what both cooks see after each step; rounds are
interleaved. Reported: steps/s (a step is one joint step of one kitchen; median over the rounds), and the median over
the rounds of the ratio to the package.

package      overcooked-ai's get_state_transition and lossless_state_encoding, one kitchen
kitchen      genreplay's batched step and one-hot codes for both cooks
env          genreplay's TorchRL environment, one-hot codes: what a collector gets
check        transitions/s of the exact validity check
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.kitchen.package import gridworld, overcooked
from genreplay.envs.overcooked.kitchen.validity import KitchenOracle
from genreplay.envs.overcooked.world import OvercookedWorld
from genreplay.replay.collection import executed

Round = Callable[[], int]
"""Does some work; how many steps it was."""


def package(layout: str) -> Round:
    world = OvercookedWorld(OvercookedConfig(layout=layout, dynamics="new"))
    mdp = gridworld(world.kitchen.code.kitchen)
    actions = overcooked("mdp.actions").Action.INDEX_TO_ACTION
    rng, state = np.random.default_rng(0), mdp.get_standard_start_state()

    def run() -> int:
        nonlocal state
        for pair in rng.integers(6, size=(50, 2)):
            state, _ = mdp.get_state_transition(state, [actions[a] for a in pair])
            mdp.lossless_state_encoding(state)
        return 50

    return run


def kitchen(layout: str, num: int) -> Round:
    rules = OvercookedWorld(OvercookedConfig(layout=layout, dynamics="new")).kitchen
    rng, codes = np.random.default_rng(0), np.repeat(rules.code.start()[None], num, axis=0)

    def run() -> int:
        nonlocal codes
        codes, _ = rules.step(codes, rng.integers(6, size=(num, 2)))
        rules.code.one_hot(np.stack([codes, codes[:, rules.code.swap]], axis=1))
        return num

    return run


def env(layout: str, num: int) -> Round:
    world = OvercookedWorld(OvercookedConfig(layout=layout, dynamics="new"))
    environment = world.make_env(num, lambda worker, index: 0)
    state = environment.reset()

    def run() -> int:
        nonlocal state
        _, state = environment.step_and_maybe_reset(state.set(("agents", "action"), torch.randint(6, (num, 2))))
        return num

    return run


def check(layout: str) -> Round:
    world = OvercookedWorld(OvercookedConfig(layout=layout, dynamics="new", start="random"))
    environment = world.make_env(512, lambda worker, index: worker)
    rows, oracle = executed(environment.rollout(8).reshape(-1)), world.oracle
    assert isinstance(oracle, KitchenOracle)

    def run() -> int:
        oracle.validity(rows)
        return len(rows)

    return run


def rate(run: Round, seconds: float) -> float:
    begin, steps = time.perf_counter(), 0
    while (taken := time.perf_counter() - begin) < seconds:
        steps += run()
    return steps / taken


def measure(layout: str, num: int, seconds: float, repeats: int) -> list[dict[str, float]]:
    """Steps/s of every contender in every round, each working for `seconds`."""
    runs = {
        "package": package(layout),
        "kitchen": kitchen(layout, num),
        "env": env(layout, num),
        "check": check(layout),
    }
    return [{name: rate(run, seconds) for name, run in runs.items()} for _ in range(repeats)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", default="cramped_room")
    parser.add_argument("--kitchens", type=int, default=64, help="kitchens side by side")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement")
    parser.add_argument("--repeats", type=int, default=5, help="rounds over all contenders")
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rounds = measure(options.layout, options.kitchens, options.seconds, options.repeats)
    summary = {
        name: {
            "steps_per_second": statistics.median(r[name] for r in rounds),
            "ratio": statistics.median(r[name] / r["package"] for r in rounds),
        }
        for name in rounds[0]
    }
    print(f"{'contender':<10} {'steps/s':>10} {'ratio':>8}")
    for name, figures in summary.items():
        print(f"{name:<10} {figures['steps_per_second']:10.0f} {figures['ratio']:8.1f}")
    if options.json:
        options.json.write_text(
            json.dumps({**vars(options), "json": str(options.json), "contenders": summary}, indent=2)
        )


if __name__ == "__main__":
    main()
