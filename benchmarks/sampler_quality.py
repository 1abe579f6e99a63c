"""Are few solver steps as good as the published sampler? Both draw from the same networks, beside real transitions.

    python benchmarks/sampler_quality.py [--fits 3] [--rows 3000] [--csv FILE]

Two worlds: Pendulum, whose own step tells how wrong a row is, and SUMO, both with random actions. For each of `--fits`
seeds real transitions are collected and a network is fitted to them as the configs do, but five times as long, and
conditioned on the reward (a relevance that needs no fit). Then every sampler draws as many rows from it, prompted by
rewards of the most relevant quarter, at guidance 1 and at the guidance that the configs use. docs/diagnostics.md
explains the figures; distances of marginals are to the real rows that were prompted.

FILE has a line for each world, seed, guidance, sampler and figure. Printed are the means over seeds, and in brackets
the least and the largest difference from the published sampler, each between samples of one network.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

from genreplay.build import build_agent, build_generator, build_world
from genreplay.common.precision import EXACT, GENERATOR_SPEEDS
from genreplay.common.seeding import derive_seed
from genreplay.config.reader import load
from genreplay.config.schema import ExperimentConfig
from genreplay.diagnostics.diagnose import diagnose
from genreplay.generators.distributed.team import make_fabric
from genreplay.generators.fitting import fit
from genreplay.replay.collection import Collection
from genreplay.replay.synthesis import draw_prompts, most_relevant
from genreplay.replay.warmup import warmup_policy
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import REWARD

ROOT = Path(__file__).resolve().parents[1]
WORLDS = {"Pendulum": "pendulum_pgr.yaml", "SUMO 2way": "sumo_pgr.yaml"}
IN_FP32 = "the configs' sampler in fp32"
PUBLISHED = "published: 128 steps of stochastic Heun"
EDM = {"sigma_min": 0.002, "sigma_max": 80.0, "rho": 7.0}
"""The noise levels of Karras et al. (2022), table 1."""
SAMPLERS: dict[str, dict[str, Any]] = {
    PUBLISHED: {"solver": "stochastic_heun", "num_steps": 128} | EDM,
    "the configs' sampler": {},
    IN_FP32: {},
    "as many steps at the published noise levels": EDM,
}
FIGURES = {
    "simulator_error": None,
    "one_step_error": "one_step_error_yardstick",
    "prompted_wasserstein_mean": "prompted_wasserstein_yardstick",
    "prompted_ks_mean": "prompted_ks_yardstick",
    "correlation_gap": "correlation_gap_yardstick",
    "coverage": "coverage_yardstick",
    "projection_distance": None,
}
"""And what two halves of the real rows have among themselves, where that is not 0."""
FIT_STEPS_FACTOR = 5
YARDSTICK = "two halves of the real rows"


def transitions(config: ExperimentConfig, num_rows: int) -> TensorDict:
    """Real transitions `[num_rows]` under uniformly random actions."""
    world = build_world(config)
    env = world.make_env(1, lambda worker, index: derive_seed(config.seed, "episode", worker, index))
    policy = build_agent(config, world).policy(deterministic=False)
    warmup = warmup_policy(policy, world.layout, begins_with_rule=False)
    collection = Collection(env, policy, num_rows, world.layout.stored_keys, warmup)
    torch.manual_seed(config.seed)
    try:
        return torch.cat([collection.next() for _ in range(num_rows)])
    finally:
        collection.shutdown()


def measure(name: str, seed: int, num_rows: int, fit_steps: int | None) -> Iterator[dict[str, Any]]:
    """The lines of one network."""
    config = load(ROOT / "conf" / WORLDS[name], [f"seed={seed}"])
    torch.set_num_threads(config.fabric.num_threads or 1)
    world, real = build_world(config), transitions(config, num_rows)
    codec = Codec(world.layout, derive=True)
    generator: Any = build_generator(config, codec)
    fitting, standard, relevance = generator.config.fit, generator.config.sampler, real[REWARD]
    fitting.num_steps = fit_steps or FIT_STEPS_FACTOR * fitting.num_steps
    fit(make_fabric("cpu"), generator, codec.encode(real), relevance, seed)
    top = most_relevant(relevance, standard.prompt_top_fraction)
    followed = draw_prompts(top, num_rows, seed)
    prompts = relevance[followed]
    given = None if generator.given_columns is None else generator.given_of(codec.encode(real[followed]))
    prompted = real[top]
    for guidance in (1.0, standard.guidance_scale):
        found: dict[str, float] = {}
        for sampler, options in SAMPLERS.items():
            generator.config.sampler = replace(standard, guidance_scale=guidance, **options)
            generator.speed = EXACT if sampler in (PUBLISHED, IN_FP32) else GENERATOR_SPEEDS["default"]
            rows = generator.sample(num_rows, prompts, seed, given=given).rows
            found = diagnose(codec, real, rows, seed, prompted, world.oracle).metrics
            for figure in FIGURES.keys() & found.keys():
                yield line(name, seed, guidance, sampler, figure, found[figure])
        for figure, yardstick in FIGURES.items():
            if yardstick is not None:
                yield line(name, seed, guidance, YARDSTICK, figure, found[yardstick])


def line(world: str, seed: int, guidance: float, sampler: str, figure: str, value: float) -> dict[str, Any]:
    return {"world": world, "seed": seed, "guidance": guidance, "sampler": sampler, "figure": figure, "value": value}


def table(lines: list[dict[str, Any]]) -> str:
    """Markdown: a line for each world, guidance and sampler, a column for each figure."""
    at = {
        tuple(line[key] for key in ("world", "guidance", "sampler", "figure", "seed")): line["value"] for line in lines
    }
    seeds = sorted({line["seed"] for line in lines})
    rows = [("world, guidance", "sampler", *FIGURES), ("---",) * (2 + len(FIGURES))]
    for world, guidance in dict.fromkeys((line["world"], line["guidance"]) for line in lines):
        for sampler in (YARDSTICK, *SAMPLERS):
            cells = []
            for figure in FIGURES:
                if (world, guidance, sampler, figure, seeds[0]) not in at:
                    cells.append("")
                    continue
                values = [at[world, guidance, sampler, figure, seed] for seed in seeds]
                cell = f"{statistics.mean(values):.3g}"
                if sampler not in (YARDSTICK, PUBLISHED):
                    published = [at[world, guidance, PUBLISHED, figure, seed] for seed in seeds]
                    off = [a - b for a, b in zip(values, published, strict=True)]
                    cell += f" ({min(off):+.2g} to {max(off):+.2g})"
                cells.append(cell)
            rows.append((f"{world}, {guidance:g}", sampler, *cells))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=3, help="networks for each world, with seeds from 0")
    parser.add_argument("--rows", type=int, default=3000, help="real transitions, and samples of each sampler")
    parser.add_argument("--fit-steps", type=int, help="of each fit; without, five times the configs'")
    parser.add_argument("--csv", type=Path, help="also write every figure to this file")
    options = parser.parse_args()
    lines: list[dict[str, Any]] = []
    for seed in range(options.fits):
        for world in WORLDS:
            lines += measure(world, seed, options.rows, options.fit_steps)
            print(f"{world}, seed {seed}: done", file=sys.stderr, flush=True)
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, lines[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(line | {"value": f"{line['value']:.6g}"} for line in lines)
    print(table(lines))


if __name__ == "__main__":
    main()
