"""The tables of a run's page, and the words in them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from genreplay.common.text import plain, with_unit
from genreplay.evaluation.episode_pool import POLICY
from genreplay.evaluation.result import GROUPS, BaselineComparison, EvaluationResult
from genreplay.evaluation.tables import saved
from genreplay.reporting import charts
from genreplay.reporting.charts import Picture
from genreplay.runs.record import Record


class Table(NamedTuple):
    """A table whose rows begin with a name."""

    title: str
    header: list[str]
    rows: list[tuple[str, list[tuple[str, bool]]]]
    """Name, and its cells with whether each is the best of its column."""
    names: str = "controller"
    """What the names are."""


def statistic_table(result: EvaluationResult, statistic: str) -> Table:
    """A statistic of the primary metric by controller and demand."""
    groups = result.groups()
    title = f"{plain(statistic).capitalize()} {plain(result.primary_metric)} over seeds"
    title = with_unit(title, result.units[result.primary_metric])
    values = {
        controller: [result.statistic(statistic, controller, names, result.primary_metric) for names in groups.values()]
        for controller in result.controllers
    }
    best = [(min if result.minimise else max)(column) for column in zip(*values.values(), strict=True)]
    saves = [where for where in groups if where in GROUPS] if result.minimise and POLICY in values else []
    places = [list(groups).index(where) for where in saves]
    rows = []
    for controller, cells in values.items():
        texts = [(f"{value:.1f}", value == good) for value, good in zip(cells, best, strict=True)]
        for place in places:
            texts.append(("" if controller == POLICY else saved(values[POLICY][place], cells[place]), False))
        rows.append((controller, texts))
    return Table(title, [*groups, *(f"policy saves, {where}" for where in saves)], rows)


def metrics_table(result: EvaluationResult) -> Table:
    """Means of all metrics, a column for each controller."""
    names = [demand.name for demand in result.demands]
    rows = [
        (
            with_unit(plain(metric), unit),
            [(f"{result.statistic('mean', c, names, metric):.1f}", False) for c in result.controllers],
        )
        for metric, unit in result.units.items()
    ]
    header = [plain(controller) for controller in result.controllers]
    return Table("All figures, means over demands and seeds", header, rows, "metric")


def against(own: float, comparison: BaselineComparison, minimise: bool, unit: str) -> tuple[str, str]:
    """The policy's figure compared with a baseline's, in words up to its name, and `good`, `bad` or neither."""
    share = 100 * abs(1 - own / comparison.value) if comparison.value > 0 else 0.0
    amount = f"{abs(own - comparison.value):.1f}{f' {unit}' if unit else ''}"
    if minimise and comparison.value > 0:
        amount = f"{share:.0f} %"
    if float(amount.split()[0]) == 0.0:
        return "as much as", ""
    is_better = own < comparison.value if minimise else own > comparison.value
    return f"{amount} {'less' if own < comparison.value else 'more'} than", "good" if is_better else "bad"


class Refit(NamedTuple):
    """How good the synthetic rows of one fit of the generator were."""

    env_step: int
    figure: Picture
    header: list[str]
    columns: list[list[str]]
    """A row for each column of the transition, those that differ most first."""


def refits(folder: Path) -> list[Refit]:
    """Every refit whose figure and table are in a folder of artifacts, in order."""
    found = []
    for path in sorted(folder.glob("env_step_*.csv")):
        env_step = int(path.stem.rpartition("_")[2])
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        by = header.index("wasserstein")
        rows.sort(key=lambda row: -float(row[by]))
        shown = [[name, *(f"{float(text):.3g}" for text in values)] for name, *values in rows]
        alt = (
            f"Synthetic and real transitions at env step {env_step}: histograms of the columns that differ most "
            f"({', '.join(row[0] for row in rows[:3])}, ...) and correlations of all columns"
        )
        image = path.with_suffix(".png").read_bytes()
        figure = Picture(charts.as_uri(image, "image/png"), alt)
        found.append(Refit(env_step, figure, [plain(text) for text in header], shown))
    return found


def diagnostics(run: Record) -> dict[str, dict[int, float]]:
    """Each figure of the synthetic rows by the env step of the fit."""
    prefix = "diagnostics/"
    found = {name.removeprefix(prefix): series for name, series in run.metrics.items() if name.startswith(prefix)}
    return {name: dict(zip(*series, strict=True)) for name, series in found.items()}
