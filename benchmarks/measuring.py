"""How every benchmark measures: contenders take turns, and what counts is the median of the ratios within a turn.

A benchmark of `run.py` is a file with `records(settings) -> list[dict]`, each record a line of the table:

    case        what was asked of every contender
    contender   who did it
    value       median over the rounds, in `unit`; None where it did not run
    unit        of the value
    ratio       times as fast as the case's yardstick, the median of the ratios within a round; None where undefined
    floor       share of the speed at which the machine does the same matrix products alone; None where not counted
    rounds      how many turns each contender had
    note        what a reader must know
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

MIN_ROUNDS = 3
Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What every benchmark is told."""

    device: str = "cpu"
    """Where networks and sampled rows live."""
    seconds: float = 20.0
    """For one case, shared by its contenders; each has at least `MIN_ROUNDS` turns whatever this says."""
    threads: int = 1
    """Of torch, on the CPU."""
    quick: bool = False
    """One round of the smallest sizes that still run every line: a test, not a measurement."""


def synchronize(device: str) -> None:
    """Wait until the device has done what it was told, so that the clock tells the truth."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def take_turns(contenders: Mapping[str, Callable[[], object]], settings: Settings) -> dict[str, list[float]]:
    """Seconds of every call, by contender, in the order of the rounds; a first round is not counted."""
    for call in contenders.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    rounds, end, device = 0, time.perf_counter() + settings.seconds, settings.device
    while rounds == 0 or (not settings.quick and (rounds < MIN_ROUNDS or time.perf_counter() < end)):
        for name, call in contenders.items():
            synchronize(device)
            started = time.perf_counter()
            call()
            synchronize(device)
            taken[name].append(time.perf_counter() - started)
        rounds += 1
    return taken


def record(
    case: str,
    contender: str,
    value: float | None,
    unit: str,
    *,
    ratio: float | None = None,
    floor: float | None = None,
    rounds: int = 1,
    note: str = "",
) -> Record:
    """One line of the table; see the top of this file."""
    line = {"case": case, "contender": contender, "value": value, "unit": unit, "ratio": ratio}
    return line | {"floor": floor, "rounds": rounds, "note": note}


def rates(case: str, taken: Mapping[str, list[float]], work: float | Mapping[str, float], unit: str) -> list[Record]:
    """Records of contenders that took turns. The first one is the yardstick.

    Args:
        case: what they all did.
        taken: what `take_turns` gave.
        work: how much one call did, in `unit` times seconds; of each contender, where they differ.
        unit: of the rates.
    """
    amount = work if isinstance(work, Mapping) else dict.fromkeys(taken, work)
    yardstick = next(iter(taken))
    return [
        record(
            case,
            name,
            amount[name] / statistics.median(times),
            unit,
            ratio=statistics.median(
                (amount[name] / b) / (amount[yardstick] / a) for a, b in zip(taken[yardstick], times, strict=True)
            ),
            rounds=len(times),
        )
        for name, times in taken.items()
    ]


def product_call(width: int, device: str, precision: str) -> Callable[[], object]:
    """A product of two square fp32 matrices at torch's `precision`: `2 * width ** 3` operations.

    Of bfloat16 matrices where the package would cast them to it.
    """
    from genreplay.common.precision import matmul_precision, multiplies_bfloat16

    left, right = torch.randn(width, width, device=device), torch.randn(width, width, device=device)
    with matmul_precision(precision):
        if multiplies_bfloat16(left):
            left, right = left.bfloat16(), right.bfloat16()
    out = torch.empty_like(left)

    def call() -> None:
        with matmul_precision(precision):
            torch.mm(left, right, out=out)

    return call


def text_table(records: list[Record]) -> list[str]:
    """Lines for the screen."""
    lines = []
    for line in records:
        value = "" if line["value"] is None else f"{line['value']:.4g} {line['unit']}"
        ratio = "" if line["ratio"] is None else f"x {line['ratio']:.2f}"
        floor = "" if line["floor"] is None else f"{line['floor']:.0%} of floor"
        lines.append(f"{line['case']:<34} {line['contender']:<34} {value:>26} {ratio:>9} {floor:>14}  {line['note']}")
    return lines


def peak_memory_mib() -> float:
    """Most memory that this process held at once, and with it the largest of its children, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(one).ru_maxrss for one in who) / unit


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `run.py` and every single benchmark are told alike."""
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seconds", type=float, default=20.0, help="for one case, shared by its contenders")
    parser.add_argument("--threads", type=int, default=1, help="torch's CPU threads; runs have one")
    parser.add_argument(
        "--quick", action="store_true", help="one round of the smallest sizes: does it run, not how fast"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")


def command(description: str | None, records: Callable[[Settings], list[Record]]) -> None:
    """One benchmark from the command line: prints its table, writes its JSON."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    options = parser.parse_args()
    if torch.device(options.device).type == "cuda" and not torch.cuda.is_available():
        parser.error(f"--device {options.device}: this machine has no such device; write cpu")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    settings = Settings(options.device, options.seconds, options.threads, options.quick)
    lines = records(settings)
    print("\n".join(text_table(lines)))
    if options.json:
        figures: dict[str, Any] = {"records": lines, "peak_memory_mib": peak_memory_mib()}
        if torch.device(options.device).type == "cuda":
            figures["peak_device_memory_mib"] = torch.cuda.max_memory_allocated() / 2**20
        options.json.write_text(json.dumps(figures, indent=2))
