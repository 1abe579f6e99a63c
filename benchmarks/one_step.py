r"""How soon a `factorised` generator knows the rules: fitted to a run's first transitions, asked about the next ones.

    python benchmarks/one_step.py CHECKPOINTS FILE --config conf/overcooked/rollouts.yaml \
        --config conf/overcooked/counterfactual.yaml

CHECKPOINTS is the folder that `fit` names. For each config the generator is fitted as in a run, again after every
thousand transitions, and then completes the states and actions of the next 8,000. Of those it keeps (by the config's
own filter) some are wrong, which the transitions themselves tell. Most of all it matters where something happens that
is paid for (potting, a dish or a soup picked up, a delivery), so these are counted apart: of all of them how many are
kept and right, and how many are kept and wrong, which teaches the agent that nothing comes of it. Writes FILE (CSV) and
prints it as a table.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch
from tensordict import TensorDictBase

from genreplay.build import build_agent, build_generator, build_world
from genreplay.config.reader import load
from genreplay.generators.distributed.team import Team, make_fabric
from genreplay.runs import checkpoint
from genreplay.training.assemble import build_synthesis
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import NEXT_OBSERVATION, REWARD, SHAPED_REWARD

EVERY, NUM_ASKED = 1_000, 8_000
HEADS = ("config", "transitions", "kept", "right of kept", "events", "events kept and right", "events kept and wrong")
ANSWER = (NEXT_OBSERVATION, REWARD, SHAPED_REWARD)


def same(one: TensorDictBase, other: TensorDictBase) -> torch.Tensor:
    """`[N]` bool: whether what follows is alike."""
    return torch.stack([(one[key] - other[key]).abs().amax(dim=1) < 1e-3 for key in ANSWER]).all(dim=0)


def lines(config_file: Path, real: TensorDictBase, sizes: list[int]) -> list[list[str | int | float]]:
    """One line for each size."""
    config = load(config_file, [])
    torch.set_num_threads(config.fabric.num_threads or 1)
    world = build_world(config)
    codec = Codec(world.layout)
    found: list[list[str | int | float]] = []
    with Team(make_fabric("cpu"), build_generator(config, codec)) as team:
        model = team.generator.step_model
        assert model is not None, "this generator predicts no outcomes"
        synthesis = build_synthesis(config, codec, build_agent(config, world), world, team)
        assert synthesis is not None
        for size in range(EVERY, max(sizes) + 1, EVERY):
            relevance = torch.zeros(size, 1) if team.generator.conditional else None
            team.fit(*synthesis.training_rows(real[:size], relevance), seed=size)
            if size not in sizes:
                continue
            asked = real[size : size + NUM_ASKED]
            answer = model.complete(codec.encode(asked))
            kept, right = synthesis.confident(answer), same(codec.decode(answer.rows), asked)
            paid = (asked[REWARD].abs().amax(dim=1) > 0) | (asked[SHAPED_REWARD].abs().amax(dim=1) > 0)
            shares = (kept.float().mean(), right[kept].float().mean(), paid.sum())
            shares += tuple((each & kept)[paid].float().mean() for each in (right, ~right))
            found.append([config_file.stem, size, *(round(float(share), 3) for share in shares)])
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--config", type=Path, action="append", required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 2_000, 3_000, 5_000])
    arguments = parser.parse_args()
    real = checkpoint.load(arguments.checkpoints).buffers["real"]
    if len(real) < max(arguments.rows) + NUM_ASKED or any(size % EVERY for size in arguments.rows):
        raise SystemExit(
            f"--rows: whole thousands, and {NUM_ASKED} of the run's {len(real)} transitions left to ask about"
        )
    found = [line for config in arguments.config for line in lines(config, real, arguments.rows)]
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    with arguments.file.open("w", newline="") as file:
        csv.writer(file).writerows([HEADS, *found])
    for row in [HEADS, ["---"] * len(HEADS), *found]:
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
