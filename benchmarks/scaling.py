"""How the cost of each part grows with its size: milliseconds over sizes, the exponent of growth, and a figure.

    python benchmarks/scaling.py [--seconds N] [--device cuda] [--ten-million] [--figure FILE] [--json FILE]

The sizes of a case take turns. The exponent is the slope of a straight line through log time over log size, fitted in
every round and the median taken: 1 where twice the size costs twice the time, 0 where size does not matter.
`--ten-million` adds 10^7 stored rows, in files (about 2 GB in the system's temporary folder).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from critic_updates import BATCH_SIZE, HIDDEN_WIDTH, NUM_UPDATES
from generator_speed import SEED, codec, generator
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from measuring import Record, Settings, command, record, take_turns
from replay_speed import NUM_SYNTHETIC, PIECE, random_rows

from genreplay.agents.config import RedqSacConfig
from genreplay.agents.continuous.redq_sac import RedqSac
from genreplay.config.schema import ReplayConfig
from genreplay.generators.distributed.team import make_fabric
from genreplay.generators.fitting import fit
from genreplay.replay.buffers import MixedReplay
from genreplay.reporting.charts import INK, theme

OBSERVATION_WIDTH, ACTION_WIDTH = 21, 4
ENSEMBLE_SIZES = (2, 5, 10, 20)
UPDATE_RATIOS = (1, 5, 10, 20, 40)
BUFFER_ROWS = (10**4, 10**5, 10**6)
SYNTHETIC_ROWS = (1_000, 3_000, 10_000)
GROWTH, EXPONENT = "growth", "exponent"
PANEL = 3.2, 2.5
"""Of a case in the figure, inches."""


@dataclass
class Case:
    """One part, at several sizes."""

    name: str
    axis: str
    """What the sizes count."""
    unit: str
    """One call, such as ms/block."""
    calls: dict[int, Callable[[], object]]
    """By size."""
    per_call: int = 1
    """How many units a call does."""


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Slope of the least-squares line through log time over log size."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def measured(case: Case, settings: Settings) -> list[Record]:
    """A line for each size, in milliseconds, and one that tells the growth."""
    taken = take_turns({str(size): call for size, call in case.calls.items()}, settings)
    lines = []
    for size, seconds in zip(case.calls, taken.values(), strict=True):
        median = statistics.median(seconds) * 1e3 / case.per_call
        line = record(case.name, f"{size:,} {case.axis}", median, case.unit, rounds=len(seconds))
        lines.append(line | {"size": size, "axis": case.axis})
    found = [exponent(list(case.calls), row) for row in zip(*taken.values(), strict=True)]
    spread = f"{min(found):.2f} to {max(found):.2f} over the rounds"
    return [*lines, record(case.name, GROWTH, statistics.median(found), EXPONENT, rounds=len(found), note=spread)]


def agent(ensemble_size: int, num_updates: int, device: str) -> RedqSac:
    config = RedqSacConfig(
        hidden_width=HIDDEN_WIDTH, ensemble_size=ensemble_size, critic_updates_per_actor_update=num_updates
    )
    return RedqSac(config, OBSERVATION_WIDTH, ACTION_WIDTH, discount_period=1.0).to(device)


def filled(num_rows: int, device: str, storage: str = "memory", folder: str | None = None) -> MixedReplay:
    """A full buffer, half of whose batches are synthetic."""
    config = ReplayConfig(num_rows, 0.5, storage=storage)
    replay = MixedReplay(config, device, directory=None if folder is None else Path(folder))
    for start in range(0, num_rows, PIECE):
        replay.extend_real(random_rows(min(PIECE, num_rows - start)))
    replay.replace_synthetic(random_rows(NUM_SYNTHETIC, synthetic=True))
    return replay


def of_agent(settings: Settings) -> Iterator[Case]:
    """Blocks of 20 updates over the ensemble; a whole env step, drawn and learned, over the update ratio."""
    replay = filled(BUFFER_ROWS[0], settings.device)
    block = replay.sample_blocks(NUM_UPDATES, BATCH_SIZE)
    agents = {size: agent(size, NUM_UPDATES, settings.device) for size in sizes_of(ENSEMBLE_SIZES, settings)}
    blocks = {size: lambda one=one: one.training_step(block) for size, one in agents.items()}
    yield Case("critic updates", "critics", "ms/update", blocks, NUM_UPDATES)

    def env_step(ratio: int) -> Callable[[], object]:
        learner = agent(2, ratio, settings.device)
        return lambda: learner.training_step(replay.sample_blocks(ratio, BATCH_SIZE))

    steps = {ratio: env_step(ratio) for ratio in sizes_of(UPDATE_RATIOS, settings)}
    yield Case("drawing and learning, 2 critics", "updates an env step", "ms/env step", steps)


def of_replay(settings: Settings, ten_million: bool) -> Iterator[Case]:
    """What may depend on the rows held: to draw, to store, and to read them all for a fit."""
    kept = {num: filled(num, settings.device) for num in sizes_of(BUFFER_ROWS, settings)}
    encode = codec().encode
    reading = {num: lambda one=one: encode(one.real_transitions()) for num, one in kept.items()}
    yield Case("rows read for a fit", "rows stored", "ms/fit", reading)
    with tempfile.TemporaryDirectory() as folder:
        if ten_million:
            kept[10**7] = filled(10**7, settings.device, "memmap", folder)
        drawing = {num: lambda one=one: one.sample_blocks(NUM_UPDATES, BATCH_SIZE) for num, one in kept.items()}
        yield Case("drawing a block of 20 x 256", "rows stored", "ms/block", drawing)
        new = random_rows(1)
        storing = {num: lambda one=one: one.extend_real(new) for num, one in kept.items()}
        yield Case("storing a transition", "rows stored", "ms/row", storing)


def of_generator(settings: Settings) -> Case:
    """The samples of a refit. How long a fit takes does not depend on anything that grows."""
    on_cpu = torch.device(settings.device).type == "cpu"
    one = generator(32 if settings.quick else 256, 5, "highest", 512 if on_cpu else 100_000, 1.0)
    real = random_rows(1000).to(settings.device)
    condition = torch.rand(len(real), 1, device=settings.device)
    fit(make_fabric("cpu" if on_cpu else "cuda"), one, codec().encode(real), condition, SEED)

    def sample(num: int) -> Callable[[], object]:
        prompts = condition[torch.arange(num, device=condition.device) % len(condition)]
        return lambda: one.sample(num, prompts, SEED)

    calls = {num: sample(num) for num in sizes_of(SYNTHETIC_ROWS, settings)}
    return Case("synthetic rows of a refit", "rows drawn", "ms/refit", calls)


def sizes_of(sizes: Sequence[int], settings: Settings) -> Sequence[int]:
    return sizes[:2] if settings.quick else sizes


def records(settings: Settings, ten_million: bool = False) -> list[Record]:
    lines = []
    for case in of_agent(settings):
        lines += measured(case, settings)
    for case in of_replay(settings, ten_million):
        lines += measured(case, settings)
    return lines + measured(of_generator(settings), settings)


def figure(lines: Sequence[Record]) -> Figure:
    """A panel for each case: time over size, both logarithmic, beside a dashed line that grows in proportion."""
    names = list(dict.fromkeys(line["case"] for line in lines))
    num_columns = min(3, len(names))
    num_rows = -(-len(names) // num_columns)
    drawn = Figure(figsize=(PANEL[0] * num_columns, PANEL[1] * num_rows), layout="constrained")
    for place, name in enumerate(names):
        points = [line for line in lines if line["case"] == name and line["contender"] != GROWTH]
        (growth,) = (line["value"] for line in lines if line["case"] == name and line["contender"] == GROWTH)
        sizes, times = [line["size"] for line in points], [line["value"] for line in points]
        axes = drawn.add_subplot(num_rows, num_columns, place + 1)
        axes.loglog(sizes, times, marker="o", markersize=3.5, label=f"exponent {growth:.2f}")
        proportional = [times[0] * size / sizes[0] for size in sizes]
        axes.loglog(sizes, proportional, color=INK, linestyle="--", linewidth=1.1, label="exponent 1")
        axes.set_title(name, fontsize="medium", loc="left")
        axes.set(xlabel=points[0]["axis"], ylabel=points[0]["unit"])
        axes.set_xticks(sizes, [short(size) for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter=FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.legend(frameon=False, fontsize="small")
    return drawn


def short(size: int) -> str:
    """As the axis tells it: 20, 3k, 10M."""
    for step, letter in ((10**6, "M"), (10**3, "k")):
        if size >= step:
            return f"{size / step:g}{letter}"
    return str(size)


def draw(lines: Sequence[Record], file: Path) -> None:
    """Write the figure as a PNG."""
    with theme():
        figure(lines).savefig(file, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--ten-million", action="store_true")
    parser.add_argument("--figure", type=Path)
    own, rest = parser.parse_known_args()
    sys.argv[1:] = rest

    def measure_and_draw(settings: Settings) -> list[Record]:
        lines = records(settings, own.ten_million)
        if own.figure:
            draw(lines, own.figure)
        return lines

    command(__doc__, measure_and_draw)
