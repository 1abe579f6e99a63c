"""Exactness against speed: precision of matrix products, compilation, mixed precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Speed:
    """How one part of a run computes. The config's `speed` picks one for each part, see `AGENT_SPEEDS`."""

    matmul_precision: str = "highest"
    """Of fp32 matrix products: `highest` is fp32; `high` may use TF32 and `medium` bfloat16 units where the hardware
    has them."""
    compile: bool = False
    """Compile the innermost update, where the device can; needs a C++ compiler such as g++."""
    eager_fallback: bool = False
    """Compile on a CPU alone, and run the update eagerly where it cannot be compiled; otherwise that is an error."""
    mixed_precision: bool = False
    """Let Fabric cast to bfloat16 (`bf16-mixed`), on a GPU."""


EXACT = Speed()
"""fp32, and nothing compiled."""
AGENT_SPEEDS = {
    "exact": EXACT,
    "default": Speed(compile=True, eager_fallback=True),
    "fast": Speed("medium", compile=True),
}
"""Of the agent, for each value of `speed`: its gradients keep fp32 by default, as `medium` changes them by some
percent. `build` leaves compilation out of runs too short for it."""
GENERATOR_SPEEDS = {
    "exact": EXACT,
    "default": Speed("medium", compile=True, eager_fallback=True),
    "fast": Speed("medium", compile=True, mixed_precision=True),
}
"""Of the generator, likewise."""


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Set torch's global matmul precision to `precision` within the block, and restore it afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def multiplies_bfloat16(x: Tensor) -> bool:
    """Whether to cast fp32 `x` to bfloat16 for products: the setting is `medium`, and this CPU has units for bfloat16.

    Torch's own setting reaches those units on few CPUs only; on a GPU it needs no cast.
    """
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.get_float32_matmul_precision() == "medium"
        and _CPU_HAS_BFLOAT16
    )


def _cpu_has_bfloat16() -> bool:
    """The query is private to PyTorch; where a version lacks it, the CPU counts as one without the units."""
    has = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return has is not None and bool(has()) and torch.backends.mkldnn.is_available()


_CPU_HAS_BFLOAT16 = _cpu_has_bfloat16()
