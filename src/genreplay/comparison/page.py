"""A comparison as one HTML page that needs no other file, no script and no network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup

from genreplay import __version__
from genreplay.common.text import plain, with_unit
from genreplay.comparison.plan import moment
from genreplay.comparison.result import Comparison
from genreplay.comparison.runs import listed
from genreplay.comparison.tables import LEGEND, capitalized, interval, tables
from genreplay.reporting.templates import template


def page(comparison: Comparison, pictures: Mapping[str, str], command: str) -> str:
    """The page's HTML.

    Args:
        comparison: to show.
        pictures: SVG elements by name, see `figures.all_figures`.
        command: that made it.
    """
    main, *others = tables(comparison)
    alts = captions(comparison)
    return template("comparison.html", "genreplay.comparison", {"capitalize_first": capitalized}).render(
        version=__version__,
        title=title(comparison),
        made=moment(datetime.now(UTC)),
        command=command,
        metric=with_unit(plain(comparison.metric.name), comparison.metric.unit),
        is_lower_better=comparison.metric.minimise,
        window=window(comparison),
        num_runs=len(comparison.runs),
        arms=comparison.arms,
        baseline=comparison.baseline,
        plan=comparison.plan,
        deviations=deviations(comparison),
        outcomes=outcomes(comparison),
        notes=comparison.notes,
        main_table=main,
        other_tables=others,
        legend=LEGEND,
        captions=alts,
        pictures={name: _inline(svg, alts[name]) for name, svg in pictures.items()},
        differences=comparison.differences,
        runs=comparison.runs,
    )


def title(comparison: Comparison) -> str:
    """The study, or the arms."""
    if comparison.plan is not None:
        return f"Study {comparison.plan.study}"
    others = comparison.arms[1:]
    return f"{listed(others, 3)} and {comparison.baseline}" if others else comparison.baseline


def window(comparison: Comparison) -> str:
    """The compared evaluations, in words."""
    steps = sorted({step for run in comparison.runs for step in run.points})
    if len(steps) == 1:
        return f"the evaluation at env step {steps[0]:,}"
    return f"{len(steps)} evaluations from env step {steps[0]:,} to {steps[-1]:,}"


def deviations(comparison: Comparison) -> list[str]:
    """In what the comparison is not the planned one."""
    if comparison.plan is None or not comparison.changes:
        return []
    given = listed(comparison.changes)
    return [f"Exploratory as a whole: {given} replaced what the plan states."]


def outcomes(comparison: Comparison) -> list[str]:
    """Whether each arm came out as the plan expects, by the interval for all comparisons together."""
    if comparison.plan is None or not comparison.is_planned:
        return []
    expected = comparison.plan.config.expected
    told = []
    for row in comparison.tables[comparison.main]:
        shown = row.adjusted or row.difference
        if shown is None:
            continue
        is_lower, is_higher = shown.high < 0, shown.low > 0
        found = "lower" if is_lower else "higher" if is_higher else ""
        what = "as expected" if found == expected else "against what was expected" if found else "not shown to differ"
        spread = interval(shown, 2, "+")
        place = f", {row.world}" if len(comparison.worlds) > 1 else ""
        told.append(f"{row.arm}{place}: {what} ({shown.value:+.2f}{f', {spread}' if spread else ''})")
    return told


def captions(comparison: Comparison) -> dict[str, str]:
    """Of the figures, by name."""
    metric, measure = plain(comparison.metric.name), comparison.main.label
    held = "several comparisons together" if len(comparison.arms) > 2 else "it"
    thin = f"; thin lines hold for {held}" if len(comparison.arms) > 2 else ""
    return {
        "curves": f"{metric.capitalize()} on the evaluation episodes: interquartile means over seeds with 95 % "
        "bootstrap bands, or the single runs where an arm has fewer than five.",
        "differences": f"Difference from {comparison.baseline}, {measure}: 95 % intervals{thin}.",
        "profile": f"Performance profile: share of runs that are at least as good as each level of the {measure}.",
    }


def _inline(svg: str, alt: str) -> Markup:
    """The SVG with a text for those who cannot see it, without the metadata that Matplotlib adds."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    label = Markup('<svg role="img" aria-label="{}" ').format(alt)
    return label + Markup(svg.removeprefix("<svg "))
