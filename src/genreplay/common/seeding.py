"""Independent random streams from one seed, named rather than numbered."""

import zlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """A 31-bit seed for the stream `names`: the same on every machine, independent of every other stream's.

    `derive_seed(0, "episodes", worker, index)` reads as the path it is. (numpy.random.SeedSequence.)
    """
    words = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0] >> 1)
