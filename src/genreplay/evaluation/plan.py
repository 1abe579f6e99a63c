"""`genreplay evaluate`: a policy and the baselines on the very same episodes, and what is kept of that."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.common.progress import Bars, log_above
from genreplay.common.seeding import derive_seed
from genreplay.envs.facets import NO_SETTINGS, NamedDemand, SearchEpisode, SearchResult
from genreplay.envs.world import World
from genreplay.evaluation.episode_pool import POLICY, EpisodePool, EpisodeSpec
from genreplay.evaluation.result import EvaluationResult, with_unit
from genreplay.reporting import figures
from genreplay.runs import store

NUM_SEARCH_EPISODES = 5
"""Validation episodes of each demand on which a search judges its settings."""
FOLDER = "evaluation"
"""Where results lie among a run's artifacts."""
SCREEN_WIDTH = 160
"""Columns of the tables where the output is no terminal."""

log = logging.getLogger("genreplay")


@dataclass(frozen=True)
class Plan:
    """What to evaluate."""

    world: World
    policy: TensorDictModule | None
    demands: Sequence[NamedDemand]
    seeds: Sequence[int]
    baselines: Sequence[str]
    num_workers: int

    @property
    def controllers(self) -> list[str]:
        """The policy first, where there is one."""
        return [*([] if self.policy is None else [POLICY]), *self.baselines]


@dataclass(frozen=True)
class Target:
    """Where results go, beside the screen."""

    output: Path | None
    run_id: str | None
    """Of the run whose artifacts they become."""
    store_uri: str


def select_baselines(world: World, names: Sequence[str] | None) -> list[str]:
    """The named baselines in the world's order; all where None. UserError for an unknown one."""
    unknown = [name for name in names or () if name not in world.evaluation.baselines]
    if unknown:
        choices = (
            f"choose among {', '.join(world.evaluation.baselines)}, or none"
            if world.evaluation.baselines
            else "write none"
        )
        raise UserError(f"--baselines {unknown[0]}: there is no such baseline; {choices}")
    return [name for name in world.evaluation.baselines if names is None or name in names]


def evaluate(plan: Plan, target: Target, about: Mapping[str, Any]) -> EvaluationResult:
    """Search what has to be searched, play every episode, show the tables and keep the results.

    Args:
        plan: what to play.
        target: where results go.
        about: what else to write down of this evaluation.
    """
    if target.output is not None:
        _make(target.output)  # before the work, not after it
    torch.set_num_threads(1)  # the cores belong to the simulators
    num_episodes = len(plan.controllers) * len(plan.demands) * len(plan.seeds)
    if num_episodes == 0:
        raise UserError("evaluate: there is nothing to evaluate; give --run, --checkpoint or --baselines")
    num_workers = min(plan.num_workers, max(num_episodes, NUM_SEARCH_EPISODES))
    with (
        Bars(num_episodes, what="episodes") as bars,
        log_above(bars.console),
        EpisodePool(plan.world, plan.policy, num_workers) as pool,
    ):
        searched = _search(plan, pool, bars)
        result = _play(plan, pool, bars, searched)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=SCREEN_WIDTH)
    _show(result, searched, console)
    with tempfile.TemporaryDirectory(prefix="genreplay-evaluation-") as folder:
        _write(Path(folder), result, {**about, "seeds": list(plan.seeds), "searches": _search_costs(searched)})
        _keep(Path(folder), target)
    return result


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
        """Search, with what is known from other demands; `on_episodes` is told how many more were played."""
        world = self.plan.world
        seeds = [derive_seed(0, "search", i) for i in range(NUM_SEARCH_EPISODES)]

        def play(tries: list[SearchEpisode]) -> list[float]:
            specs = [EpisodeSpec(self.baseline, self.demand, seeds[t.episode], t.settings, t.limit) for t in tries]
            episodes = self.pool.play(specs)
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
    """Every search that the baselines need: first for a demand in the middle, then, beginning with what that one found,
    for all others at the same time.
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
    done = 0

    def on_episode() -> None:
        nonlocal done
        done += 1
        bars.advance(done)

    episodes = pool.play(specs, on_episode)
    world = plan.world
    return EvaluationResult(
        specs, episodes, plan.demands, plan.controllers, world.primary_metric, world.minimise, world.shown_units
    )


def _show(result: EvaluationResult, searched: Searched, console: Console) -> None:
    *tables, figures_table = result.tables()
    for table in tables:
        console.print(table)
    if any(not demand.in_range for demand in result.demands):
        console.print("* unseen: outside the range that training draws from")
    console.print(figures_table)
    for baseline, cost in _search_costs(searched).items():
        console.print(
            f"{baseline}: searched for each demand with {cost['num_tried']} candidates in all, "
            f"{cost['num_episodes']} episodes (the hopeless ones given up on the way), "
            f"{cost['simulated_seconds']:,.0f} simulated seconds"
        )


def _search_costs(searched: Searched) -> dict[str, dict[str, Any]]:
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


def _write(folder: Path, result: EvaluationResult, about: Mapping[str, Any]) -> None:
    result.write_episodes(folder / "episodes.csv")
    result.write_summary(folder / "summary.csv")
    (folder / "evaluation.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    with (folder / "tables.txt").open("w", encoding="utf-8") as file:
        console = Console(file=file, width=SCREEN_WIDTH)
        for table in result.tables():
            console.print(table)
    names = [demand.name if demand.in_range else f"{demand.name}*" for demand in result.demands]
    values = {
        metric: {
            controller: [result.values(controller, demand.name, metric) for demand in result.demands]
            for controller in result.controllers
        }
        for metric in result.units
    }
    labels = {metric: with_unit(metric.replace("_", " "), unit) for metric, unit in result.units.items()}
    primary_metric = result.primary_metric
    figures.by_demand(names, {primary_metric: values[primary_metric]}, labels).savefig(
        folder / f"{primary_metric}.png", dpi=150
    )
    figures.by_demand(names, values, labels).savefig(folder / "metrics.png", dpi=120)


def _keep(folder: Path, target: Target) -> None:
    """Copy the results to where they are wanted, and say where they are."""
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    if target.output is not None:
        shutil.copytree(folder, target.output, dirs_exist_ok=True)
        err.print(f"results are in {target.output}")
    if target.run_id is not None and store.keep(target.store_uri, target.run_id, folder, FOLDER):
        err.print(f"results are among the artifacts of run {target.run_id}, in {FOLDER}/; see: genreplay ui")
    elif target.output is None:
        log.warning("evaluate: the results are on the screen only; give --output DIR to keep them")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"--output {folder}: cannot be written to ({error.strerror}); name another folder") from None
