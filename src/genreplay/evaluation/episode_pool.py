"""Plays episodes of many controllers, demands and seeds on all cores: whoever is free takes the next one.

Each worker has a simulator of its own. An episode depends on its controller, its demand and its seed alone, so the
figures are the same however many workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from math import inf
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

from tensordict.nn import TensorDictModule

from genreplay.envs.batched import BatchedEnv
from genreplay.envs.episodes import Episode, greedy, play_all
from genreplay.envs.facets import NO_SETTINGS, BaselineRun
from genreplay.envs.world import World

Part = dict[str, float | str]
"""One row of `BatchedEnv.parts`."""
POLICY = "policy"
"""The controller that was learned; all others are names in `EvaluationSet.baselines`."""


class EpisodeSpec(NamedTuple):
    """One episode to play."""

    controller: str
    demand: str
    seed: int
    settings: Mapping[str, Any] = NO_SETTINGS
    """Of a baseline that has some."""
    limit: float = inf
    """See `BaselineRun`."""
    brief: bool = False
    """See `BaselineRun`."""


class PlayedEpisode(NamedTuple):
    """What an episode gave."""

    figures: Episode
    parts: list[Part]
    """A row for each part (see `BatchedEnv.parts`)."""
    greens: list[list[int]]
    """Lengths by stage (see `BatchedEnv.greens`)."""


class Finished(Protocol):
    """Episodes that were played before, and need not be played again."""

    def get(self, spec: EpisodeSpec) -> PlayedEpisode | None:
        """What a finished episode gave; None where it is still to be played."""

    def add(self, spec: EpisodeSpec, episode: PlayedEpisode) -> None:
        """Take a finished episode; from any thread."""


class EpisodePool:
    """W simulators, each with a thread that drives it.

    Args:
        world: to play in.
        policy: what the controller `POLICY` is; None where there is none.
        num_workers: W.
        finished: episodes that were played before; each new one joins them. None where there are none.
    """

    def __init__(
        self, world: World, policy: TensorDictModule | None, num_workers: int, finished: Finished | None = None
    ):
        self._policy, self._finished = policy, finished
        self._envs = [world.make_env(1, _unused_seeds, evaluation=True) for _ in range(num_workers)]
        self._idle: SimpleQueue[BatchedEnv] = SimpleQueue()
        for env in self._envs:
            self._idle.put(env)
        self._threads = ThreadPoolExecutor(num_workers)

    def __enter__(self) -> EpisodePool:
        return self

    def abandon(self) -> None:
        """Drop what is not begun and end the simulators; `play` fails from here on, in every thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for env in self._envs:
            if not env.is_closed:
                env.close()

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        if kind is not None:
            self.abandon()  # what is under way may take long
        self._threads.shutdown(cancel_futures=True)
        for env in self._envs:
            if not env.is_closed:
                env.close()

    def play(self, specs: Sequence[EpisodeSpec], on_episode: Callable[[], None] = lambda: None) -> list[PlayedEpisode]:
        """Figures and parts of every spec, in their order. May be called from several threads at once.

        Raises:
            UserError: the simulator cannot run an episode.
        """
        futures = [self._threads.submit(self._play_one, spec) for spec in specs]
        try:
            for future in as_completed(futures):
                future.result()
                on_episode()
        except BaseException:
            _cancel(futures)
            raise
        return [future.result() for future in futures]

    def _play_one(self, spec: EpisodeSpec) -> PlayedEpisode:
        known = None if self._finished is None else self._finished.get(spec)
        if known is not None:
            return known
        episode = self._simulate(spec)
        if self._finished is not None:
            self._finished.add(spec, episode)
        return episode

    def _simulate(self, spec: EpisodeSpec) -> PlayedEpisode:
        env = self._idle.get()
        try:
            env.demand = spec.demand
            if spec.controller == POLICY:
                assert self._policy is not None
                episode = play_all(env, greedy(self._policy), [spec.seed])[0]
                figures = {name: value for name, value in episode.items() if name != "seed"}
            else:
                run = BaselineRun(spec.controller, spec.settings, spec.limit, spec.brief)
                figures = env.play_baseline(run, {0: spec.seed})[0]
            if spec.brief:
                return PlayedEpisode(figures, [], [])
            return PlayedEpisode(figures, env.parts(0), env.greens(0))
        finally:
            self._idle.put(env)


def _cancel(futures: Sequence[Future]) -> None:
    for future in futures:
        future.cancel()


def _unused_seeds(worker: int, index: int) -> int:
    raise RuntimeError("a pool names its seeds itself")
