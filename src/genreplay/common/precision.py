"""Which units of the hardware multiply float32 matrices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Torch's setting is global: within the block it is `precision`, other parts of the process keep theirs."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def multiplies_bfloat16(x: Tensor) -> bool:
    """Whether to take products of fp32 `x` in bfloat16 by casting: `medium` asks for it, and this CPU has units for it.

    Torch's own setting reaches them on few CPUs, and on a GPU it needs no help.
    """
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.get_float32_matmul_precision() == "medium"
        and _CPU_HAS_BFLOAT16
    )


def _cpu_has_bfloat16() -> bool:
    """The question is private to PyTorch; a PyTorch without it counts as a CPU without the units."""
    has = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return has is not None and bool(has()) and torch.backends.mkldnn.is_available()


_CPU_HAS_BFLOAT16 = _cpu_has_bfloat16()
