"""The evaluation in a published policy's card, and the card as a page to read."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from math import isnan
from typing import Any

from genreplay.common.statistics import student_interval
from genreplay.common.text import plain, with_unit
from genreplay.envs.facets import DEFAULT_DEMAND
from genreplay.evaluation.episode_pool import POLICY
from genreplay.evaluation.result import EvaluationResult


def evaluation_entries(name: str, result: EvaluationResult) -> dict[str, Any]:
    """The `evaluation` of a card: the command that repeats it, and means over seeds by controller and demand.

    Args:
        name: of the policy.
        result: with the policy among its controllers.
    """
    metric = result.primary_metric
    demands = [demand.name for demand in result.demands]
    seeds = list(dict.fromkeys(spec.seed for spec in result.specs))
    return {
        "command": _command(name, result, demands, seeds),
        "metric": metric,
        "unit": result.units[metric],
        "minimise": result.minimise,
        "seeds": seeds,
        "demands": {demand.name: demand.in_range for demand in result.demands},
        "means": {
            controller: {demand: result.statistic("mean", controller, [demand], metric) for demand in demands}
            for controller in result.controllers
        },
        "in_range": _in_range(result),
    }


def _command(name: str, result: EvaluationResult, demands: list[str], seeds: list[int]) -> str:
    baselines = ",".join(controller for controller in result.controllers if controller != POLICY) or "none"
    options = ["--seeds", ",".join(map(str, seeds)), "--baselines", baselines]
    if demands != [DEFAULT_DEMAND]:
        options = ["--demand", ",".join(demands), *options]
    return shlex.join(["genreplay", "evaluate", "--checkpoint", name, *options])


def _in_range(result: EvaluationResult) -> dict[str, Any]:
    """Mean over the demands in range (over all where none is), its 95 % interval over seeds, and the best baseline."""
    demands = [demand.name for demand in result.demands if demand.in_range] or [d.name for d in result.demands]
    means = {c: result.statistic("mean", c, demands, result.primary_metric) for c in result.controllers}
    low, high = student_interval(result.by_seed(POLICY, demands, result.primary_metric))
    others = {controller: mean for controller, mean in means.items() if controller != POLICY}
    best = (min if result.minimise else max)(others, key=lambda controller: others[controller], default=None)
    return {
        "policy": means[POLICY],
        "low": None if isnan(low) else low,
        "high": None if isnan(high) else high,
        "best_baseline": best,
        "best_value": None if best is None else others[best],
    }


def _value(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}".strip()


def card_text(card: Mapping[str, Any]) -> str:
    """The card in Markdown."""
    training, evaluation = card["training"], card["evaluation"]
    label = with_unit(plain(evaluation["metric"]), evaluation["unit"])
    better = "lower" if evaluation["minimise"] else "higher"
    changes = ", with changes that were not committed" if training.get("has_changes") == "true" else ""
    facts = {
        **card["environment"],
        "agent": card["summary"],
        "command": f"`{training.get('command', 'not recorded')}`",
        **({"resumed with": f"`{training['resumed']}`"} if "resumed" in training else {}),
        "commit": f"{training.get('commit', 'none: not in a git repository')}{changes}",
        "training seed": training["seed"],
        "env steps": f"{training['env_steps']:,}",
        "genreplay": card["genreplay"],
        "licence": card["licence"],
    }
    lines = [
        f"# {card['name']}",
        "",
        f"A policy for {card['place']}.",
        "",
        *table(["", ""], [[name, str(value)] for name, value in facts.items()]),
        "",
        "## Evaluation",
        "",
        f"{label.capitalize()}, means over the seeds {', '.join(map(str, evaluation['seeds']))}; {better} is better. A "
        "star marks demands that training does not draw.",
        "",
        *evaluation_table(evaluation),
        "",
        "```",
        evaluation["command"],
        "```",
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in card["limits"]),
    ]
    return "\n".join(lines) + "\n"


def evaluation_table(evaluation: Mapping[str, Any]) -> list[str]:
    """The lines of the table of means, the policy first, the best of each column in bold."""
    demands, means = evaluation["demands"], evaluation["means"]
    best = min if evaluation["minimise"] else max
    tops = {demand: best(values[demand] for values in means.values()) for demand in demands}
    rows = []
    for controller, values in means.items():
        cells = [
            f"**{values[demand]:.1f}**" if values[demand] == tops[demand] else f"{values[demand]:.1f}"
            for demand in demands
        ]
        rows.append([plain(controller), *cells])
    header = ["controller", *(name if in_range else f"{name}*" for name, in_range in demands.items())]
    found = evaluation["in_range"]
    lines = table(header, rows)
    interval = "" if found["low"] is None else f" (95 % over seeds: {found['low']:.1f} to {found['high']:.1f})"
    summary = f"Mean over the demands of training: {_value(found['policy'], evaluation['unit'])}{interval}"
    if found["best_baseline"] is not None:
        best_value = _value(found["best_value"], evaluation["unit"])
        summary += f"; best baseline there: {plain(found['best_baseline'])}, {best_value}"
    return [*lines, "", f"{summary}."]


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, whose cells break no line and no column."""
    clean = [[" ".join(cell.replace("|", "\\|").split()) for cell in row] for row in [header, *rows]]
    widths = [max(3, *map(len, column)) for column in zip(*clean, strict=True)]
    first, *rest = (f"| {' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True))} |" for row in clean)
    return [first, f"|{'|'.join('-' * (width + 2) for width in widths)}|", *rest]
