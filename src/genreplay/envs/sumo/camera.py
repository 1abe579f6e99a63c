"""The camera of the intersection: check of a film request, recording and rendering."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.envs.facets import Camera, EvaluationSet, FilmRequest
from genreplay.envs.sumo.baselines.table import CONSTANT_PLAN
from genreplay.envs.sumo.env import SumoEnv
from genreplay.envs.sumo.network.intersection import Intersection


class IntersectionCamera(Camera):
    """Films the intersection, with a baseline next to the policy if the request names one.

    Args:
        make_env: evaluation simulators, by number of workers and the seed of their episodes.
        evaluation: its demands and baselines.
        episode_seconds: length of an episode, s.
        net_file: the map.
        intersection: its light and approaches.
    """

    # Four minutes from the tenth on: there is traffic by then.
    default_request = FilmRequest(None, 101, 600, 240, 2, None)

    def __init__(
        self,
        make_env: Callable[[int, int], SumoEnv],
        evaluation: EvaluationSet,
        episode_seconds: int,
        net_file: Path,
        intersection: Intersection,
    ):
        self._make_env, self._evaluation, self._episode_seconds = make_env, evaluation, episode_seconds
        self._net_file, self._intersection = net_file, intersection

    def film(self, policy: TensorDictModule, request: FilmRequest) -> Iterator[np.ndarray]:
        """Pictures of the intersection; times are seconds."""
        if request.demand is not None:
            self._evaluation.demands([request.demand])
        choices = [name for name in self._evaluation.baselines if name != CONSTANT_PLAN]
        if request.baseline is not None and request.baseline not in choices:
            raise UserError(f"--baseline {request.baseline}: cannot be filmed; choose one of {', '.join(choices)}")
        end = min(request.begin + request.seconds, self._episode_seconds)
        if request.begin >= end:
            raise UserError(f"--begin {request.begin}: the episode has {self._episode_seconds} s; begin before its end")
        return self._film(policy, request, end)

    def _film(self, policy: TensorDictModule, request: FilmRequest, end: int) -> Iterator[np.ndarray]:
        # Here, so that only a film waits for Matplotlib.
        from genreplay.envs.sumo.pictures.film import record
        from genreplay.envs.sumo.pictures.renderer import IntersectionRenderer

        env = self._make_env(1 if request.baseline is None else 2, request.seed)
        try:
            episodes = record(env, policy, request, end)
        finally:
            env.close()
        renderer = IntersectionRenderer(self._net_file, self._intersection, episodes)
        for index in range(0, len(episodes[0].frames), request.stride):
            yield renderer.render(index)
