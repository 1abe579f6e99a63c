"""Training steps/s and samples/s of the diffusion generator, beside a plain implementation of the published one.

    python benchmarks/generator_speed.py [--seconds N] [--device cuda] [--json FILE]

Rows as wide as those of SUMO (47 columns), conditions of one number, batches of 256, four square layers of the given
width in either network. What is compared in sampling is speed alone: the plain sampler takes the published 128 steps
of stochastic Heun, ours as many of DPM-Solver++(2M) as the default is. The plain one's guidance
acts in one of the two evaluations of a step, as in PGR's release.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from measuring import Record, Settings, command, rates, take_turns
from plain_edm import PlainEdm

from genreplay.common.precision import Speed
from genreplay.generators.config import EdmConfig, EdmFitConfig, EdmSamplerConfig, NetworkConfig
from genreplay.generators.distributed.team import make_fabric
from genreplay.generators.edm.generator import EdmGenerator
from genreplay.generators.fitting import fit
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import TransitionLayout
from genreplay.transitions.columns import continuous_columns as columns
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION, REWARD

WIDTHS = {OBSERVATION: 21, ACTION: 4, NEXT_OBSERVATION: 21, REWARD: 1}
PLAIN, NUM_BLOCKS, NUM_ROWS = "plain loop", 2, 5000
SEED = 0
PRECISIONS = {"genreplay fp32": "highest", "genreplay matmul_precision=medium": "medium"}
COMPILED = "genreplay compiled, medium"


def codec() -> Codec:
    named = [columns(key, [f"{key}[{i}]" for i in range(n)], -10.0, 10.0) for key, n in WIDTHS.items()]
    return Codec(TransitionLayout(tuple(column for group in named for column in group)))


def generator(
    width: int, num_steps: int, precision: str, chunk: int, guidance: float, compiled: bool = False
) -> EdmGenerator:
    config = EdmConfig(
        network=NetworkConfig(width, NUM_BLOCKS),
        fit=EdmFitConfig(num_steps=num_steps, warm_start=True),
        sampler=EdmSamplerConfig(guidance_scale=guidance, chunk_size=chunk),
    )
    return EdmGenerator(config, codec(), True, Speed(precision, compiled))


def records(settings: Settings) -> list[Record]:
    lines = []
    for width in (32,) if settings.quick else (256, 1024):
        lines += of_width(width, settings)
    return lines


def of_width(width: int, settings: Settings) -> list[Record]:
    on_cpu = torch.device(settings.device).type == "cpu"
    num_steps = 5 if settings.quick else 100 if on_cpu else 1000
    # The plain sampler sends all rows through at once: as many as suit the caches of a CPU, and as fill a GPU.
    num_samples = 8 if settings.quick else 512 if on_cpu else 100_000
    fabric = make_fabric("cpu" if on_cpu else "cuda")
    rows = torch.randn(NUM_ROWS, sum(WIDTHS.values()), device=settings.device)
    condition = torch.rand(NUM_ROWS, 1, device=settings.device)
    plain = PlainEdm(rows, condition, width=width, depth=2 * NUM_BLOCKS)

    def plain_steps() -> None:
        for _ in range(num_steps):
            plain.train_step()

    trained = {name: generator(width, num_steps, precision, num_samples, 1.0) for name, precision in PRECISIONS.items()}
    trained[COMPILED] = generator(width, num_steps, "medium", num_samples, 1.0, compiled=True)
    training: dict[str, Callable[[], object]] = {PLAIN: plain_steps}
    for name, one in trained.items():
        training[name] = lambda one=one: fit(fabric, one, rows, condition, SEED)
    lines = rates(f"training, width {width}", take_turns(training, settings), num_steps, "steps/s")

    prompts = condition[torch.arange(num_samples, device=condition.device) % NUM_ROWS]
    for scale, published in ((1.0, None), (1.5, 2.0)):
        sampling: dict[str, Callable[[], object]] = {PLAIN: lambda p=published: plain.sample(prompts, guidance=p)}
        for name, precision in PRECISIONS.items():
            one = generator(width, num_steps, precision, num_samples, scale).to(settings.device)
            one.load_state_dict(trained[name].state_dict())
            sampling[name] = lambda one=one: one.sample(num_samples, prompts, SEED)
        before = plain.num_evaluations
        plain.sample(prompts[:1], guidance=published)
        evaluations = plain.num_evaluations - before
        found = rates(
            f"samples, width {width}, guidance {scale:g}", take_turns(sampling, settings), num_samples, "samples/s"
        )
        found[0]["note"] = f"{evaluations} network evaluations a sample"
        for line in found[1:]:
            num_steps_each = EdmConfig().sampler.num_steps * (2 if scale != 1 else 1)
            line["note"] = f"{num_steps_each} network evaluations a sample"
        lines += found
    return lines


if __name__ == "__main__":
    command(__doc__, records)
