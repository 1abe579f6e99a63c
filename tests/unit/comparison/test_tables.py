"""Tables of text: what they say, and that no name breaks Markdown, LaTeX or the screen."""

import re

import pytest
from rich.console import Console

from genreplay.common.statistics import Estimate
from genreplay.comparison.tables import TextTable, as_latex, as_markdown, as_rich, interval, latex, markdown
from tests.helpers.comparisons import HOSTILE

TABLE = TextTable("area of x_1", ["arm", "IQM"], [[HOSTILE, "-3.5 (-7.0 to +0.1)"], ["[bold]b[/bold]", "2"]])


def unescaped(text: str, letters: str) -> list[str]:
    """LaTeX's own letters that no backslash takes away."""
    return re.findall(rf"(?<!\\)[{re.escape(letters)}]", text)


def test_latex_is_balanced_and_escaped():
    text = as_latex(TABLE)
    body = text.replace(r"\textbackslash{}", "")
    assert len(unescaped(body, "{")) == len(unescaped(body, "}"))
    assert re.findall(r"\\begin\{(\w+)\}", text) == list(reversed(re.findall(r"\\end\{(\w+)\}", text)))
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(rf"\{rule}") == 1
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [len(unescaped(row, "&")) for row in rows] == [1, 1, 1]
    assert unescaped(rows[1].replace("$-$", "").replace("$+$", ""), "$%#_^~") == []
    assert r"area of x\_1" in text


def test_latex_minus_signs_are_set_as_such():
    assert latex("-3.5 (-7.0 to +0.1)") == "$-$3.5 ($-$7.0 to +0.1)"
    assert latex("sumo-rl 2-way") == "sumo-rl 2-way"


def test_markdown_keeps_its_columns():
    lines = as_markdown(TABLE).splitlines()
    assert lines[0] == r"**area of x\_1**"
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines[2:]] == [3, 3, 3, 3]
    assert "<" not in markdown(HOSTILE)


def test_the_screen_shows_names_as_they_are():
    console = Console(width=300, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(as_rich(TABLE))
    text = console.export_text()
    assert HOSTILE in text
    assert "[bold]b[/bold]" in text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [(Estimate(1, -2, 3), "-2.0 to +3.0"), (Estimate(1, float("nan"), float("nan")), "")],
)
def test_an_interval(estimate, text):
    assert interval(estimate, 1, "+") == text
