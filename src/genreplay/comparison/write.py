"""The files of a comparison, and the run in MLflow that keeps them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from matplotlib import rc_context

from genreplay.common.files import make_folder, write_csv
from genreplay.common.scratch import Scratch
from genreplay.comparison.figures import all_figures
from genreplay.comparison.page import captions, deviations, outcomes, page, title, window
from genreplay.comparison.result import Comparison
from genreplay.comparison.runs import write_points
from genreplay.comparison.tables import LEGEND, as_latex, as_markdown, markdown, numbers, of_runs, tables
from genreplay.reporting.charts import svg, theme
from genreplay.runs import store
from genreplay.runs.comparisons import publish

DPI = 150
NAMES = ("comparison", "runs", "curves", "profile", "differences")
"""Of its files, without their endings."""


def write(comparison: Comparison, folder: Path, command: str) -> str | None:
    """Write every file to `folder`, and keep them in the store; the id of the run there, None where there is no store.

    Raises:
        UserError: the folder cannot be written to, or the store cannot be used.
    """
    make_folder(folder)
    write_csv(folder / "comparison.csv", numbers(comparison))
    write_csv(folder / "runs.csv", of_runs(comparison))
    write_points(folder / "curves.csv", comparison.everything, comparison.metric)
    pictures = _draw(comparison, folder)
    (folder / "comparison.md").write_text(as_text(comparison, list(pictures)), encoding="utf-8")
    latex = [as_latex(table) for table in tables(comparison)]
    (folder / "comparison.tex").write_text("\n".join(["% needs \\usepackage{booktabs}", *latex]), encoding="utf-8")
    (folder / "comparison.html").write_text(page(comparison, pictures, command), encoding="utf-8")
    return _keep(comparison, folder, command)


def _draw(comparison: Comparison, folder: Path) -> dict[str, str]:
    """Write each figure as PNG and SVG; an SVG element of each, by name, for the page."""
    with theme(), rc_context({"text.parse_math": False}):  # a name may hold a dollar sign
        found = all_figures(comparison)
        for name, figure in found.items():
            figure.savefig(folder / f"{name}.png", dpi=DPI)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        return {name: svg(figure) for name, figure in found.items()}


def as_text(comparison: Comparison, figures: Collection[str]) -> str:
    """The comparison as Markdown: plan, notes, tables, the figures of these names."""
    plan = comparison.plan
    lines = [f"# {markdown(title(comparison))}", ""]
    if plan is None:
        lines += ["No study was named: every measure is exploratory.", ""]
    else:
        lines += [f"Plan: {markdown(plan.sentence())}.", "", f"{markdown(plan.registration())}.", ""]
    for heading, told in (("", deviations(comparison)), ("", outcomes(comparison)), ("Notes:", comparison.notes)):
        if told:
            lines += [*([heading, ""] if heading else []), *(f"- {markdown(text)}" for text in told), ""]
    lines += [f"Compared: {window(comparison)}.", "", *map(as_markdown, tables(comparison)), LEGEND, ""]
    for name, caption in captions(comparison).items():
        if name in figures:
            lines += [f"![{markdown(caption)}]({name}.png)", ""]
    for arm, keys in comparison.differences.items():
        told_keys = ", ".join(f"`{key}`" for key in keys) or "no option"
        lines += [f"- {markdown(arm)} differs from {markdown(comparison.baseline)} in {told_keys}"]
    return "\n".join(lines).rstrip() + "\n"


def _keep(comparison: Comparison, folder: Path, command: str) -> str | None:
    uri = comparison.uri or store.store_uri(None)
    if not store.is_writable(uri):
        return None
    arms: dict[str, list[str]] = {}
    for run in comparison.runs:
        if run.run_id:
            arms.setdefault(run.arm, []).append(run.run_id)
    tags = {
        "command": command,
        "metric": comparison.metric.name,
        "measure": comparison.main.name,
        "standing": comparison.standing(comparison.main),
        "baseline": comparison.baseline,
    }
    if comparison.plan is not None:
        tags["study"] = comparison.plan.study
    with Scratch("comparison") as scratch:
        for path in folder.iterdir():
            if path.is_file() and path.stem in NAMES:
                (Path(scratch) / path.name).write_bytes(path.read_bytes())
        return publish(uri, title(comparison), Path(scratch), arms, tags)
