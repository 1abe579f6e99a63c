"""Tables that an engineer asks of a controller: paired differences, waits, delay by mode, and every part of a junction.

Each is left out where the environment does not measure it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import NamedTuple

from genreplay.common.text import plain, with_unit
from genreplay.evaluation.episode_pool import POLICY, Part
from genreplay.evaluation.ratios import HEADERS, ratios, rows, sentence
from genreplay.evaluation.result import GROUPS, EvaluationResult
from genreplay.reporting.page_tables import Table

SHARE = "green_share_"
"""Metrics that begin so are the share of the time for which a stage is green."""
WORST = ("wait_max", "longest_red")
"""Metrics of which the worst episode counts, not the mean."""
MODE = "delay_"
"""Metrics that begin so are the delay of one kind of traffic."""
TEXTS = ("name", "approach", "turn", "from_edge", "to_edge", "grade")
"""Entries of a part that its name says already, or that stand twice."""
PART_HEADERS = {
    "volume_to_capacity": "v/c",
    "level_of_service": "level of service",
    "delay": "delay (s)",
    "stops": "stops per vehicle",
    "queue_p95": "queue, 95 %",
    "queue_max": "longest queue",
    "queue_p95_metres": "queue, 95 % (m)",
    "queue_max_metres": "longest queue (m)",
    "longest_red": "longest red (s)",
    "green_share": "green (%)",
}
PART_ORDER = ("vehicles", "volume_to_capacity", "delay", "level_of_service")
"""What comes first; the rest in the order of its file."""


class PartTable(NamedTuple):
    """Every part of the environment under one controller."""

    controller: str
    header: list[str]
    rows: list[tuple[str, list[tuple[str, bool]]]]


def differences_table(result: EvaluationResult) -> Table | None:
    """The policy's primary metric minus each baseline's, paired by seed, with 95 % intervals."""
    baselines = [controller for controller in result.controllers if controller != POLICY]
    if POLICY not in result.controllers or not baselines:
        return None
    groups = {where: names for where, names in result.groups().items() if where in GROUPS}
    rows = []
    for controller in baselines:
        cells = [result.difference(controller, names, result.primary_metric) for names in groups.values()]
        texts = []
        for mean, low, high in cells:
            is_better = high < 0 if result.minimise else low > 0
            texts.append((f"{mean:+.1f}" + ("" if isnan(low) else f" ({low:+.1f} to {high:+.1f})"), is_better))
        rows.append((controller, texts))
    title = f"{plain(result.primary_metric).capitalize()} of the policy minus each baseline's, 95 % interval over seeds"
    return Table(with_unit(title, result.units[result.primary_metric]), list(groups), rows)


def worst_episodes_table(result: EvaluationResult) -> Table | None:
    """The policy's worst episode at each demand, compared with the best baseline of the same episode."""
    compared = ratios(result)
    if not compared:
        return None
    metric = plain(result.primary_metric)
    title = f"{metric.capitalize()} of the policy over the best baseline's of the same episode; "
    cells = [(demand, [(text, False) for text in texts]) for demand, texts in rows(result, compared).items()]
    return Table(title + sentence(compared, metric), list(HEADERS), cells, "demand")


def waits_table(result: EvaluationResult) -> Table | None:
    """How long anybody waited, and the longest red: the worst of all episodes, or means."""
    names = [name for name in result.units if name.startswith("wait_") or name in WORST]
    return (
        _metrics(
            result,
            names,
            "Waits and reds over all demands and seeds: worst wait and longest red of any episode, else means",
        )
        if names
        else None
    )


def modes_table(result: EvaluationResult) -> Table | None:
    """Delay by kind of traffic, and of all people; None where there is one kind only."""
    names = [name for name in result.units if name.startswith(MODE)]
    names += [name for name in result.units if name == "person_delay"]
    return _metrics(result, names, "Mean delay by mode, over all demands and seeds") if len(names) > 1 else None


def _metrics(result: EvaluationResult, names: Sequence[str], title: str) -> Table:
    demands = [demand.name for demand in result.demands]

    def value(controller: str, metric: str) -> float:
        if metric in WORST:
            return max(max(result.values(controller, demand, metric)) for demand in demands)
        return result.statistic("mean", controller, demands, metric)

    values = {controller: [value(controller, name) for name in names] for controller in result.controllers}
    best = [min(column) for column in zip(*values.values(), strict=True)]
    rows = [
        (controller, [(f"{cell:.1f}", cell == least) for cell, least in zip(cells, best, strict=True)])
        for controller, cells in values.items()
    ]
    return Table(title, [metric_label(name, result.units[name]) for name in names], rows)


def metric_label(name: str, unit: str) -> str:
    """A metric as the head of a column."""
    known = {
        "wait_p95": "wait, 95 %",
        "wait_max": "worst wait",
        "person_delay": "all people",
        "longest_red": "longest red",
    }
    text = known.get(name) or plain(name.removeprefix(MODE).replace("passenger", "car"))
    if name.startswith("wait_") and name not in known:
        text = f"mean wait, {plain(name.removeprefix('wait_'))}"
    return with_unit(text, unit)


def middle_demand(result: EvaluationResult) -> str:
    """A demand in the middle of the range of training, or of all."""
    demands = [demand for demand in result.demands if demand.in_range] or list(result.demands)
    return demands[len(demands) // 2].name


def part_tables(result: EvaluationResult, demand: str) -> list[PartTable]:
    """A table of each controller's parts, means over seeds; the policy first. Empty where nothing was measured."""
    if not result.parts:
        return []
    return [_part_table(controller, result.part_means(controller, demand)) for controller in result.controllers]


def _part_table(controller: str, parts: Sequence[Part]) -> PartTable:
    found = dict.fromkeys(key for part in parts for key in part if key not in TEXTS)
    keys = [key for key in PART_ORDER if key in found or key == "level_of_service"]
    keys += [key for key in found if key not in PART_ORDER]
    rows = [(str(part["name"]), [(_part_cell(part, key), False) for key in keys]) for part in parts]
    return PartTable(controller, [PART_HEADERS.get(key, plain(key)) for key in keys], rows)


def _part_cell(part: Part, key: str) -> str:
    if key == "level_of_service":
        return str(part.get("grade", ""))
    value = part.get(key, "")
    if isinstance(value, str):
        return value
    return {"volume_to_capacity": f"{value:.2f}", "stops": f"{value:.2f}", "green_share": f"{100 * value:.0f}"}.get(
        key, f"{value:.1f}"
    )


def green_shares(result: EvaluationResult, demand: str) -> Mapping[str, list[float]]:
    """By controller, the share of the time for which each stage is green, means over seeds; empty if not measured."""
    names = sorted(
        {name for episode in result.episodes for name in episode if name.startswith(SHARE)},
        key=lambda name: int(name.removeprefix(SHARE)),
    )
    if not names or not all(name in episode for episode in result.episodes for name in names):
        return {}
    return {
        controller: [result.statistic("mean", controller, [demand], name) for name in names]
        for controller in result.controllers
    }
