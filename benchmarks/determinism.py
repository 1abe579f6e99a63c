"""Which runs repeat to the last digit? Each case is trained twice with the same seed and configuration.

    python benchmarks/determinism.py                   # every case, minutes on two cores
    python benchmarks/determinism.py --cases pendulum_pgr sumo_pgr

A line for each case: how many metric values a run logged, and how many metrics differ between the two runs. Times are
left out. The two runs of a case are in two processes, and short; docs/reliability.md has the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from same_behaviour import genreplay, metrics

from genreplay import api

SHORT = [
    "loop.num_env_steps=120",
    "loop.warmup_env_steps=50",
    "loop.evaluate_every_env_steps=60",
    "loop.utd_ratio=2",
    "agent.critic_updates_per_actor_update=2",
    "evaluation.num_workers=1",
    "evaluation.seeds=[1]",
]
REFIT = ["loop.first_refit_env_step=60", "loop.refit_every_env_steps=40", "loop.num_synthetic_rows=1000"]
FIT = ["generator.fit.num_steps=50"]
PENDULUM = [*SHORT, *REFIT, *FIT]
SUMO = [*SHORT, "env.episode_seconds=300"]
KITCHEN = [*SHORT, *REFIT]
CASES = {
    "pendulum_pgr": ("pendulum_pgr", [*PENDULUM]),
    "pendulum_redq": ("pendulum_pgr", [*SHORT, "generator.name=none", "relevance.name=none"]),
    "pendulum_novelty": ("pendulum_pgr", [*PENDULUM, "relevance.name=novelty"]),
    "pendulum_td_error": (
        "pendulum_pgr",
        [*PENDULUM, "relevance.name=td_error"],
    ),
    "pendulum_threads": (
        "pendulum_pgr",
        [*PENDULUM, "fabric.num_threads=2"],
    ),
    "pendulum_ranks": ("pendulum_pgr", [*PENDULUM, "fabric.devices=2"]),
    "pendulum_fast": ("pendulum_pgr", [*PENDULUM, "speed=fast"]),
    "sumo_sac": ("sumo_sac", SUMO),
    "sumo_redq": ("sumo_redq", SUMO),
    "sumo_synther": ("sumo_synther", [*SUMO, *REFIT, *FIT]),
    "sumo_pgr": ("sumo_pgr", [*SUMO, *REFIT, *FIT]),
    "sumo_traci": ("sumo_pgr", [*SUMO, *REFIT, *FIT, "env.backend=traci"]),
    "sumo_workers": ("sumo_pgr", [*SUMO, *REFIT, *FIT, "loop.num_workers=2"]),
    "sumo_overlap": ("sumo_redq", [*SUMO, "loop.overlap_collection=true"]),
    "cologne1_pgr": ("cologne1_pgr", [*SUMO, *REFIT, *FIT]),
    "overcooked_masked": ("overcooked_pgr", [*KITCHEN, *FIT]),
    "overcooked_redq": ("overcooked_redq", SHORT),
    "overcooked_factorised": ("overcooked/factorised", [*KITCHEN, *FIT]),
    "overcooked_edm": ("overcooked/edm", [*KITCHEN, *FIT]),
    "overcooked_greedy": ("overcooked/greedy_pgr", [*KITCHEN, *FIT]),
    "overcooked_rollouts": ("overcooked/rollouts", [*KITCHEN, *FIT]),
    "overcooked_counterfactual": ("overcooked/counterfactual", [*KITCHEN, *FIT]),
}
"""Case: configuration, and overrides that make it short."""


def train_all(cases: list[str], folder: Path) -> None:
    """Train each case in a folder of its own, all of them in this process, and write down its metrics."""
    torch.set_num_threads(1)
    for case in cases:
        place = folder / case
        place.mkdir()
        os.chdir(place)
        name, overrides = CASES[case]
        if "fabric.devices=2" in overrides:  # every rank starts the command anew
            genreplay("fit", "--config", name, *overrides, folder=place)
        else:
            api.train(api.load_config(name, overrides))
        (folder / f"{case}.json").write_text(json.dumps(metrics(place)))


def points(path: Path) -> set[tuple[str, str]]:
    """Every metric value of a run, with its name, as text."""
    return {(name, repr(point)) for name, found in json.loads(path.read_text()).items() for point in found}


def main() -> int:
    """Print a line for each case; 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), metavar="CASE")
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.once is not None:
        train_all(chosen.cases, chosen.once)
        return 0
    num_different = 0
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, again) for again in ("first", "second")]
        for place in places:
            place.mkdir()
            subprocess.run([sys.executable, __file__, "--once", place, "--cases", *chosen.cases], check=True)
        for case in chosen.cases:
            first, second = (points(place / f"{case}.json") for place in places)
            different = len({name for name, _ in first ^ second})
            num_different += different > 0
            print(f"{case}: {len(first)} values; {different} of {len({name for name, _ in first})} metrics differ")
    return int(num_different > 0)


if __name__ == "__main__":
    sys.exit(main())
