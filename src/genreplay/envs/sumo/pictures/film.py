"""Recording of episodes for a film."""

from __future__ import annotations

from typing import Any, NamedTuple

from tensordict.nn import TensorDictModule

from genreplay.envs.episodes import greedy, play
from genreplay.envs.facets import BaselineRun, FilmRequest
from genreplay.envs.sumo.env import SumoEnv

POLICY_TITLE = "learned policy"


class FilmedEpisode(NamedTuple):
    """One controller's recorded episode."""

    title: str
    frames: list[dict[str, Any]]
    """See `Recorder`."""


def record(env: SumoEnv, policy: TensorDictModule, request: FilmRequest, end: int) -> list[FilmedEpisode]:
    """Record the policy's episode up to second `end`, and the baseline's if one is requested.

    Args:
        env: one worker for the policy, a second one for the baseline.
        policy: maps `observation` to `action`.
        request: the seed, demand, first second and baseline.
        end: last second to record.
    """
    env.demand, env.film = request.demand, (request.begin, end)
    episodes = [FilmedEpisode(POLICY_TITLE, record_policy(env, policy, request.seed, end))]
    if request.baseline is not None:
        env.play_baseline(BaselineRun(request.baseline), {1: request.seed})
        episodes.append(FilmedEpisode(request.baseline.replace("_", " "), env.frames(1)))
    return episodes


def record_policy(env: SumoEnv, policy: TensorDictModule, seed: int, end: int) -> list[dict[str, Any]]:
    """Frames of the policy's episode up to second `end`, in worker 0."""
    seconds = 0.0
    for _, _, step in play(env, greedy(policy), [seed]):
        seconds = 0.0 if step.failed else seconds + step.duration
        if seconds >= end:
            break
    return env.frames(0)
