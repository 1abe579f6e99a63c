import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from genreplay.envs.sumo.pictures.shapes import Crossing, read_shapes
from genreplay.envs.sumo.pictures.signals import (
    AMBER,
    DARK,
    GREEN,
    LOOKS,
    RED,
    YELLOW,
    YIELD,
    SignalDrawing,
    ends,
    key,
    look_of,
    stripes,
)
from tests.helpers.paths import DATA

CROSSING = Crossing(0, [(0.0, 0.0), (6.0, 0.0)], 4.0)


def test_every_signal_of_sumo_has_a_look() -> None:
    assert {character: look_of(character).color for character in "rugGyYsoO"} == {
        "r": RED,
        "u": AMBER,
        "g": YIELD,
        "G": GREEN,
        "y": YELLOW,
        "Y": YELLOW,
        "s": YIELD,
        "o": YELLOW,
        "O": DARK,
    }
    assert look_of("G").path == "solid"
    assert look_of("g").path == "dashed", "who gives way is told from who has right of way without colours too"
    assert not look_of("r").path
    assert not look_of("u").path


def test_the_legend_has_what_is_shown() -> None:
    assert [entry.get_label() for entry in key("rGGr")] == ["green, right of way", "red"]
    assert len(key("".join(LOOKS))) == len(LOOKS)


def test_stripes_and_ends_of_a_crossing() -> None:
    """Stripes across 6 m of road, 4 m wide; people wait at both ends."""
    drawn = np.array(stripes(CROSSING))
    assert drawn[:, :, 0].min() >= 0
    assert drawn[:, :, 0].max() <= 6
    assert (drawn[:, :, 1].min(), drawn[:, :, 1].max()) == (-2, 2)
    assert len(drawn) == 5
    assert [sorted(end) for end in ends(CROSSING)] == [[(0, -2), (0, 2)], [(6, -2), (6, 2)]]


@pytest.mark.parametrize(
    ("state", "greens", "yields", "walks"),
    [
        ("gGGggrrrrrgGGggrrrrrrGrG", 4, 4, 2),
        ("rrrrrgGGggrrrrrgGGggrrrr", 4, 4, 0),
        ("yyyyyrrrrryyyyyrrrrrrrrr", 0, 0, 0),
    ],
)
def test_a_state_on_the_map(state: str, greens: int, yields: int, walks: int) -> None:
    """Two ways straight on, right and left on each of two open approaches; the turn back has no path of its own."""
    shapes = read_shapes(DATA / "signals/ped.net.xml", "C")
    axes = Figure().add_subplot()
    drawing = SignalDrawing(axes, shapes, 4.0)
    drawing.update(state)
    colors = [to_hex(color) for color in drawing.paths.get_colors()]
    assert colors.count(GREEN) == greens
    assert colors.count(YIELD) == yields
    lit = {to_hex(color) for color in drawing.open_walks.get_facecolor()}
    assert lit == ({GREEN} if walks else set())
    assert len(drawing.open_walks.get_paths()) == walks * len(stripes(shapes.crossings[0]))
    lines = [to_hex(color) for color in drawing.lines.get_colors()]
    assert len(lines) == 20, "one for each turn"
    assert lines.count(RED) == state[:20].count("r")
