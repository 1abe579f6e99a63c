"""The CSV files of an evaluation: every episode, its parts, and statistics over seeds."""

from __future__ import annotations

from math import isnan
from pathlib import Path

from genreplay.common.errors import UserError
from genreplay.common.files import read_csv, write_csv
from genreplay.common.statistics import student_interval
from genreplay.envs.facets import NamedDemand
from genreplay.envs.world import World
from genreplay.evaluation.episode_pool import POLICY, EpisodeSpec, Part
from genreplay.evaluation.greens import NAME, Greens
from genreplay.evaluation.result import STATISTICS, EvaluationResult, make_result


def read_episodes(path: Path, world: World) -> EvaluationResult:
    """The result that `write_episodes` wrote, of episodes in `world`, with the parts that lie next to it.

    Raises:
        UserError: it is another file.
    """
    specs, episodes, in_range = [], [], {}
    try:
        for row in read_csv(path):
            specs.append(EpisodeSpec(row.pop("controller"), row.pop("demand"), int(row.pop("seed"))))
            in_range[specs[-1].demand] = row.pop("in_range") == "1"
            episodes.append({name: float(value) for name, value in row.items() if value})
        demands = [NamedDemand(name, known) for name, known in in_range.items()]
        return make_result(
            world, specs, episodes, demands, _read_parts(path.parent, world, specs), _read_greens(path.parent)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is not what genreplay evaluate wrote; evaluate the run again") from error


def _read_parts(folder: Path, world: World, specs: list[EpisodeSpec]) -> list[list[Part]]:
    """What `write_parts` wrote for each spec; nothing where there is no such file."""
    path = folder / f"{world.parts_name}.csv"
    if not world.parts_name or not path.is_file():
        return []
    parts: dict[tuple[str, str, int], list[Part]] = {spec[:3]: [] for spec in specs}
    for row in read_csv(path):
        key = (row.pop("controller"), row.pop("demand"), int(row.pop("seed")))
        del row["in_range"]
        parts[key].append({name: _number_or_text(text) for name, text in row.items() if text})
    return [parts[spec[:3]] for spec in specs]


def _read_greens(folder: Path) -> list[Greens]:
    """What `write_greens` wrote; nothing where there is no such file."""
    path = folder / f"{NAME}.csv"
    return [
        Greens(
            row["controller"],
            row["demand"],
            int(row["stage"]),
            int(row["number"]),
            _number_or_none(row["median"]),
            _number_or_none(row["low"]),
            _number_or_none(row["high"]),
            float(row["share"]),
        )
        for row in (read_csv(path) if path.is_file() else ())
    ]


def _number_or_none(text: str) -> float | None:
    return float(text) if text else None


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


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


def write_parts(result: EvaluationResult, path: Path) -> None:
    """One row for each part of each episode."""
    in_range = {demand.name: int(demand.in_range) for demand in result.demands}
    rows = [
        {
            "controller": spec.controller,
            "demand": spec.demand,
            "in_range": in_range[spec.demand],
            "seed": spec.seed,
            **part,
        }
        for spec, parts in zip(result.specs, result.parts, strict=True)
        for part in parts
    ]
    write_csv(path, rows)


def write_greens(result: EvaluationResult, path: Path) -> None:
    """One row for each controller, demand and stage."""
    write_csv(path, (row._asdict() for row in result.greens))


def write_summary(result: EvaluationResult, path: Path) -> None:
    """One row for each controller, demand and metric: statistics over seeds, the 95 % interval of the mean, and the
    policy's mean minus this one with the interval of these paired differences.
    """
    rows = [
        {
            "controller": controller,
            **({"sees": result.sees.get(controller, "")} if result.sees else {}),
            "demand": demand.name,
            "in_range": int(demand.in_range),
            "metric": metric,
            **{name: result.statistic(name, controller, [demand.name], metric) for name in STATISTICS},
            **_intervals(result, controller, demand.name, metric),
        }
        for controller in result.controllers
        for demand in result.demands
        for metric in result.units
    ]
    write_csv(path, rows)


def _intervals(result: EvaluationResult, controller: str, demand: str, metric: str) -> dict[str, float]:
    low, high = student_interval(result.values(controller, demand, metric))
    found = {"low": low, "high": high}
    if POLICY in result.controllers and controller != POLICY:
        mean, low, high = result.difference(controller, [demand], metric)
        found |= {"policy_minus": mean, "policy_minus_low": low, "policy_minus_high": high}
    return {name: value for name, value in found.items() if not isnan(value)}
