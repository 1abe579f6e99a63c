"""A peer from PyPI: Stable-Baselines3's SAC with as many critics, `pip install "genreplay[peers]"`.

It is not the same algorithm: the target is the minimum of all critics, and actor and temperature are stepped with each
critic update. Its `train` is called as its `learn` does; drawing the batches from its own buffer is part of that.
"""

from __future__ import annotations

from collections.abc import Callable

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from tensordict import TensorDict

NOT_INSTALLED = 'not installed: pip install "genreplay[peers]"'


class Spaces(gymnasium.Env):
    """Widths without a world: SAC reads its spaces and is never stepped."""

    def __init__(self, observation_width: int, action_width: int):
        self.observation_space = Box(-np.inf, np.inf, (observation_width,), np.float32)
        self.action_space = Box(-1.0, 1.0, (action_width,), np.float32)


def stable_baselines(block: TensorDict, ensemble_size: int, hidden_width: int) -> Callable[[], object] | None:
    """One call: as many gradient steps as the block `[K, B]` has batches, on its rows. None where not installed."""
    try:
        from stable_baselines3 import SAC
        from stable_baselines3.common.logger import Logger
    except ImportError:
        return None
    num_updates, batch_size = block.shape
    model = SAC(
        "MlpPolicy",
        Spaces(block["observation"].shape[-1], block["action"].shape[-1]),
        buffer_size=block.numel(),
        batch_size=batch_size,
        policy_kwargs={"net_arch": [hidden_width, hidden_width], "n_critics": ensemble_size},
        device=block.device,
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    for row in block.reshape(-1).cpu():
        following = row["next"]
        arrays = (row["observation"], following["observation"], row["action"], following["reward"])
        done = following["terminated"].numpy()
        model.replay_buffer.add(*(array.numpy()[None] for array in arrays), done, [{}])
    return lambda: model.train(gradient_steps=num_updates, batch_size=batch_size)
