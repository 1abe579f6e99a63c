"""The tables of an evaluation on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

from rich.table import Table

from genreplay.common.statistics import student_interval
from genreplay.common.text import plain, with_unit
from genreplay.evaluation.episode_pool import POLICY
from genreplay.evaluation.greens import HIGH, LOW, Greens
from genreplay.evaluation.ratios import HEADERS, Ratio, ratios, rows
from genreplay.evaluation.result import GROUPS, STATISTICS, EvaluationResult


def tables(result: EvaluationResult) -> list[Table]:
    """A table for each statistic, or one where there is only one controller; the policy's worst episodes, if baselines
    played them too; one of the parts and one of the greens, if any; one of all metrics.
    """
    alone = len(result.controllers) == 1
    found = [alone_table(result)] if alone else [primary_table(result, name) for name in STATISTICS]
    if compared := ratios(result):
        found.append(ratios_table(result, compared))
    if result.parts:
        found.append(parts_table(result))
    if shown := result.shown_greens():
        found.append(greens_table(shown))
    return [*found, metrics_table(result)]


def alone_table(result: EvaluationResult) -> Table:
    """The primary metric of the one controller, a line for each demand: statistics over seeds and an interval."""
    (controller,) = result.controllers
    title = f"{controller}: {_primary_label(result)} over seeds"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("demand", no_wrap=True)
    for name in (*STATISTICS, "95 % of the mean"):
        table.add_column(plain(name), justify="right")
    for header, demands in result.groups().items():
        figures = [f"{result.statistic(s, controller, demands, result.primary_metric):.1f}" for s in STATISTICS]
        low, high = student_interval(result.by_seed(controller, demands, result.primary_metric))
        table.add_row(header, *figures, _interval(low, high))
    return table


def _primary_label(result: EvaluationResult) -> str:
    return with_unit(plain(result.primary_metric), result.units[result.primary_metric])


def primary_table(result: EvaluationResult, name: str) -> Table:
    """The primary metric by controller and demand, the best in bold, the policy compared with every baseline.

    The table of means also has 95 % intervals over seeds: of the mean over a group of demands, and of the paired
    differences between the policy and each baseline.
    """
    title = f"{plain(name).capitalize()} {_primary_label(result)}, over seeds"
    groups = result.groups()
    columns = {header: _column(result, name, demands) for header, demands in groups.items()}
    caption = _caption(result, columns)
    table = Table(title=title, title_justify="left", title_style="bold", caption=caption, caption_justify="left")
    table.add_column("controller", no_wrap=True)
    if result.sees:
        table.add_column("sees")
    for header in columns:
        table.add_column(header, justify="right")
    compares = POLICY in result.controllers and len(result.controllers) > 1
    summary = next((header for header in GROUPS if header in groups), None)
    has_interval = name == "mean" and summary is not None
    if has_interval:
        table.add_column(f"95 %\n{summary}", justify="right")
    if compares and summary:
        table.add_column(f"policy saves\n{summary}", justify="right")
        if has_interval:
            table.add_column(f"policy minus this one\n{summary}, 95 %", justify="right")
    best = min if result.minimise else max
    for row, controller in enumerate(result.controllers):
        cells = [_marked(values[row], best(values)) for values in columns.values()]
        if has_interval and summary:
            by_seed = result.by_seed(controller, groups[summary], result.primary_metric)
            cells.append(_interval(*student_interval(by_seed)))
        if compares and summary:
            own = columns[summary][result.controllers.index(POLICY)]
            cells.append("" if controller == POLICY else saved(own, columns[summary][row]))
            if has_interval:
                cells.append("" if controller == POLICY else _paired(result, controller, groups[summary]))
        seen = [result.sees.get(controller, "")] if result.sees else []
        table.add_row(controller, *seen, *cells, end_section=controller == POLICY)
    return table


def _paired(result: EvaluationResult, controller: str, demands: Sequence[str]) -> str:
    mean, low, high = result.difference(controller, demands, result.primary_metric)
    return f"{mean:+.1f}" + ("" if isnan(low) else f" ({low:+.1f} to {high:+.1f})")


def _interval(low: float, high: float) -> str:
    return "" if isnan(low) else f"{low:.1f} to {high:.1f}"


def _caption(result: EvaluationResult, columns: Mapping[str, Sequence[float]]) -> str | None:
    """The policy compared with the baseline that is best over the range of training; None without both."""
    if POLICY not in result.controllers or len(result.controllers) < 2 or "in range" not in columns:
        return None
    values = dict(zip(result.controllers, columns["in range"], strict=True))
    own, name = values[POLICY], str(result.best_baseline())
    return f"in range: policy {own:.1f}, best baseline {name} {values[name]:.1f}, saved {saved(own, values[name])}"


def ratios_table(result: EvaluationResult, compared: Sequence[Ratio]) -> Table:
    """The policy's worst episode at each demand, compared with the best baseline of the same episode."""
    title = f"{_primary_label(result).capitalize()} of the policy over the best baseline's of the same episode"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("demand", no_wrap=True)
    for header in HEADERS:
        table.add_column(header, justify="right")
    for demand, row in rows(result, compared).items():
        table.add_row(demand, *row)
    return table


def greens_table(shown: Mapping[tuple[str, str], Sequence[Greens]]) -> Table:
    """The greens of each stage under the policy and the best baseline, in light and in heavy traffic."""
    title = f"Greens by stage: median and {LOW} to {HIGH} % (s), share of green time"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("stage")
    for controller, demand in shown:
        table.add_column(f"{plain(controller)}\ndemand {demand}", justify="right")
    for stages in zip(*shown.values(), strict=True):
        table.add_row(str(stages[0].stage), *map(green_cell, stages))
    return table


def green_cell(row: Greens) -> str:
    """The figures of one stage in words."""
    if row.median is None:
        return "none"
    return f"{row.median:.0f} ({row.low:.0f} to {row.high:.0f}), {100 * row.share:.0f} %"


def parts_table(result: EvaluationResult) -> Table:
    """The primary metric of each part with its grade, by controller, at a demand in the middle of training's range."""
    in_range = [demand for demand in result.demands if demand.in_range] or list(result.demands)
    demand = in_range[len(in_range) // 2].name
    title = f"{_primary_label(result).capitalize()} of {result.parts_name}, demand {demand}, means over seeds"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(result.parts_name)
    cells: dict[str, dict[str, str]] = {}
    for controller in result.controllers:
        table.add_column(plain(controller), justify="right")
        for part in result.part_means(controller, demand):
            text = f"{part[result.primary_metric]:.1f} {part['grade']}".strip()
            cells.setdefault(str(part["name"]), {})[controller] = text
    for name, row in cells.items():
        table.add_row(name, *(row.get(controller, "") for controller in result.controllers))
    return table


def metrics_table(result: EvaluationResult) -> Table:
    """Every metric, by controller: means over all episodes."""
    names = [demand.name for demand in result.demands]
    title = "All figures, means over demands and seeds"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("metric", no_wrap=True)
    for controller in result.controllers:
        table.add_column(plain(controller), justify="right")
    for metric, unit in result.units.items():
        means = [result.statistic("mean", controller, names, metric) for controller in result.controllers]
        table.add_row(with_unit(plain(metric), unit), *(f"{mean:.1f}" for mean in means))
    return table


def _column(result: EvaluationResult, name: str, demands: Sequence[str]) -> list[float]:
    return [result.statistic(name, controller, demands, result.primary_metric) for controller in result.controllers]


def _marked(value: float, best: float) -> str:
    return f"[bold]{value:.1f}[/bold]" if value == best else f"{value:.1f}"


def saved(own: float, other: float) -> str:
    """By how much `own` is less than `other`, in percent of it."""
    return "" if other == 0 else f"{100 * (1 - own / other):+.0f} %"
