"""The evaluation on a run's page: what was evaluated, its tables and its charts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from genreplay.common.text import plain, with_unit
from genreplay.config.reader import to_yaml
from genreplay.envs.world import World
from genreplay.evaluation.episode_pool import POLICY
from genreplay.evaluation.files import read_episodes
from genreplay.evaluation.greens import HIGH, LOW
from genreplay.evaluation.result import STATISTICS, EvaluationResult
from genreplay.evaluation.tables import green_cell
from genreplay.reporting import charts, figures
from genreplay.reporting.charts import Picture
from genreplay.reporting.page_tables import against, metrics_table, statistic_table
from genreplay.reporting.trade_tables import (
    differences_table,
    green_shares,
    middle_demand,
    modes_table,
    part_tables,
    waits_table,
    worst_episodes_table,
)
from genreplay.runs import tracker
from genreplay.runs.policy import LoadedPolicy


@dataclass(frozen=True)
class Evaluated:
    """An evaluation of a run's policy."""

    result: EvaluationResult
    about: Mapping[str, Any]
    changes: Mapping[str, tuple[str, str]]
    """Options of the environment that differed from the run's own: the run's value and the evaluation's."""


def read_evaluation(folder: Path, loaded: LoadedPolicy) -> Evaluated | None:
    """The evaluation that `genreplay evaluate` wrote to `folder`; None where there is none."""
    if not (folder / "episodes.csv").is_file():
        return None
    about = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    own, theirs = (tracker.flatten(yaml.safe_load(text)) for text in (to_yaml(loaded.config), about["config"]))
    changes = {
        key: (own.get(key, "null"), theirs.get(key, "null"))
        for key in own | theirs
        if key.startswith("env.") and own.get(key) != theirs.get(key)
    }
    return Evaluated(read_episodes(folder / "episodes.csv", loaded.world), about, changes)


def evaluation_variables(evaluated: Evaluated | None, world: World, incumbent: str | None) -> dict[str, Any]:
    """The template's variables about the evaluation."""
    found: dict[str, Any] = {
        "evaluated": evaluated,
        "groups": [],
        "worst": {},
        "against": lambda own, comparison: against(own, comparison, world.minimise, world.primary_unit),
    }
    if evaluated is None:
        return found
    result = evaluated.result
    demand = middle_demand(result)
    trade = [differences_table(result), worst_episodes_table(result), waits_table(result), modes_table(result)]
    parts = part_tables(result, demand)
    groups = result.comparisons(incumbent)
    # The policy's own, the incumbent's and the best baseline's; the others can be opened.
    shown = {POLICY, incumbent, *(group.best.name for group in groups[:1] if group.best)}
    return found | {
        "groups": groups,
        "tables": [statistic_table(result, name) for name in STATISTICS],
        "trade_tables": [table for table in trade if table is not None],
        "parts_name": result.parts_name,
        "middle_demand": demand,
        "part_tables": [table for table in parts if table.controller in shown],
        "other_part_tables": [table for table in parts if table.controller not in shown],
        "share_chart": _share_chart(green_shares(result, demand), demand),
        "greens_chart": _greens_chart(result),
        "worst": _worst(result),
        "figures_table": metrics_table(result),
        "demand_charts": _demand_charts(result),
        "seeds": list(dict.fromkeys(spec.seed for spec in result.specs)),
    }


def _worst(result: EvaluationResult) -> dict[str, dict[str, float]]:
    """Worst wait and longest red of all episodes (s), by controller; empty where they are not measured."""
    if not {"wait_max", "longest_red"} <= set(result.units):
        return {}

    def worst(controller: str, metric: str) -> float:
        return max(max(result.values(controller, demand.name, metric)) for demand in result.demands)

    return {
        controller: {"wait": worst(controller, "wait_max"), "red": worst(controller, "longest_red")}
        for controller in result.controllers
    }


def _share_chart(shares: Mapping[str, list[float]], demand: str) -> Picture | None:
    if not shares:
        return None
    parts = (
        f"{plain(controller)} {', '.join(f'{100 * share:.0f}' for share in values)}"
        for controller, values in shares.items()
    )
    alt = f"Share of the time for which each stage is green at demand {demand}, %, stage 0 first: {'; '.join(parts)}"
    return charts.as_svg(lambda: figures.green_bars(shares), alt)


def _greens_chart(result: EvaluationResult) -> Picture | None:
    shown = result.shown_greens()
    if not shown:
        return None
    parts = (
        f"{plain(controller)} at demand {demand} {', '.join(map(green_cell, rows))}"
        for (controller, demand), rows in shown.items()
    )
    alt = f"Median green of each stage, {LOW} to {HIGH} %, share of green time, stage 0 first: {'; '.join(parts)}"
    return charts.as_svg(lambda: figures.greens(shown), alt)


def _demand_charts(result: EvaluationResult) -> list[Picture]:
    """The primary metric, then the others, by demand."""
    names = [demand.name if demand.in_range else f"{demand.name}*" for demand in result.demands]
    pictures = []
    for metric, unit in result.units.items():
        label = with_unit(plain(metric), unit)
        values = {c: [result.values(c, demand.name, metric) for demand in result.demands] for c in result.controllers}
        alt = f"{label} of each episode and means, by controller and demand; the table has the numbers"

        def draw(metric: str = metric, label: str = label, values: dict = values) -> Any:
            return figures.by_demand(names, {metric: values}, {metric: label})

        pictures.append(charts.as_svg(draw, alt))
    return pictures
