"""A comparison as tables of text: for the screen, Markdown and LaTeX, and as rows of numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.markup import escape
from rich.table import Table

from genreplay.common.statistics import Estimate
from genreplay.comparison.compare import Row
from genreplay.comparison.measures import Measure, measured
from genreplay.comparison.result import Comparison


class TextTable(NamedTuple):
    """A table of text; the first column names the rows."""

    title: str
    header: list[str]
    rows: list[list[str]]


def tables(comparison: Comparison) -> list[TextTable]:
    """One for each measure, the main one first."""
    return [_table(comparison, measure, rows) for measure, rows in comparison.tables.items()]


def _table(comparison: Comparison, measure: Measure, rows: Sequence[Row]) -> TextTable:
    columns: dict[str, list[str]] = {"arm": [row.arm for row in rows]}
    if len(comparison.worlds) > 1:
        columns["environment"] = [row.world for row in rows]
    digits = _digits(row.iqm.value for row in rows)
    columns["seeds"] = [str(row.num_runs) for row in rows]
    columns["IQM (95 %)"] = [_with_interval(row.iqm, digits) for row in rows]
    columns["median"] = [f"{row.median.value:.{digits}f}" for row in rows]
    if any(row.gap for row in rows):
        columns["gap to the threshold"] = ["" if row.gap is None else f"{row.gap.value:.{digits}f}" for row in rows]
    if any(row.reached is not None for row in rows):
        columns["reach the threshold"] = ["" if row.reached is None else f"{row.reached:.0%}" for row in rows]
    if any(row.difference for row in rows):
        columns[f"minus {comparison.baseline} (95 %)"] = [_with_interval(row.difference, digits, "+") for row in rows]
        if any(row.adjusted for row in rows):
            columns["adjusted 95 %"] = [
                "" if row.adjusted is None else interval(row.adjusted, digits, "+") for row in rows
            ]
        columns["P(better) (95 %)"] = [_with_interval(row.improvement, 2) for row in rows]
    better = "lower" if measure.minimise else "higher"
    title = f"{capitalized(measure.label)}, {better} is better ({comparison.standing(measure)})"
    return TextTable(title, list(columns), [list(cells) for cells in zip(*columns.values(), strict=True)])


def capitalized(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]


def interval(estimate: Estimate, digits: int, sign: str = "") -> str:
    """`low to high`; empty where there is none."""
    if math.isnan(estimate.low):
        return ""
    return f"{estimate.low:{sign}.{digits}f} to {estimate.high:{sign}.{digits}f}"


def _with_interval(estimate: Estimate | None, digits: int, sign: str = "") -> str:
    if estimate is None:
        return ""
    spread = interval(estimate, digits, sign)
    return f"{estimate.value:{sign}.{digits}f}" + (f" ({spread})" if spread else "")


def _digits(values: Iterator[float] | Sequence[float]) -> int:
    """Digits behind the point: one, more for small values, none for large ones."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=1.0)
    return 0 if largest >= 5000 else 1 if largest >= 10 or largest == 0 else 2 if largest >= 1 else 3


LEGEND = (
    "IQM: interquartile mean over seeds. 95 %: bootstrap interval, stratified by environment. minus: difference from "
    "the baseline, of paired seeds where both have the same ones. adjusted 95 %: intervals that hold for all "
    "comparisons of a table together (Bonferroni). P(better): probability that a run is better than one of the "
    "baseline."
)


# Numbers -------------------------------------------------------------------------------------------------------------


def numbers(comparison: Comparison) -> list[dict[str, Any]]:
    """Every statistic, a row for each measure, environment and arm."""
    return [
        {
            "measure": measure.name,
            "standing": comparison.standing(measure),
            "world": row.world,
            "arm": row.arm,
            "runs": row.num_runs,
            **_flat("iqm", row.iqm),
            **_flat("median", row.median),
            "mean": row.mean,
            **_flat("optimality_gap", row.gap),
            "reached": "" if row.reached is None else row.reached,
            "paired": "" if row.difference is None else int(row.is_paired),
            **_flat("difference", row.difference),
            **_flat("adjusted", row.adjusted),
            **_flat("improvement", row.improvement),
        }
        for measure, rows in comparison.tables.items()
        for row in rows
    ]


def of_runs(comparison: Comparison) -> list[dict[str, Any]]:
    """Every measure of every run, a row each."""
    return [
        {
            "arm": run.arm,
            "world": run.world,
            "seed": run.seed,
            "name": run.name,
            "run_id": run.run_id,
            "evaluations": len(run.points),
            **{m.name: measured(run, m, comparison.metric, comparison.threshold) for m in comparison.tables},
        }
        for run in comparison.runs
    ]


def _flat(name: str, estimate: Estimate | None) -> dict[str, Any]:
    values = ("", "", "") if estimate is None else estimate
    names = (name, f"{name}_low", f"{name}_high")
    return {key: "" if value != value else value for key, value in zip(names, values, strict=True)}


# Formats -------------------------------------------------------------------------------------------------------------


def as_rich(table: TextTable) -> Table:
    """For the screen."""
    shown = Table(title=escape(table.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for i, name in enumerate(table.header):
        shown.add_column(escape(name), justify="left" if i == 0 else "right", no_wrap=i == 0)
    for row in table.rows:
        shown.add_row(*(escape(text.replace(" to ", "\u00a0to\u00a0")) for text in row))
    return shown


def as_markdown(table: TextTable) -> str:
    """With its title in bold."""
    lines = [table.header, ["---", *["---:"] * (len(table.header) - 1)], *table.rows]
    rule = lines[1]
    text = [f"| {' | '.join(line if line is rule else map(markdown, line))} |" for line in lines]
    return "\n".join([f"**{markdown(table.title)}**", "", *text, ""])


def markdown(text: str) -> str:
    """Text that Markdown and HTML leave alone."""
    text = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", " ".join(text.split()))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_latex(table: TextTable) -> str:
    """A `table` with rules of the package booktabs."""
    columns = "l" + "r" * (len(table.header) - 1)
    rows = [" & ".join(map(latex, row)) + r" \\" for row in (table.header, *table.rows)]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{latex(table.title)}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            f"    {rows[0]}",
            r"    \midrule",
            *(f"    {row}" for row in rows[1:]),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def latex(text: str) -> str:
    """Text with LaTeX's own letters escaped; a minus in front of a number is set as one."""
    escaped = "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
    return re.sub(r"(?<![\w.-])-(?=\d)", r"$-$", escaped)
