"""Films an episode: plays it with the camera on, and draws what was seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.envs.world import FilmRequest

if TYPE_CHECKING:
    from genreplay.envs.sumo.world import SumoEnv, SumoWorld

POLICY_TITLE = "learned policy"


class Take(NamedTuple):
    """What one controller's episode looked like."""

    title: str
    frames: list[dict[str, Any]]
    """See `camera.Camera`."""


def film(world: SumoWorld, policy: TensorDictModule, shot: FilmRequest) -> Iterator[np.ndarray]:
    """Pictures `[height, width, 3]` (uint8) of the policy's episode, beside the baseline's where asked for."""
    from genreplay.envs.sumo.pictures.scene import Scene

    window = (shot.begin, min(shot.begin + shot.seconds, world.episode_seconds))
    if window[0] >= window[1]:
        raise UserError(f"--begin {shot.begin}: the episode has {world.episode_seconds} s; begin before its end")
    env = world.make_env(1 if shot.baseline is None else 2, lambda worker, index: shot.seed, evaluation=True)
    try:
        env.demand, env.film = shot.demand, window
        takes = [Take(POLICY_TITLE, play(env, policy, shot.seed, window[1]))]
        if shot.baseline is not None:
            env.baseline(shot.baseline, {}, {1: shot.seed})
            takes.append(Take(shot.baseline.replace("_", " "), env.frames(1)))
    finally:
        env.close()
    scene = Scene(world.net_file, world.intersection, takes)
    for index in range(0, len(takes[0].frames), shot.stride):
        yield scene.draw(index)


def play(env: SumoEnv, policy: TensorDictModule, seed: int, end: int) -> list[dict[str, Any]]:
    """Frames of the policy's episode up to second `end`, in worker 0."""
    observation, seconds = env.start({0: seed})[0], 0.0
    while seconds < end:
        with torch.no_grad():
            inputs = TensorDict({"observation": torch.from_numpy(observation)[None]}, batch_size=[1])
            action = policy(inputs)["action"][0].numpy()
        step = env.advance({0: action})[0]
        if step.failed:
            raise UserError("render: the simulator broke down; see the warning above for its message")
        observation, seconds = step.observation, seconds + step.duration
        if step.truncated:
            break
    return env.frames(0)
