"""The camera of a kitchen: films an episode, and draws single joint transitions. Shapes: N transitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.envs.episodes import greedy, play
from genreplay.envs.facets import Camera, EvaluationSet, FilmRequest
from genreplay.envs.overcooked.env import OvercookedEnv
from genreplay.envs.overcooked.kitchen.rules import FIRST_DELIVERY, Kitchen

POLICY = "learned policy"


class KitchenCamera(Camera):
    """Films both cooks; the request's demand names a partner and the policy's seat, its times are steps.

    Args:
        make_env: one evaluation kitchen, by the seed of its episodes.
        evaluation: checks the request's demand.
        kitchen: to draw.
        horizon: steps of an episode.
    """

    def __init__(
        self, make_env: Callable[[int], OvercookedEnv], evaluation: EvaluationSet, kitchen: Kitchen, horizon: int
    ):
        self._make_env, self._evaluation, self._kitchen, self._horizon = make_env, evaluation, kitchen, horizon
        self.default_request = FilmRequest(None, 101, 0, horizon, 1, None)

    def film(self, policy: TensorDictModule, request: FilmRequest) -> Iterator[np.ndarray]:
        """Pictures of the policy's episode, each after a step."""
        if request.begin >= self._horizon:
            raise UserError(f"--begin {request.begin}: the episode has {self._horizon} steps; begin before its end")
        if request.baseline is not None:
            raise UserError("--baseline: Overcooked shows one kitchen; leave it out, and name a partner with --demand")
        if request.demand is not None:
            self._evaluation.demands([request.demand])
        return self._film(policy, request)

    def _film(self, policy: TensorDictModule, request: FilmRequest) -> Iterator[np.ndarray]:
        # Here, so that only a film loads the sprites.
        from genreplay.envs.overcooked.pictures.film import FrameRenderer, FrameState

        env = self._make_env(request.seed)
        env.demand = request.demand
        renderer = FrameRenderer(self._kitchen, self._horizon)
        partner = (request.demand or "partner").rpartition("/")[0] or "partner"
        frame: FrameState | None = None
        end = min(request.begin + request.seconds, self._horizon)
        for _, _, step in play(env, greedy(policy), [request.seed]):
            if frame is None:
                frame = FrameState([POLICY if learns else partner for learns in env.learners[0].tolist()])
            frame.time, frame.gain = frame.time + 1, step.reward
            frame.score += frame.gain
            frame.actions, frame.events = env.acted[0], env.events[0]
            if (frame.events >= FIRST_DELIVERY).any():
                frame.deliveries.append(frame.time)
            if frame.time > request.begin and (frame.time - request.begin - 1) % request.stride == 0:
                yield renderer.draw(env.codes[0], frame)
            if frame.time == end:
                return

    def picture_transitions(self, transitions: TensorDictBase) -> Iterator[np.ndarray]:
        """Pictures of joint transitions `[N]`, with a red frame around what cannot happen."""
        from genreplay.envs.overcooked.pictures.film import picture_transitions

        return picture_transitions(self._kitchen, transitions)
