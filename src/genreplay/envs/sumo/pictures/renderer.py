"""Rendering of the intersection with Matplotlib: roads, lights, vehicles, queues and clock.

Shapes: V vehicles, H and W height and width of a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sumolib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.pictures.film import FilmedEpisode

RADIUS = 62.0
"""Half of the width of the area shown around the intersection, m."""
PANEL = 5.0
"""Width of one controller's panel, inches of 100 pixels."""
GROUND, EDGE, ROAD, GAP = "#eeece6", "#858b92", "#565b61", 0.4
"""Colours of ground, lane edge and road; width of the edge, m."""
GREEN, YELLOW, RED, OFF = "#35e065", "#ffd000", "#ff3b30", "#9aa0a6"
LIGHTS = {"G": GREEN, "g": GREEN, "y": YELLOW, "Y": YELLOW, "u": YELLOW, "r": RED, "s": RED}
STANDING, SLOW, MOVING, BACKLOG = "#d6246e", "#f3a712", "#4aa3ff", "#7b2d8b"
STANDING_SPEED, SLOW_SPEED = 0.1, 5.0
"""Below these a vehicle is drawn as standing or slow, m/s."""


class IntersectionRenderer:
    """One panel for each controller with its queues, and the number of waiting vehicles over time below.

    Args:
        net_file: the map.
        intersection: to show.
        episodes: equally long.
    """

    def __init__(self, net_file: Path, intersection: Intersection, episodes: Sequence[FilmedEpisode]):
        self.intersection, self.episodes = intersection, episodes
        net = sumolib.net.readNet(str(net_file), withPrograms=True)
        self.figure = Figure(figsize=(max(PANEL * len(episodes), 6.0), PANEL + 2.6), dpi=100, facecolor="white")
        self._canvas = FigureCanvasAgg(self.figure)
        grid = self.figure.add_gridspec(
            3,
            len(episodes),
            height_ratios=(4.4, 1, 0.9),
            left=0.07,
            right=0.98,
            top=0.91,
            bottom=0.04,
            hspace=0.22,
            wspace=0.14,
        )
        self._clock = self.figure.text(0.07, 0.955, "", fontsize=15, family="monospace")
        meanings = (("standing", STANDING), ("slow", SLOW), ("moving", MOVING), ("waiting to enter the map", BACKLOG))
        self.figure.legend(
            handles=[Patch(color=color, label=name) for name, color in meanings],
            loc="upper right",
            ncols=4 if len(episodes) > 1 else 2,
            fontsize=8,
            frameon=False,
        )
        most = max(max(_waiting(frame)) for episode in episodes for frame in episode.frames)
        self._panels = []
        for place, episode in enumerate(episodes):
            axes = self.figure.add_subplot(grid[0, place])
            bars = self.figure.add_subplot(grid[1, place])
            self._panels.append(_Panel(axes, bars, net, intersection, most))
            axes.set_title(episode.title, fontsize=11, loc="left")
        self._totals = _Totals(self.figure.add_subplot(grid[2, :]), episodes)

    def render(self, index: int) -> np.ndarray:
        """The picture `[H, W, 3]` (uint8) of every episode's frame `index`."""
        clock = int(self.episodes[0].frames[index]["clock"])
        self._clock.set_text(f"{clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}")
        for panel, episode in zip(self._panels, self.episodes, strict=True):
            panel.update(episode.frames[min(index, len(episode.frames) - 1)])
        self._totals.update(index)
        self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()


class _Panel:
    """One controller's intersection and queues."""

    def __init__(self, axes: Axes, bars: Axes, net: Any, intersection: Intersection, most: int):
        self.axes, self.greens = axes, [stage.state for stage in intersection.plan.stages]
        connections = sorted(net.getTLS(intersection.light).getConnections(), key=lambda connection: connection[2])
        self._prepare_map(axes, net, [lane.getShape()[-1] for lane, _, _ in connections])
        segments, self._link_numbers = stop_lines(connections)
        self._lights = LineCollection(segments, linewidths=6, zorder=3, capstyle="butt")
        self._vehicles = PolyCollection([], zorder=4, edgecolors="white", linewidths=0.3)
        axes.add_collection(self._lights)
        axes.add_collection(self._vehicles)
        self._phase = axes.set_title("", fontsize=10, loc="right")
        names = compass_names([net.getEdge(approach.edges[0]).getShape() for approach in intersection.approaches])
        rows = range(len(names))
        self._halting = bars.barh(rows, [0] * len(names), color=STANDING, height=0.7)
        self._backlog = bars.barh(rows, [0] * len(names), color=BACKLOG, height=0.7)
        bars.set_yticks(rows, names, fontsize=8)
        bars.set_xlim(0, max(most, 5) * 1.05)
        bars.invert_yaxis()
        bars.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        bars.tick_params(axis="x", labelsize=7, pad=1)
        bars.set_title("vehicles waiting, by where they come from", fontsize=9, loc="left", pad=3)
        bars.spines[["top", "right"]].set_visible(False)

    def _prepare_map(self, axes: Axes, net: Any, stops: list[tuple[float, float]]) -> None:
        x, y = np.mean(stops, axis=0)
        axes.set(xlim=(x - RADIUS, x + RADIUS), ylim=(y - RADIUS, y + RADIUS), aspect="equal", facecolor=GROUND)
        axes.set_xticks([])
        axes.set_yticks([])
        position = axes.get_position()
        assert axes.figure is not None
        width, height = axes.figure.get_size_inches()  # type: ignore[union-attr]
        points_per_metre = min(position.width * width, position.height * height) * 72 / (2 * RADIUS)
        lanes = [lane for edge in net.getEdges() for lane in edge.getLanes()]
        for color, gap, zorder in ((EDGE, 0.0, 1.0), (ROAD, GAP, 1.1)):
            widths = [(lane.getWidth() - gap) * points_per_metre for lane in lanes]
            shapes = [lane.getShape() for lane in lanes]
            axes.add_collection(LineCollection(shapes, linewidths=widths, colors=color, capstyle="butt", zorder=zorder))
        nodes = [node.getShape() for node in net.getNodes() if len(node.getShape()) > 2]
        axes.add_collection(PolyCollection(nodes, facecolors=ROAD, zorder=2))

    def update(self, frame: dict[str, Any]) -> None:
        self._lights.set_colors([LIGHTS.get(frame["state"][number], "#9aa0a6") for number in self._link_numbers])
        vehicles = np.array(frame["vehicles"], dtype=np.float64).reshape(-1, 6)
        self._vehicles.set_verts(list(outlines(vehicles)))
        speeds = vehicles[:, 3]
        colors = np.where(speeds < STANDING_SPEED, STANDING, np.where(speeds < SLOW_SPEED, SLOW, MOVING))
        self._vehicles.set_facecolor(colors.tolist())
        self._phase.set_text(f"{phase_name(frame['state'], self.greens)}, {frame['held']} s")
        rows = zip(self._halting, self._backlog, frame["halting"], frame["backlog"], strict=True)
        for standing, waiting, halting, backlog in rows:
            standing.set_width(halting)
            waiting.set_x(halting)
            waiting.set_width(backlog)


class _Totals:
    """Waiting vehicles over time, up to the current frame."""

    def __init__(self, axes: Axes, episodes: Sequence[FilmedEpisode]):
        self._curves = [
            ([frame["second"] for frame in episode.frames], [sum(_waiting(frame)) for frame in episode.frames])
            for episode in episodes
        ]
        seconds = [second for curve in self._curves for second in curve[0]]
        axes.set_xlim(min(seconds) - 1, max(seconds) + 1)
        axes.set_ylim(0, 1.1 * max(1, *(max(totals) for _, totals in self._curves)))
        self._lines = [
            axes.plot([], [], color=color, label=episode.title)[0]
            for episode, color in zip(episodes, ("C0", "0.45"), strict=False)
        ]
        axes.set_title("all waiting vehicles, by second of the episode", fontsize=9, loc="left", pad=3)
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        if len(episodes) > 1:
            axes.legend(fontsize=7, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.95), ncols=len(episodes))

    def update(self, index: int) -> None:
        for line, (seconds, totals) in zip(self._lines, self._curves, strict=True):
            line.set_data(seconds[: index + 1], totals[: index + 1])


def outlines(vehicles: np.ndarray) -> np.ndarray:
    """Corners `[V, 4, 2]` of vehicles `[V, 6]` as a `Recorder` notes them; drawn at least 4.5 m by 2 m."""
    x, y, angle, _, length, width = vehicles.T
    forward = np.stack([np.sin(np.radians(angle)), np.cos(np.radians(angle))], axis=1)
    side = np.stack([forward[:, 1], -forward[:, 0]], axis=1) * np.maximum(width, 2.0)[:, None] / 2
    front = np.stack([x, y], axis=1)
    back = front - forward * np.maximum(length, 4.5)[:, None]
    return np.stack([front - side, front + side, back + side, back - side], axis=1)


def stop_lines(connections: Sequence[Any]) -> tuple[list[list[tuple[float, float]]], list[int]]:
    """For each connection (from lane, to lane, number) its part of the lane's stop line, and its signal's number."""
    by_lane: dict[Any, list[int]] = {}
    for lane, _, number in connections:
        by_lane.setdefault(lane, []).append(number)
    segments, numbers = [], []
    for lane, own in by_lane.items():
        (x0, y0), (x1, y1) = lane.getShape()[-2:]
        norm = math.hypot(x1 - x0, y1 - y0) or 1.0
        right = ((y1 - y0) / norm, (x0 - x1) / norm)
        width = lane.getWidth()
        # A lane's connections count from the right.
        edges = np.linspace(width / 2, -width / 2, len(own) + 1)
        for i, number in enumerate(own):
            ends = (edges[i], edges[i + 1])
            segments.append([(x1 + right[0] * end, y1 + right[1] * end) for end in ends])
            numbers.append(number)
    return segments, numbers


def compass_names(shapes: Sequence[Sequence[tuple[float, float]]]) -> list[str]:
    """Where each road `shape` (m, east and north, toward the light) comes from: N, NE, ...; numbered where alike."""
    points = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
    names: list[str] = []
    for shape in shapes:
        (x0, y0), (x1, y1) = shape[-2:]
        point = points[round(math.degrees(math.atan2(x0 - x1, y0 - y1)) / 45.0) % 8]
        alike = sum(name.split()[0] == point for name in names)
        names.append(point if not alike else f"{point} {alike + 1}")
    return names


def phase_name(state: str, greens: Sequence[str]) -> str:
    """Name of this signal state for the picture."""
    if state in greens:
        return f"stage {greens.index(state)}"
    return "yellow" if set(state) & set("yY") else "change"


def _waiting(frame: dict[str, Any]) -> list[int]:
    """Standing or waiting to enter, by approach."""
    return [halting + backlog for halting, backlog in zip(frame["halting"], frame["backlog"], strict=True)]
