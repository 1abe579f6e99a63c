"""Replay: rows/s written and blocks/s drawn, beside TorchRL's own buffer, over the number of rows held.

    python benchmarks/replay_speed.py [--seconds N] [--device cuda] [--ten-million] [--json FILE]

A block is K = 20 batches of B = 256 rows, of observation 21 and action 4. TorchRL's buffer draws as many rows in one
`sample`. `half synthetic` draws half of each batch from a second buffer of 10,000 rows. `--ten-million` adds 10^7 rows
in files (about 2.5 GB for each of three buffers, in the system's temporary folder).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable

import torch
from measuring import Record, Settings, command, rates, take_turns
from tensordict import TensorDict
from torchrl.data import LazyMemmapStorage, LazyTensorStorage, TensorDictReplayBuffer

from genreplay.config.schema import ReplayConfig
from genreplay.replay.buffers import MixedReplay

NUM_UPDATES, BATCH_SIZE, NUM_SYNTHETIC, PIECE = 20, 256, 10_000, 100_000
TORCHRL, OURS, MIXED = "TorchRL TensorDictReplayBuffer", "genreplay", "genreplay, half synthetic"


def random_rows(num: int, synthetic: bool = False) -> TensorDict:
    flag = torch.zeros(num, 1, dtype=torch.bool)
    following = {"observation": torch.randn(num, 21), "reward": torch.randn(num, 1), "duration": torch.ones(num, 1)}
    following |= {"terminated": flag, "truncated": flag.clone(), "done": flag.clone()}
    return TensorDict(
        {
            "observation": torch.randn(num, 21),
            "action": torch.randn(num, 4),
            "next": TensorDict(following, batch_size=[num]),
            "is_synthetic": torch.full_like(flag, synthetic),
        },
        batch_size=[num],
    )


def records(settings: Settings, ten_million: bool = False) -> list[Record]:
    sizes = [(10**4, "memory")]
    if not settings.quick:
        sizes += [(10**5, "memory"), (10**6, "memory")]
    if ten_million:
        sizes.append((10**7, "memmap"))
    lines = []
    for num_rows, storage in sizes:
        with tempfile.TemporaryDirectory() as folder:
            lines += of_size(num_rows, storage, folder, settings)
    return lines


def of_size(num_rows: int, storage: str, folder: str, settings: Settings) -> list[Record]:
    total, device = NUM_UPDATES * BATCH_SIZE, settings.device
    kept = LazyTensorStorage(num_rows) if storage == "memory" else LazyMemmapStorage(num_rows, scratch_dir=folder)
    theirs = TensorDictReplayBuffer(storage=kept, batch_size=total)
    ours, half = (MixedReplay(ReplayConfig(num_rows, share, storage=storage), device) for share in (0.0, 0.5))
    for start in range(0, num_rows, PIECE):
        piece = random_rows(min(PIECE, num_rows - start))
        theirs.extend(piece)
        ours.extend_real(piece)
        half.extend_real(piece)
    half.replace_synthetic(random_rows(NUM_SYNTHETIC, synthetic=True))

    drawing: dict[str, Callable[[], object]] = {
        TORCHRL: lambda: theirs.sample().to(device),
        OURS: lambda: ours.sample_blocks(NUM_UPDATES, BATCH_SIZE),
        MIXED: lambda: half.sample_blocks(NUM_UPDATES, BATCH_SIZE),
    }
    held = f"{num_rows:.0e} rows, {storage}"
    lines = rates(f"blocks of 20 x 256 from {held}", take_turns(drawing, settings), 1, "blocks/s")
    for num in (1, 1000):
        piece = random_rows(num)
        writing: dict[str, Callable[[], object]] = {
            TORCHRL: lambda piece=piece: theirs.extend(piece),
            OURS: lambda piece=piece: ours.extend_real(piece),
        }
        lines += rates(f"extend by {num} of {held}", take_turns(writing, settings), num, "rows/s")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--ten-million", action="store_true")
    own, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    command(__doc__, lambda settings: records(settings, own.ten_million))
