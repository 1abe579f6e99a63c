"""What compiled updates cost and save: CPU seconds of a first and of a later compilation, milliseconds an update.

    python benchmarks/compilation.py [CONFIG] [OVERRIDE ...]

The agent's update blocks and the generator's fit of CONFIG (conf/sumo_pgr.yaml) on random rows, eagerly, compiled with
an empty cache of generated code, and with a full one, each in a process of its own. All times are CPU times, compilers
included, which other work on the machine changes less than the clock's. An update has the least of its times.
`MIN_CRITIC_UPDATES` and `MIN_GENERATOR_STEPS` (`genreplay.build`) are chosen from these figures.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from genreplay.build import build_agent, build_generator, build_world
from genreplay.common.precision import AGENT_SPEEDS, GENERATOR_SPEEDS
from genreplay.config.reader import load
from genreplay.generators.distributed.team import make_fabric
from genreplay.generators.fitting import fit
from genreplay.transitions.codec import Codec

CONFIG = Path(__file__).parents[1] / "conf" / "sumo_pgr.yaml"
NUM_ROWS, NUM_STEPS, NUM_CALLS = 5000, 100, 12


def cpu_seconds() -> float:
    """Of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def calls(file: str, overrides: list[str], compiled: bool) -> dict[str, tuple[Callable[[], object], int]]:
    """For agent and generator a call and the number of updates that it makes."""
    config = load(file, overrides)
    world = build_world(config)
    codec = Codec(world.layout, config.codec.derive)
    block_shape = config.agent.critic_updates_per_actor_update, config.replay.batch_size
    agent, generator = build_agent(config, world), build_generator(config, codec)
    agent.set_progress(config.loop.num_env_steps)
    agent.speed = replace(AGENT_SPEEDS["default"], compile=compiled)
    block = codec.decode(torch.randn(block_shape[0] * block_shape[1], codec.width)).reshape(block_shape)
    found: dict[str, tuple[Callable[[], object], int]] = {
        "critic update": (lambda: agent.training_step(block), block_shape[0])
    }
    if generator is not None:
        generator.speed = replace(GENERATOR_SPEEDS["default"], compile=compiled)
        generator.config.fit.num_steps = NUM_STEPS
        rows = codec.encode(codec.decode(torch.randn(NUM_ROWS, codec.width)))
        condition = torch.rand(NUM_ROWS, 1) if generator.conditional else None
        found["generator step"] = (lambda: fit(make_fabric("cpu"), generator, rows, condition, 0), NUM_STEPS)
    return found


def measure(file: str, overrides: list[str], compiled: bool) -> dict[str, tuple[float, float]]:
    """For agent and generator CPU seconds of the first call beyond a later one's, and milliseconds of an update."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = {}
    for name, (call, num_updates) in calls(file, overrides, compiled).items():
        taken = []
        for _ in range(NUM_CALLS):
            started = cpu_seconds()
            call()
            taken.append(cpu_seconds() - started)
        found[name] = taken[0] - min(taken), min(taken) / num_updates * 1e3
    return found


def main(file: str, overrides: list[str]) -> None:
    with tempfile.TemporaryDirectory() as cache:
        # With one compiling process the children's times are counted.
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache, "TORCHINDUCTOR_COMPILE_THREADS": "1"}

        def apart(compiled: bool) -> dict[str, tuple[float, float]]:
            command = [sys.executable, __file__, "--measure", str(int(compiled)), file, *overrides]
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            return json.loads(done.stdout.splitlines()[-1])

        eager, cold, warm = apart(False), apart(True), apart(True)
    print("| | eager, ms | compiled, ms | first compilation, s | later ones, s | repaid after, first | later |")
    print("|---|---|---|---|---|---|---|")
    for name in eager:
        slow, fast = eager[name][1], min(cold[name][1], warm[name][1])
        costs = [cold[name][0], warm[name][0]]
        repaid = [f"{cost / (slow - fast) * 1e3:,.0f}" if fast < slow else "never" for cost in costs]
        cells = [name, f"{slow:.2f}", f"{fast:.2f}", *(f"{cost:.1f}" for cost in costs), *repaid]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[3], sys.argv[4:], sys.argv[2] == "1")))
    else:
        main(sys.argv[1] if sys.argv[1:] else str(CONFIG), sys.argv[2:])
