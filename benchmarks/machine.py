"""The machine: what it is, how fast it multiplies fp32 matrices and copies memory. The floor under everything else.

python benchmarks/machine.py [--device cuda] [--threads N]
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

import torch
from measuring import Record, Settings, command, product_call, rates, record, take_turns


def processor() -> str:
    """The CPU's name, as Linux tells it; what Python knows elsewhere."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def records(settings: Settings) -> list[Record]:
    on_gpu = torch.device(settings.device).type == "cuda"
    device = torch.cuda.get_device_name() if on_gpu else f"{torch.get_num_threads()} thread(s)"
    lines = [
        record("machine", processor(), os.cpu_count(), "cores", note=torch.backends.cpu.get_cpu_capability()),
        record(
            "software", f"torch {torch.__version__}", None, "", note=f"Python {platform.python_version()}, {device}"
        ),
    ]
    for width in (64,) if settings.quick else (256, 1024, 2048):
        calls: dict[str, Callable[[], object]] = {
            "fp32": product_call(width, settings.device, "highest"),
            "matmul_precision=medium": product_call(width, settings.device, "medium"),
        }
        taken = take_turns(calls, settings)
        lines += rates(f"product of {width} x {width}", taken, 2.0 * width**3 / 1e9, "GFLOP/s")
    # Far more than the caches hold. Every byte is read once and written once.
    size = 2**16 if settings.quick else 2**28
    source = torch.ones(size, dtype=torch.uint8, device=settings.device)
    target = torch.empty_like(source)
    copied = take_turns({"copy": lambda: target.copy_(source)}, settings)
    return lines + rates("memory bandwidth", copied, 2 * size / 1e9, "GB/s")


if __name__ == "__main__":
    command(__doc__, records)
