import pytest

from genreplay.evaluation.greens import Greens
from genreplay.reporting.charts import theme
from genreplay.reporting.figures import by_demand, green_bars, greens, legend_columns

CONTROLLERS = ["policy", "fixed_plan", "constant_plan", "delay_based", "fully_actuated_by_turn", "longest_queue"]


def test_green_bars_add_up_to_the_whole_time() -> None:
    (axes,) = green_bars({"policy": [0.5, 0.3], "fixed_plan": [0.25, 0.25]}).axes
    widths = [[bar.get_width() for bar in bars] for bars in axes.containers]
    assert widths == [pytest.approx([50, 25]), pytest.approx([30, 25]), pytest.approx([20, 50])]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["policy", "fixed plan"]


def test_greens_have_a_panel_for_each_controller_and_a_colour_for_each_demand() -> None:
    medians = {("policy", "1000"): 10.0, ("policy", "2000"): 30.0, ("webster", "1000"): 20.0, ("webster", "2000"): 60.0}
    rows = {
        key: [Greens(*key, 0, 9, median, median - 5, median + 7, 1.0), Greens(*key, 1, 0, None, None, None, 0.0)]
        for key, median in medians.items()
    }
    left, right = greens(rows).axes
    assert [axes.get_title() for axes in (left, right)] == ["policy", "webster"]
    assert [line.get_ydata().tolist() for line in left.lines] == [[10.0], [30.0]], "no mark for what was never shown"
    assert [each.get_paths()[0].vertices[:, 1].tolist() for each in left.collections] == [[5.0, 17.0], [25.0, 37.0]]
    assert left.get_ylim() == right.get_ylim()
    assert left.get_ylim()[0] == 0
    assert left.get_ylim()[1] > 67, "the other panel's greens fit"
    assert right.lines[0].get_color() == left.lines[0].get_color() != left.lines[1].get_color()


@pytest.mark.parametrize("kind", ["demands", "stages", "greens"])
def test_legends_lie_within_their_figures(kind: str) -> None:
    """With more and longer names than any map has."""
    with theme():
        if kind == "demands":
            values = {"delay": {name: [[1.0, 2.0]] for name in CONTROLLERS}}
            figure = by_demand(["1000"], values, {"delay": "delay (s)"})
        elif kind == "greens":
            row = Greens("policy", "tidal", 0, 1, 5.0, 5.0, 5.0, 1.0)
            figure = greens({("policy", demand): [row] for demand in ("counts of a Tuesday", "tidal")})
        else:
            figure = green_bars({name: [0.05] * 12 for name in CONTROLLERS})
        figure.draw_without_rendering()
    (legend,) = figure.legends
    box, page = legend.get_window_extent(), figure.bbox
    assert box.x0 >= page.x0
    assert box.x1 <= page.x1
    assert box.y1 <= page.y1
    assert all(box.y0 >= axes.get_window_extent().y1 for axes in figure.axes), "not over the bars"


def test_columns_of_a_legend() -> None:
    assert legend_columns(["a", "b"], 8.0) == 2, "no more than entries"
    assert legend_columns(["x" * 200], 4.0) == 1
