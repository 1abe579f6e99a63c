"""Play a policy and baselines on the same episodes, after the searches that baselines need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.common.progress import Bars, log_above
from genreplay.common.seeding import derive_seed
from genreplay.envs.facets import NO_SETTINGS, NamedDemand, SearchEpisode, SearchResult
from genreplay.envs.world import World
from genreplay.evaluation.episode_pool import POLICY, EpisodePool, EpisodeSpec
from genreplay.evaluation.finished import FinishedEpisodes
from genreplay.evaluation.greens import summarise
from genreplay.evaluation.result import EvaluationResult, make_result

NUM_SEARCH_EPISODES = 5
"""Validation episodes of each demand on which a search compares settings."""


@dataclass(frozen=True)
class Plan:
    """What to evaluate."""

    world: World
    policy: TensorDictModule | None
    demands: Sequence[NamedDemand]
    seeds: Sequence[int]
    baselines: Sequence[str]
    num_workers: int
    finished: FinishedEpisodes = field(default_factory=FinishedEpisodes)
    """Episodes that are not played again; by default none, and none is kept."""

    @property
    def controllers(self) -> list[str]:
        """The policy first, where there is one."""
        return [*([] if self.policy is None else [POLICY]), *self.baselines]


def select_baselines(world: World, names: Sequence[str] | None) -> list[str]:
    """The named baselines in the environment's order; all where None. UserError for an unknown one."""
    unknown = [name for name in names or () if name not in world.evaluation.baselines]
    if unknown:
        choices = (
            f"choose among {', '.join(world.evaluation.baselines)}, or none"
            if world.evaluation.baselines
            else "write none"
        )
        raise UserError(f"--baselines {unknown[0]}: there is no such baseline; {choices}")
    return [name for name in world.evaluation.baselines if names is None or name in names]


def evaluate(plan: Plan) -> tuple[EvaluationResult, Searched]:
    """Search the settings that have to be searched, then play every episode.

    Raises:
        UserError: the plan has no episode, or the simulator cannot run one.
    """
    torch.set_num_threads(1)  # the cores belong to the simulators
    num_episodes = len(plan.controllers) * len(plan.demands) * len(plan.seeds)
    if num_episodes == 0:
        raise UserError("evaluate: there is nothing to evaluate; give --run, --checkpoint or --baselines")
    num_workers = min(plan.num_workers, max(num_episodes, NUM_SEARCH_EPISODES))
    with (
        Bars(num_episodes, what="episodes") as bars,
        log_above(bars.console),
        EpisodePool(plan.world, plan.policy, num_workers, plan.finished) as pool,
    ):
        if len(plan.finished):
            bars.line(f"{len(plan.finished)} episodes were played before; remove {plan.finished.path} to play anew")
        searched = _search(plan, pool, bars)
        return _play(plan, pool, bars, searched), searched


@dataclass
class Search:
    """The search for a baseline's settings at one demand, on episodes that the evaluation does not use."""

    plan: Plan
    pool: EpisodePool
    baseline: str
    demand: str
    found: SearchResult | None = None
    """None where there was nothing to search for."""
    num_episodes: int = 0
    simulated_seconds: float = 0.0

    def run(self, known: Sequence[SearchResult], on_episodes: Callable[[int], None]) -> None:
        """Search, starting from the results `known` for other demands; calls `on_episodes` with numbers of episodes."""
        world = self.plan.world
        seeds = [derive_seed(0, "search", i) for i in range(NUM_SEARCH_EPISODES)]

        def play(tries: list[SearchEpisode]) -> list[float]:
            specs = [
                EpisodeSpec(self.baseline, self.demand, seeds[t.episode], t.settings, t.limit, True) for t in tries
            ]
            episodes = [played.figures for played in self.pool.play(specs)]
            self.num_episodes += len(episodes)
            self.simulated_seconds += sum(e.get("simulated_seconds", world.episode_seconds) for e in episodes)
            on_episodes(len(episodes))
            return [episode[world.primary_metric] for episode in episodes]

        self.found = world.evaluation.search(
            self.baseline, play, NUM_SEARCH_EPISODES, [found.settings for found in known]
        )


Searched = dict[tuple[str, str], Search]
"""By baseline and demand."""


def _search(plan: Plan, pool: EpisodePool, bars: Bars) -> Searched:
    """Every search that the baselines need: first for a demand in the middle, then, starting from its result, for all
    others at the same time.
    """
    done = 0
    in_range = [demand for demand in plan.demands if demand.in_range] or list(plan.demands)
    first = in_range[len(in_range) // 2].name
    demands = sorted((demand.name for demand in plan.demands), key=lambda name: name != first)
    searches = {(b, demand): Search(plan, pool, b, demand) for b in plan.baselines for demand in demands}

    def on_episodes(number: int) -> None:
        nonlocal done
        done += number
        update(done, None, f"{done} episodes")

    with bars.passing("search") as update, ThreadPoolExecutor(max(1, len(searches))) as searchers:
        try:
            for stage in (demands[:1], demands[1:]):
                known = {b: [s.found for s in searches.values() if s.baseline == b and s.found] for b in plan.baselines}
                due = [(search, known[search.baseline]) for search in searches.values() if search.demand in stage]
                list(searchers.map(lambda job: job[0].run(job[1], on_episodes), due))
        except BaseException:
            pool.abandon()  # or the other searches would go on to their ends
            raise
    return {(b, d.name): search for b in plan.baselines for d in plan.demands if (search := searches[b, d.name]).found}


def _play(plan: Plan, pool: EpisodePool, bars: Bars, searched: Searched) -> EvaluationResult:
    settings = {key: search.found.settings for key, search in searched.items() if search.found}
    specs = [
        EpisodeSpec(controller, demand.name, seed, settings.get((controller, demand.name), NO_SETTINGS))
        for controller in plan.controllers
        for demand in plan.demands
        for seed in plan.seeds
    ]
    num_known = sum(plan.finished.get(spec) is not None for spec in specs)
    done = 0

    def on_episode() -> None:
        nonlocal done
        done += 1
        bars.go_on(max(done, num_known))

    bars.advance(num_known)
    if not bars.console.is_terminal:
        bars.line(f"episodes {bars.position(num_known)}")
    played = pool.play(specs, on_episode)
    parts, greens = [episode.parts for episode in played], [episode.greens for episode in played]
    figures = [episode.figures for episode in played]
    return make_result(plan.world, specs, figures, plan.demands, parts, summarise(specs, greens))


def search_costs(searched: Searched) -> dict[str, dict[str, Any]]:
    """What each search took and gave, by baseline."""
    costs: dict[str, dict[str, Any]] = {}
    for baseline in dict.fromkeys(name for name, _ in searched):
        searches = [search for (name, _), search in searched.items() if name == baseline]
        costs[baseline] = {
            "num_tried": sum(search.found.num_tried for search in searches if search.found),
            "num_episodes": sum(search.num_episodes for search in searches),
            "simulated_seconds": sum(search.simulated_seconds for search in searches),
            "settings": {search.demand: search.found.settings for search in searches if search.found},
        }
    return costs
