"""Rendering of the intersection with Matplotlib: the map, the light, who is under way, queues and clock.

Shapes: H and W height and width of a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.network.naming import read_names
from genreplay.envs.sumo.pictures import signals, traffic
from genreplay.envs.sumo.pictures.film import FilmedEpisode
from genreplay.envs.sumo.pictures.ground import GROUND, draw_ground
from genreplay.envs.sumo.pictures.shapes import MapShapes, read_shapes
from genreplay.envs.sumo.pictures.signals import SignalDrawing
from genreplay.envs.sumo.pictures.traffic import BACKLOG, STANDING, TrafficDrawing
from genreplay.envs.sumo.simulator.recorder import KINDS, STANDING_SPEED

MARGIN, SMALLEST, LARGEST = 32.0, 44.0, 120.0
"""Shown around the stop lines, and limits of half the width of the area shown, m."""
ON_FOOT = "on foot"
PANEL = 5.6
"""Side of one controller's map, inches of 100 pixels."""
TOP, BARS, TOTALS, ROW, LEFT, GAP = 0.72, 0.34, 0.8, 0.2, 0.45, 0.2
"""Heights of the title, of one approach's bar, of the curve of all queues and of a row of the legend; left margin, gap
between panels; inches."""


class IntersectionRenderer:
    """One panel for each controller with its queues, and the number of waiting vehicles over time below.

    Args:
        net_file: the map.
        intersection: to show.
        episodes: equally long.
    """

    def __init__(self, net_file: Path, intersection: Intersection, episodes: Sequence[FilmedEpisode]):
        self.intersection, self.episodes = intersection, episodes
        shapes = read_shapes(net_file, intersection.light)
        names = list(read_names(net_file, intersection).approaches)
        if any(frame["people"] for episode in episodes for frame in episode.frames):
            names.append(ON_FOOT)
        layout = _Layout(len(episodes), len(names), _key(episodes))
        self.figure, self._canvas = layout.figure, FigureCanvasAgg(layout.figure)
        self._clock = layout.clock
        most = max(max(*_waiting(frame), _people(frame)) for episode in episodes for frame in episode.frames)
        greens = [stage.state for stage in intersection.plan.stages]
        self._panels = [
            _Panel(*layout.panel(place), shapes, names, greens, most, episode.title)
            for place, episode in enumerate(episodes)
        ]
        self._totals = _Totals(layout.totals(), episodes)

    def render(self, index: int) -> np.ndarray:
        """The picture `[H, W, 3]` (uint8) of every episode's frame `index`."""
        clock = int(self.episodes[0].frames[index]["clock"])
        self._clock.set_text(f"{clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}")
        for panel, episode in zip(self._panels, self.episodes, strict=True):
            panel.update(episode.frames[min(index, len(episode.frames) - 1)])
        self._totals.update(index)
        self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()


class _Layout:
    """Places of everything, in inches from the upper left corner, so that nothing is clipped or overlaps."""

    def __init__(self, num_panels: int, num_approaches: int, key: list[Any]):
        self.width = LEFT + num_panels * PANEL + (num_panels - 1) * (GAP + 0.3) + 0.25
        columns = max(3, int(self.width / 1.6))
        rows = math.ceil(len(key) / columns)
        self._bars = max(0.5, BARS * num_approaches)
        self._below = TOP + PANEL + 0.35
        self.height = self._below + self._bars + 0.5 + TOTALS + 0.35 + ROW * rows + 0.15
        # An even number of pixels, which H.264 needs.
        size = [2 * round(50 * inches) / 100 for inches in (self.width, self.height)]
        self.width, self.height = size
        self.figure = Figure(figsize=(self.width, self.height), dpi=100, facecolor="white")
        self.clock = self.figure.text(LEFT / self.width, 1 - 0.3 / self.height, "", fontsize=14, family="monospace")
        self.figure.legend(
            handles=key, loc="lower center", ncols=columns, fontsize=8, frameon=False, columnspacing=1.2, borderpad=0.2
        )

    def panel(self, place: int) -> tuple[Axes, Axes]:
        """Axes of the map and of the bars of one controller."""
        x = LEFT + place * (PANEL + GAP + 0.3)
        return self._axes(x, TOP, PANEL, PANEL), self._axes(x, self._below, PANEL, self._bars)

    def totals(self) -> Axes:
        """Axes of the queues over time."""
        return self._axes(LEFT, self._below + self._bars + 0.5, self.width - LEFT - 0.25, TOTALS)

    def _axes(self, x: float, y: float, width: float, height: float) -> Axes:
        w, h = self.width, self.height
        return self.figure.add_axes((x / w, 1 - (y + height) / h, width / w, height / h))


class _Panel:
    """One controller's intersection and queues."""

    def __init__(
        self, axes: Axes, bars: Axes, shapes: MapShapes, names: list[str], greens: Sequence[str], most: int, title: str
    ):
        self._greens, self._names = greens, names
        scale = _show(axes, shapes)
        draw_ground(axes, shapes, scale)
        self._signals, self._traffic = SignalDrawing(axes, shapes, scale), TrafficDrawing(axes)
        axes.set_title(title, fontsize=11, loc="left", weight="bold")
        self._stage = axes.set_title("", fontsize=10, loc="right")
        self._changing = ""
        self._longest = axes.text(
            0.01,
            0.01,
            "",
            transform=axes.transAxes,
            fontsize=9,
            va="bottom",
            zorder=6,
            bbox={"fc": "white", "ec": "none"},
        )
        rows = range(len(names))
        self._halting = bars.barh(rows, [0] * len(names), color=STANDING, height=0.3, align="edge")
        self._backlog = bars.barh(rows, [0] * len(names), color=BACKLOG, height=0.3, align="edge")
        bars.set_yticks([])
        for row, name in enumerate(names):
            bars.annotate(name, (0, row - 0.1), (3, 0), textcoords="offset points", fontsize=8)
        bars.set_xlim(0, max(most, 5) * 1.05)
        bars.set_ylim(len(names) - 0.5, -0.75)
        bars.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        bars.tick_params(axis="x", labelsize=7, pad=1)
        bars.set_title("who waits, by where they come from", fontsize=9, loc="left", pad=3)
        bars.spines[["top", "right"]].set_visible(False)

    def update(self, frame: dict[str, Any]) -> None:
        self._signals.update(frame["state"])
        self._traffic.update(frame)
        self._stage.set_text(f"{phase_name(frame['state'], self._greens)}, {frame['held']} s")
        self._longest.set_text(longest_wait(frame["longest"], self._names))
        halting = [*frame["halting"], *([_people(frame)] if ON_FOOT in self._names else [])]
        backlog = [*frame["backlog"], 0]
        for standing, waiting, stand, wait in zip(self._halting, self._backlog, halting, backlog, strict=False):
            standing.set_width(stand)
            waiting.set_x(stand)
            waiting.set_width(wait)


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


def _show(axes: Axes, shapes: MapShapes) -> float:
    """Show the area around the stop lines; points per metre."""
    ends = np.array([line.end for line in shapes.stop_lines])
    (x, y), reach = (ends.min(axis=0) + ends.max(axis=0)) / 2, np.ptp(ends, axis=0).max() / 2
    radius = min(max(reach + MARGIN, SMALLEST), LARGEST)
    axes.set(xlim=(x - radius, x + radius), ylim=(y - radius, y + radius), facecolor=GROUND)
    axes.set_xticks([])
    axes.set_yticks([])
    return PANEL * 72 / (2 * radius)


def _key(episodes: Sequence[FilmedEpisode]) -> list[Any]:
    """Entries of the legend: what the film shows at least once."""
    frames = [frame for episode in episodes for frame in episode.frames]
    kinds = {KINDS[int(vehicle[6])] for frame in frames for vehicle in frame["vehicles"]}
    people = {"pedestrian"} if any(frame["people"] for frame in frames) else set()
    return [*signals.key("".join({frame["state"] for frame in frames})), *traffic.key(kinds | people)]


def phase_name(state: str, greens: Sequence[str]) -> str:
    """Name of this signal state for the picture."""
    if state in greens:
        return f"stage {greens.index(state)}: green"
    if set(state) & set("yY"):
        return "yellow"
    if "u" in state:
        return "red and amber"
    return "clearance" if set(state) & set("gG") else "all red"


def longest_wait(longest: Sequence[Any] | None, names: Sequence[str]) -> str:
    """Who of those that wait now has stood longest (see `Recorder`), in words."""
    if longest is None:
        return "nobody waits"
    seconds, kind, approach, x, _ = longest
    where = "" if approach < 0 else f" from {names[approach]}"
    return f"longest wait: {KINDS[kind]}{where}{', still to enter the map' if x is None else ''}, {seconds} s"


def _people(frame: dict[str, Any]) -> int:
    """People on foot who stand."""
    return sum(person[2] < STANDING_SPEED for person in frame["people"])


def _waiting(frame: dict[str, Any]) -> list[int]:
    """Standing or waiting to enter, by approach."""
    return [halting + backlog for halting, backlog in zip(frame["halting"], frame["backlog"], strict=True)]
