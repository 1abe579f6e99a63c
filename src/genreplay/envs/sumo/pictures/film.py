"""Recording of an episode for a film: it is played with the camera on."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.envs.sumo.env import SumoEnv
from genreplay.envs.world import FilmRequest

POLICY_TITLE = "learned policy"


class FilmedEpisode(NamedTuple):
    """One controller's recorded episode."""

    title: str
    frames: list[dict[str, Any]]
    """See `camera.Camera`."""


def record(env: SumoEnv, policy: TensorDictModule, request: FilmRequest, end: int) -> list[FilmedEpisode]:
    """Record the policy's episode up to second `end`, and the baseline's where one is requested.

    Args:
        env: one worker for the policy, a second one for the baseline.
        policy: maps `observation` to `action`.
        request: the seed, demand, first second and baseline.
        end: last second to record.
    """
    env.demand, env.film = request.demand, (request.begin, end)
    episodes = [FilmedEpisode(POLICY_TITLE, play(env, policy, request.seed, end))]
    if request.baseline is not None:
        env.baseline(request.baseline, {}, {1: request.seed})
        episodes.append(FilmedEpisode(request.baseline.replace("_", " "), env.frames(1)))
    return episodes


def play(env: SumoEnv, policy: TensorDictModule, seed: int, end: int) -> list[dict[str, Any]]:
    """Frames of the policy's episode up to second `end`, in worker 0."""
    observation, seconds = env.start({0: seed})[0], 0.0
    while seconds < end:
        with torch.no_grad():
            inputs = TensorDict({"observation": torch.from_numpy(observation)[None]}, batch_size=[1])
            action = policy(inputs)["action"][0].numpy()
        step = env.advance({0: action})[0]
        if step.failed:
            raise UserError("render: the simulator failed; see the warning above for its message")
        observation, seconds = step.observation, seconds + step.duration
        if step.truncated:
            break
    return env.frames(0)
