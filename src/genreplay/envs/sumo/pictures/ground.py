"""The map below the traffic: roads, tracks, pavements, and the arrows that show the turns of each lane."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from genreplay.envs.sumo.pictures.shapes import BUS_LANE, CYCLEWAY, RAIL, ROADWAY, SIDEWALK, Line, MapShapes, StopLine

GROUND, EDGE, PAVEMENT, GAP = "#eeece6", "#868c93", "#cfccc4", 0.4
"""Colours of the ground, the edge of lanes, and where people walk; width of the edge, m."""
SURFACES = {ROADWAY: "#565b61", SIDEWALK: PAVEMENT, RAIL: "#6f655c", CYCLEWAY: "#7d5a55", BUS_LANE: "#6d565f"}
MARK = "#f4f5f6"
SET_BACK = 2.5
"""From the stop line to the tips of the arrows, m."""


def draw_ground(axes: Axes, shapes: MapShapes, points_per_metre: float) -> None:
    """Draw what does not change during a film."""
    for gap, zorder in ((0.0, 1.0), (GAP, 1.1)):
        widths = [(surface.width - gap) * points_per_metre for surface in shapes.surfaces]
        colors = [EDGE if gap == 0.0 else SURFACES[surface.kind] for surface in shapes.surfaces]
        lines = [surface.middle for surface in shapes.surfaces]
        axes.add_collection(LineCollection(lines, linewidths=widths, colors=colors, capstyle="butt", zorder=zorder))
    axes.add_collection(PolyCollection(shapes.junctions, facecolors=SURFACES[ROADWAY], zorder=2))
    axes.add_collection(PolyCollection(shapes.pavements, facecolors=PAVEMENT, zorder=2.05))
    strokes, heads = [], []
    for line in shapes.stop_lines:
        for angle in {turn.angle for turn in line.turns}:
            stroke, tip = arrow(line, angle)
            strokes.append(stroke)
            heads.append(tip)
    width = max(1.0, 0.3 * points_per_metre)
    axes.add_collection(LineCollection(strokes, linewidths=width, colors=MARK, zorder=2.3, capstyle="butt"))
    axes.add_collection(PolyCollection(heads, facecolors=MARK, zorder=2.3))


def arrow(line: StopLine, angle: float) -> tuple[Line, Line]:
    """The arrow painted before a stop line for a turn: its stroke and the triangle at its end.

    Arrows of the same lane share their stem, so that they read as one.

    Args:
        line: the stop line.
        angle: of the turn, degrees to the left (see `TURNS`).
    """
    side = -math.copysign(1.0, angle)
    long, wide = 1.7, 0.8
    if angle == 0:
        points = [(-10.0, 0.0), (-2.0, 0.0)]
    elif abs(angle) == 180:
        points = [(-10.0, 0.0), (-7.0, 0.0), (-6.4, 0.3 * side), (-6.4, 0.6 * side), (-7.0, 0.9 * side)]
        points, wide = [*points, (-7.6, 0.9 * side)], 0.65
    elif abs(angle) == 90:
        points, long = [(-10.0, 0.0), (-4.8, 0.0), (-4.3, 0.3 * side), (-4.3, 0.4 * side)], 1.1
    else:
        points = [(-10.0, 0.0), (-4.0, 0.0), (-2.8, 0.4 * side)]
    (ahead, right), radians = points[-1], math.radians(angle)
    (da, dr) = (math.cos(radians), -math.sin(radians))
    tip = [
        (ahead + long * da, right + long * dr),
        (ahead + wide * dr, right - wide * da),
        (ahead - wide * dr, right + wide * da),
    ]
    return [line.at(a - SET_BACK, r) for a, r in points], [line.at(a - SET_BACK, r) for a, r in tip]
