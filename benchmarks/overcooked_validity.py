"""How many synthetic Overcooked transitions can happen? Each generator, fitted to the same 20,000 real ones.

    python benchmarks/overcooked_validity.py --layouts cramped_room --generators factorised,edm_onehot --json FILE

The real transitions: the shipped human play of the layout, and for the rest uniformly random actions in its states.
Every drawn row is checked against the kitchen's own rules (see `OvercookedWorld.validity`). FILE keeps what it has of
other layouts and generators.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from genreplay.build import build_generator, build_world
from genreplay.common.seeding import derive_seed
from genreplay.config.reader import load
from genreplay.diagnostics.distances import coverage
from genreplay.envs.overcooked.partners.human_play import LAYOUTS, human_play
from genreplay.envs.overcooked.world import OvercookedWorld
from genreplay.generators.distributed.team import Team, make_fabric
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import ACTION, IS_SYNTHETIC, LEARNER, OBSERVATION, PARTNER, REWARD, TERMINATED

ROOT = Path(__file__).resolve().parents[1]
NUM_COVERED = 2_000
"""Rows of either kind that coverage is measured on, if there are as many."""


def real_transitions(world: OvercookedWorld, num_rows: int, folder: Path, seed: int) -> TensorDict:
    """Joint transitions `[num_rows]`, in random order."""
    rng = np.random.default_rng(derive_seed(seed, "rows"))
    plays = [human_play(world.config.layout, split, folder) for split in ("train", "test")]
    codes, actions = (np.concatenate([getattr(play, name) for play in plays]) for name in ("codes", "actions"))
    order = rng.permutation(len(codes))[:num_rows]
    codes, actions = codes[order], actions[order]
    more = num_rows - len(codes)
    codes = np.concatenate([codes, codes[rng.integers(len(codes), size=more)]])
    actions = np.concatenate([actions, rng.integers(6, size=(more, 2))])
    begun = TensorDict(
        {
            OBSERVATION: torch.from_numpy(world.kitchen.code.one_hot(codes)),
            ACTION: torch.nn.functional.one_hot(torch.from_numpy(actions), 6).float().flatten(1),
            LEARNER: torch.ones(num_rows, 2),
            PARTNER: torch.ones(num_rows, 1),
        },
        batch_size=[num_rows],
    )
    rows = begun.update(world.oracle.simulate(begun))
    rows.set(("next", "duration"), torch.ones(num_rows, 1))
    rows.set(IS_SYNTHETIC, torch.zeros_like(rows[TERMINATED]))
    return rows[torch.from_numpy(rng.permutation(num_rows))]


def measure(
    layout: str, generator: str, num_rows: int, num_samples: int, seed: int, folder: Path, options: list[str]
) -> dict[str, Any]:
    """One line of the table."""
    base = ROOT / "conf" / "overcooked_redq.yaml"
    fragment = ROOT / "conf" / "generators" / f"{generator}.yaml"
    text = f"extends: [{base}, {fragment}]\nreplay: {{synthetic_fraction: 0.5}}\n"
    path = folder / f"validity_{generator}.yaml"
    path.write_text(text, encoding="utf-8")
    config = load(path, [f"env.layout={layout}", f"seed={seed}", *options])
    torch.set_num_threads(config.fabric.num_threads or 1)
    world = build_world(config)
    codec = Codec(world.layout, derive=True)
    real = real_transitions(world, num_rows, folder, seed)
    team = Team(make_fabric("cpu"), build_generator(config, codec))
    with team:
        start = time.process_time()
        team.fit(codec.encode(real), None, seed)
        fitted = time.process_time()
        sampled = team.sample(num_samples, None, seed)
        drawn = time.process_time()
    transitions = codec.decode(sampled.rows)
    figures, usual = world.oracle.measure(transitions), world.oracle.measure(real)
    one_hots, ours = (codec.encode(rows).to(torch.uint8).numpy() for rows in (real, transitions))
    known = set(map(bytes, one_hots))
    new = np.array([bytes(row) not in known for row in ours])
    delivers = transitions[REWARD].view(-1).numpy() > 0
    few = min(NUM_COVERED, num_rows // 2, num_samples)
    compared = one_hots[:few], one_hots[few : 2 * few], ours[:few]
    some, others, synthetic = (rows.astype(np.float64) for rows in compared)
    line = {
        "layout": layout,
        "generator": generator,
        "valid": figures["valid"],
        "novel": float(new.mean()),
        "coverage": coverage(some, synthetic),
        "coverage, real": coverage(some, others),
        "delivery share, synthetic over real": figures["rows_with_delivery"] / usual["rows_with_delivery"],
        "fit, CPU s": fitted - start,
        "sample, CPU s": drawn - fitted,
    }
    if delivers.any():
        line |= {
            "valid of the deliveries": world.oracle.measure(transitions[torch.from_numpy(delivers)])["valid"],
            "novel of the deliveries": float(new[delivers].mean()),
        }
    if sampled.confidence is not None and sampled.agree is not None:
        sure = (sampled.confidence.view(-1) >= 0.95) & sampled.agree.view(-1)
        kept = world.oracle.measure(transitions[sure])
        line |= {
            "kept of the sure": float(sure.float().mean()),
            "valid of the sure": kept["valid"],
            "delivery share of the sure": kept["rows_with_delivery"] / usual["rows_with_delivery"],
        }
    wrong = {name: round(share, 4) for name, share in figures.items() if not name.startswith(("valid", "rows_with"))}
    return line | {"wrong": {name: share for name, share in wrong.items() if share}}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layouts", default=",".join(LAYOUTS))
    parser.add_argument("--generators", default="factorised,masked,edm_onehot")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("build/overcooked"))
    parser.add_argument("--json", type=Path)
    arguments, options = parser.parse_known_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    lines = json.loads(arguments.json.read_text(encoding="utf-8")) if arguments.json and arguments.json.exists() else []
    for layout in arguments.layouts.split(","):
        for generator in arguments.generators.split(","):
            line = measure(
                layout, generator, arguments.rows, arguments.samples, arguments.seed, arguments.folder, options
            )
            print(json.dumps(line), flush=True)
            lines = [old for old in lines if (old["layout"], old["generator"]) != (layout, generator)] + [line]
            if arguments.json:
                arguments.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
