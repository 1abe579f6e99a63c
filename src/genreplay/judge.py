"""`genreplay evaluate`: a policy and the baselines on the very same episodes, and what is kept of that."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from tensordict.nn import TensorDictModule

from genreplay import figures, tracking
from genreplay.envs.base import Found, NamedDemand, World
from genreplay.errors import UserError
from genreplay.progress import Bars, log_above
from genreplay.seeding import derive_seed
from genreplay.trials import POLICY, Crew, Trial
from genreplay.verdict import STATISTICS, Verdict

NUM_SEARCH_EPISODES = 5
"""Validation episodes on which a search judges each of its settings, for each demand."""
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
    unknown = [name for name in names or () if name not in world.baselines]
    if unknown:
        choices = f"choose among {', '.join(world.baselines)}, or none" if world.baselines else "write none"
        raise UserError(f"--baselines {unknown[0]}: there is no such baseline; {choices}")
    return [name for name in world.baselines if names is None or name in names]


def evaluate(plan: Plan, target: Target, about: Mapping[str, Any]) -> Verdict:
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
        Crew(plan.world, plan.policy, num_workers) as crew,
    ):
        found = _search(plan, crew, bars)
        verdict = _play(plan, crew, bars, found)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=SCREEN_WIDTH)
    _show(verdict, found, plan, console)
    with tempfile.TemporaryDirectory(prefix="genreplay-evaluation-") as folder:
        _write(Path(folder), verdict, {**about, "seeds": list(plan.seeds), "searches": _search_costs(plan, found)})
        _keep(Path(folder), target)
    return verdict


Searched = dict[tuple[str, str], Found]
"""By baseline and demand."""


def _search(plan: Plan, crew: Crew, bars: Bars) -> Searched:
    """Every search that the baselines need, all at the same time, on episodes that the evaluation does not use."""
    seeds = [derive_seed(0, "search", i) for i in range(NUM_SEARCH_EPISODES)]
    done = 0

    def search(baseline: str, demand: NamedDemand) -> Found | None:
        def judge(candidates: list[dict[str, Any]]) -> list[float]:
            nonlocal done
            trials = [Trial(baseline, demand.name, seed, settings) for settings in candidates for seed in seeds]
            episodes = crew.play(trials)
            done += len(trials)
            update(done, None, f"{done} episodes, {baseline}")
            values = np.array([episode[plan.world.headline] for episode in episodes])
            return values.reshape(len(candidates), len(seeds)).mean(axis=1).tolist()

        return plan.world.search(baseline, judge)

    jobs = [(baseline, demand) for baseline in plan.baselines for demand in plan.demands]
    with bars.passing("search") as update, ThreadPoolExecutor(max(1, len(jobs))) as searchers:
        try:
            results = list(searchers.map(lambda job: search(*job), jobs))
        except BaseException:
            crew.abandon()  # or the other searches would go on to their ends
            raise
    return {(baseline, demand.name): found for (baseline, demand), found in zip(jobs, results, strict=True) if found}


def _play(plan: Plan, crew: Crew, bars: Bars, found: Searched) -> Verdict:
    trials = [
        Trial(controller, demand.name, seed, found[controller, demand.name].settings)
        if (controller, demand.name) in found
        else Trial(controller, demand.name, seed)
        for controller in plan.controllers
        for demand in plan.demands
        for seed in plan.seeds
    ]
    done = 0

    def on_episode() -> None:
        nonlocal done
        done += 1
        bars.advance(done)

    episodes = crew.play(trials, on_episode)
    world = plan.world
    units = world.metric_units or {world.headline: world.headline_unit}
    return Verdict(trials, episodes, plan.demands, plan.controllers, world.headline, world.minimise, units)


def _show(verdict: Verdict, found: Searched, plan: Plan, console: Console) -> None:
    for name in STATISTICS:
        console.print(verdict.headline_table(name))
    if any(not demand.in_range for demand in verdict.demands):
        console.print("* unseen: outside the range that training draws from")
    console.print(verdict.metrics_table())
    for baseline, cost in _search_costs(plan, found).items():
        console.print(
            f"{baseline}: searched for each demand with {cost['num_tried']} candidates in all, "
            f"{cost['num_episodes']} episodes, {cost['simulated_seconds']:,.0f} simulated seconds"
        )


def _search_costs(plan: Plan, found: Searched) -> dict[str, dict[str, Any]]:
    """What each search took and gave, by baseline."""
    costs: dict[str, dict[str, Any]] = {}
    for baseline in dict.fromkeys(name for name, _ in found):
        of_demand = {demand: result for (name, demand), result in found.items() if name == baseline}
        num_tried = sum(result.num_tried for result in of_demand.values())
        num_episodes = num_tried * NUM_SEARCH_EPISODES
        costs[baseline] = {
            "num_tried": num_tried,
            "num_episodes": num_episodes,
            "simulated_seconds": num_episodes * plan.world.episode_seconds,
            "settings": {demand: result.settings for demand, result in of_demand.items()},
        }
    return costs


def _write(folder: Path, verdict: Verdict, about: Mapping[str, Any]) -> None:
    verdict.write_episodes(folder / "episodes.csv")
    verdict.write_summary(folder / "summary.csv")
    (folder / "evaluation.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    with (folder / "tables.txt").open("w", encoding="utf-8") as file:
        console = Console(file=file, width=SCREEN_WIDTH)
        for name in STATISTICS:
            console.print(verdict.headline_table(name))
        console.print(verdict.metrics_table())
    names = [demand.name if demand.in_range else f"{demand.name}*" for demand in verdict.demands]
    values = {
        metric: {
            controller: [verdict.values(controller, demand.name, metric) for demand in verdict.demands]
            for controller in verdict.controllers
        }
        for metric in verdict.units
    }
    labels = {metric: f"{metric.replace('_', ' ')} ({unit})" for metric, unit in verdict.units.items()}
    headline = verdict.headline
    figures.by_demand(names, {headline: values[headline]}, labels).savefig(folder / f"{headline}.png", dpi=150)
    figures.by_demand(names, values, labels).savefig(folder / "metrics.png", dpi=120)


def _keep(folder: Path, target: Target) -> None:
    """Copy the results to where they are wanted, and say where they are."""
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    if target.output is not None:
        shutil.copytree(folder, target.output, dirs_exist_ok=True)
        err.print(f"results are in {target.output}")
    if target.run_id is not None and tracking.keep(target.store_uri, target.run_id, folder, FOLDER):
        err.print(f"results are among the artifacts of run {target.run_id}, in {FOLDER}/; see: genreplay ui")
    elif target.output is None:
        log.warning("evaluate: the results are on the screen only; give --output DIR to keep them")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"--output {folder}: cannot be written to ({error.strerror}); name another folder") from None
