"""Steps/s of each environment, beside the simulator or the package that it stands on.

    python benchmarks/environments.py [--seconds N] [--json FILE]

SUMO by `env_stepping.py` (simulated seconds for each second, every contender in a process of its own), Overcooked by
`kitchen.py` (64 kitchens; joint steps), and Gymnasium's Pendulum. All on one core of the CPU, random actions.
"""

from __future__ import annotations

from collections.abc import Callable

import env_stepping
import gymnasium
import kitchen
import torch
from measuring import MIN_ROUNDS, Record, Settings, command, rates, take_turns

from genreplay.envs.gymnasium.config import GymnasiumConfig
from genreplay.envs.gymnasium.world import GymnasiumWorld

SUMO = {
    "bare": "bare libsumo loop",
    "simulator": "genreplay's simulator",
    "env": "genreplay environment, 1 worker",
    "env_2": "genreplay environment, 2 workers",
    "sumo_rl": "sumo-rl, libsumo",
    "sumo_rl_traci": "sumo-rl, TraCI",
}
QUICK = ("bare", "env")
"""Of a quick run; `env_stepping.py` has a test of its own that runs all."""
OVERCOOKED = {
    "package": "overcooked-ai, one kitchen",
    "kitchen": "genreplay's batched step",
    "env": "genreplay environment, one-hots",
    "check": "genreplay's exact check",
}
ENV_ID, LAYOUT, NUM_KITCHENS = "Pendulum-v1", "cramped_room", 64


def records(settings: Settings) -> list[Record]:
    return [*sumo(settings), *overcooked(settings), *pendulum(settings)]


def sumo(settings: Settings) -> list[Record]:
    simulated, repeats = (60, 1) if settings.quick else (1800, MIN_ROUNDS)
    measured = {name: SUMO[name] for name in QUICK} if settings.quick else SUMO
    rounds = [{name: env_stepping.measure(name, simulated) for name in measured} for _ in range(repeats)]
    taken = {label: [r[name] / 1e6 for r in rounds] for name, label in measured.items()}
    lines = rates("SUMO 2way", taken, 1, "simulated s/s")
    for line in lines:
        if "sumo-rl" in line["contender"]:
            line["note"] = "other decisions, so other traffic"
    return lines


def overcooked(settings: Settings) -> list[Record]:
    num, seconds, repeats = (4, 0.05, 1) if settings.quick else (NUM_KITCHENS, 1.0, MIN_ROUNDS)
    rounds = kitchen.measure(LAYOUT, num, seconds, repeats)
    taken = {label: [1 / r[name] for r in rounds] for name, label in OVERCOOKED.items()}
    return rates(f"Overcooked {LAYOUT}, {num} kitchens", taken, 1, "steps/s")


def pendulum(settings: Settings) -> list[Record]:
    num = 50 if settings.quick else 2000
    bare = gymnasium.make(ENV_ID)
    bare.reset(seed=0)
    ours = GymnasiumWorld(GymnasiumConfig(id=ENV_ID)).make_env(1, lambda worker, index: index)

    def step_bare() -> None:
        for _ in range(num):
            *_, terminated, truncated, _ = bare.step(bare.action_space.sample())
            if terminated or truncated:
                bare.reset()

    state = ours.reset()

    def step_ours() -> None:
        nonlocal state
        for _ in range(num):
            _, state = ours.step_and_maybe_reset(state.set("action", torch.rand(1, 1) * 2 - 1))

    calls: dict[str, Callable[[], object]] = {"gymnasium": step_bare, "genreplay environment": step_ours}
    return rates(ENV_ID, take_turns(calls, settings), num, "steps/s")


if __name__ == "__main__":
    command(__doc__, records)
