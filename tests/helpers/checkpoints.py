"""A small checkpoint."""

from pathlib import Path

import torch
from tensordict import TensorDict

from genreplay.runs import checkpoint


def some_buffers(num_rows: int = 5) -> TensorDict:
    rows = TensorDict(
        {"observation": torch.randn(num_rows, 3), "next": {"done": torch.rand(num_rows, 1) > 0.5}}, [num_rows]
    )
    return TensorDict({"real": rows, "cursor": torch.tensor(3)}, [])


def save_small(folder: Path, **changes: object) -> Path:
    content = {
        "modules": {"agent": torch.nn.Linear(3, 2).state_dict()},
        "optimizers": {},
        "buffers": some_buffers(),
        "counters": {"env_step": 7},
        "config_yaml": "seed: 0\n",
    }
    return checkpoint.save(folder, **{**content, **changes})
