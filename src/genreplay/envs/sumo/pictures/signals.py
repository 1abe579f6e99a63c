"""The light on the picture: stop lines, turns that are open, and crossings, in the looks of their signals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D

from genreplay.envs.sumo.pictures.shapes import Crossing, Line, MapShapes, Point, StopLine

GREEN, YIELD, YELLOW, AMBER, RED, DARK = "#2ee66b", "#a9ec2a", "#ffd000", "#ff8a1f", "#ff3b30", "#b9bec4"


class Look(NamedTuple):
    """How a signal is shown."""

    meaning: str
    color: str
    path: Literal["solid", "dashed", "dotted", ""] = ""
    """Line style of the turns over the junction; empty where none is shown."""


LOOKS = {
    "G": Look("green, right of way", GREEN, "solid"),
    "g": Look("green, gives way", YIELD, "dashed"),
    "s": Look("green arrow: stop first", YIELD, "dotted"),
    "y": Look("yellow", YELLOW, "solid"),
    "u": Look("red and amber", AMBER),
    "r": Look("red", RED),
    "o": Look("blinking: gives way", YELLOW, "dotted"),
    "O": Look("off: right of way", DARK, "dotted"),
}
"""By the characters of SUMO's signal states; `Y` is an old way to write `y`."""
OFF = Look("off", DARK)
STRIPE, STRIPE_GAP = 0.5, 0.6
"""Width of a stripe of a crossing, and of the gap to the next one, m."""
WHITE = "#e8eaec"


def look_of(character: str) -> Look:
    """The look of a signal."""
    return LOOKS.get("y" if character == "Y" else character, OFF)


class SignalDrawing:
    """The stop lines, open turns and crossings of one panel.

    Args:
        axes: the panel's map, in m.
        shapes: of the map.
        points_per_metre: scale of the picture.
    """

    def __init__(self, axes: Axes, shapes: MapShapes, points_per_metre: float):
        self._turns = [turn for line in shapes.stop_lines for turn in line.turns]
        self._crossings = [crossing for crossing in shapes.crossings if crossing.signal is not None]
        marks = [stripe for crossing in shapes.crossings for stripe in stripes(crossing)]
        axes.add_collection(PolyCollection(marks, facecolors=WHITE, zorder=2.1))
        self._walks = [stripes(crossing) for crossing in self._crossings]
        self.open_walks = PolyCollection([], zorder=2.2)
        self._ends = LineCollection(
            [end for crossing in self._crossings for end in ends(crossing)], linewidths=3.5, zorder=3, capstyle="butt"
        )
        self.lines = LineCollection(
            [segment for line in shapes.stop_lines for segment in segments(line)],
            linewidths=5.5,
            zorder=3,
            capstyle="butt",
        )
        self.paths = LineCollection([], linewidths=max(1.6, 0.45 * points_per_metre), zorder=2.5, alpha=0.9)
        self._heads = PolyCollection([], zorder=2.6)
        for collection in (self.open_walks, self._ends, self.lines, self.paths, self._heads):
            axes.add_collection(collection)

    def update(self, state: str) -> None:
        """Show a signal state."""
        self.lines.set_colors([look_of(state[turn.signal]).color for turn in self._turns])
        shown = [(turn, look_of(state[turn.signal])) for turn in self._turns if look_of(state[turn.signal]).path]
        # A turn back is open with the left turn of its lane; its hook would only hide others.
        shown = [(turn, look) for turn, look in shown if abs(turn.angle) < 180]
        self.paths.set_segments([shortened(turn.path) for turn, _ in shown])
        self.paths.set_colors([look.color for _, look in shown])
        self.paths.set_linestyle([look.path for _, look in shown] or ["solid"])
        self._heads.set_verts([head(turn.path) for turn, _ in shown])
        self._heads.set_facecolor([look.color for _, look in shown])
        looks = [look_of(state[crossing.signal or 0]) for crossing in self._crossings]
        self._ends.set_colors([look.color for look in looks for _ in range(2)])
        lit = [(area, look) for areas, look in zip(self._walks, looks, strict=True) if look.path for area in areas]
        self.open_walks.set_verts([area for area, _ in lit])
        self.open_walks.set_facecolor([look.color for _, look in lit])


def key(characters: Iterable[str]) -> list[Any]:
    """Entries of a legend for the signals that a film shows."""
    shown = set(characters)
    return [
        Line2D([], [], color=look.color, linewidth=3, linestyle=look.path or "solid", label=look.meaning)
        for character, look in LOOKS.items()
        if character in shown
    ]


def segments(line: StopLine) -> list[Line]:
    """Each turn's part of the stop line, the rightmost first."""
    edges = np.linspace(line.width / 2, -line.width / 2, len(line.turns) + 1).tolist()
    return [[line.at(0.0, edges[i]), line.at(0.0, edges[i + 1])] for i in range(len(line.turns))]


def stripes(crossing: Crossing) -> list[Line]:
    """The white rectangles of a zebra crossing."""
    half, found = crossing.width / 2, []
    for (x0, y0), (x1, y1) in zip(crossing.middle, crossing.middle[1:], strict=False):
        length = math.hypot(x1 - x0, y1 - y0)
        if length == 0:
            continue
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        for start in np.arange(STRIPE_GAP / 2, length - STRIPE, STRIPE + STRIPE_GAP).tolist():
            corners = ((start, -half), (start + STRIPE, -half), (start + STRIPE, half), (start, half))
            found.append([(x0 + a * dx + b * dy, y0 + a * dy - b * dx) for a, b in corners])
    return found


def ends(crossing: Crossing) -> list[Line]:
    """The lines where people wait for a crossing, one at each end."""
    found = []
    for (x0, y0), (x1, y1) in (crossing.middle[:2], crossing.middle[:-3:-1]):
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        right = ((y1 - y0) / length, (x0 - x1) / length)
        found.append(
            [(x0 + side * right[0], y0 + side * right[1]) for side in (-crossing.width / 2, crossing.width / 2)]
        )
    return found


def head(path: Line, length: float = 2.2, width: float = 2.0) -> Line:
    """The triangle at the end of a path."""
    (x, y), (dx, dy) = path[-1], _direction(path)
    return [
        (x, y),
        (x - length * dx + width / 2 * dy, y - length * dy - width / 2 * dx),
        (x - length * dx - width / 2 * dy, y - length * dy + width / 2 * dx),
    ]


def shortened(path: Line, length: float = 1.8) -> Line:
    """A path that ends within its head."""
    (x, y), (dx, dy) = path[-1], _direction(path)
    kept = [point for point in path[:-1] if math.dist(point, (x, y)) > length]
    return [*(kept or path[:1]), (x - length * dx, y - length * dy)]


def _direction(path: Line) -> Point:
    """Unit vector of the last piece of a path."""
    end = path[-1]
    start = next((point for point in reversed(path) if point != end), (end[0] - 1.0, end[1]))
    length = math.dist(start, end)
    return (end[0] - start[0]) / length, (end[1] - start[1]) / length
