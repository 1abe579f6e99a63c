"""Charts of the page: what is drawn, in whose colours."""

import base64
import re
import xml.etree.ElementTree as ET

from genreplay.reporting.charts import GREY, INK, Chart, Line
from genreplay.runs.record import Series

METRICS = {"agent/loss": Series([10, 20], [4.0, 0.5]), "agent/level": Series([10, 20], [1.0, 1.0])}


def svg(chart: Chart) -> str:
    picture = chart.draw(METRICS)
    assert picture is not None
    kind, _, data = picture.uri.partition(",")
    assert kind == "data:image/svg+xml;base64"
    text = base64.b64decode(data).decode()
    ET.fromstring(text)
    return text


def test_a_chart_has_what_the_run_has() -> None:
    chart = Chart(
        "Loss", [Line("agent/loss", "all"), Line("agent/other", "missing"), Line("agent/level", "even", True)]
    )
    text = svg(chart)
    assert ">Loss<" in text
    assert ">all<" in text
    assert ">missing<" not in text
    assert chart.draw(METRICS).alt == ("Loss: all 4 at env step 10, 0.5 at 20; even 1 at env step 10, 1 at 20")


def test_nothing_but_references_is_no_chart() -> None:
    assert Chart("Loss", [Line("agent/level", "even", True)]).draw(METRICS) is None
    assert Chart("Loss", [Line("agent/other", "missing")], level=1.0).draw(METRICS) is None


def test_text_takes_the_colour_of_the_page_and_nothing_is_fetched() -> None:
    text = svg(Chart("Loss", [Line("agent/loss", "all")], level=1.0))
    assert "prefers-color-scheme:dark" in text
    assert "currentColor" in text
    assert INK not in text
    assert GREY not in text
    assert not re.search(r"""(href|src)=["'](?!#)""", text)
    assert "<image" not in text


def test_the_same_figures_make_the_same_picture() -> None:
    chart = Chart("Loss", [Line("agent/loss", "all")])
    assert svg(chart) == svg(chart)
