"""The CSV files of an evaluation: every episode, and statistics over seeds."""

from __future__ import annotations

from pathlib import Path

from genreplay.common.errors import UserError
from genreplay.common.files import read_csv, write_csv
from genreplay.envs.facets import NamedDemand
from genreplay.envs.world import World
from genreplay.evaluation.episode_pool import EpisodeSpec
from genreplay.evaluation.result import STATISTICS, EvaluationResult


def read_episodes(path: Path, world: World) -> EvaluationResult:
    """The result that `write_episodes` wrote, of episodes in `world`; UserError where it is another file."""
    specs, episodes, in_range = [], [], {}
    try:
        for row in read_csv(path):
            specs.append(EpisodeSpec(row.pop("controller"), row.pop("demand"), int(row.pop("seed"))))
            in_range[specs[-1].demand] = row.pop("in_range") == "1"
            episodes.append({name: float(value) for name, value in row.items() if value})
        shared = set.intersection(*map(set, episodes))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is not what genreplay evaluate wrote; evaluate the run again") from error
    units = {name: unit for name, unit in world.shown_units.items() if name in shared}
    demands = [NamedDemand(name, known) for name, known in in_range.items()]
    controllers = list(dict.fromkeys(spec.controller for spec in specs))
    return EvaluationResult(specs, episodes, demands, controllers, world.primary_metric, world.minimise, units)


def write_episodes(result: EvaluationResult, path: Path) -> None:
    """One row for each episode, with all its figures."""
    in_range = {demand.name: demand.in_range for demand in result.demands}
    rows = [
        {
            "controller": spec.controller,
            "demand": spec.demand,
            "in_range": int(in_range[spec.demand]),
            "seed": spec.seed,
            **episode,
        }
        for spec, episode in zip(result.specs, result.episodes, strict=True)
    ]
    write_csv(path, rows)


def write_summary(result: EvaluationResult, path: Path) -> None:
    """One row for each controller, demand and metric, with its statistics over seeds."""
    rows = [
        {
            "controller": controller,
            "demand": demand.name,
            "in_range": int(demand.in_range),
            "metric": metric,
            **{name: result.statistic(name, controller, [demand.name], metric) for name in STATISTICS},
        }
        for controller in result.controllers
        for demand in result.demands
        for metric in result.units
    ]
    write_csv(path, rows)
