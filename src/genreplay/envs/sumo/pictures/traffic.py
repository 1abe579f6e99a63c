"""Vehicles and people on the picture: kinds by size and roof, speeds by colour.

Shapes: V vehicles, N people.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from genreplay.envs.sumo.simulator.recorder import KINDS, STANDING_SPEED

STANDING, SLOW, MOVING, BACKLOG = "#d6246e", "#f3a712", "#4aa3ff", "#7b2d8b"
SLOW_SPEED = 5.0
"""Below this a vehicle is drawn as slow, m/s."""
ROOFS = {"bus": "#0b7a75", "tram": "#5b1a8b", "lorry": "#7a4a21", "bicycle": "#111418"}
"""Colour of the middle of each kind but cars, whose whole body has the colour of their speed."""
ROOF = 0.6
"""Width of a roof, as a share of the vehicle's."""
LEAST = {"bicycle": (2.6, 1.3)}
"""Smallest length and width drawn, m; `LEAST_CAR` for others."""
LEAST_CAR = (4.5, 2.0)
DOT, RING = 4.5, "#111418"
"""Diameter of a person, points; colour of rims."""


class TrafficDrawing:
    """Everybody who is under way, in one panel."""

    def __init__(self, axes: Axes):
        self._bodies = PolyCollection([], zorder=4, edgecolors="white", linewidths=0.4)
        self._roofs = PolyCollection([], zorder=4.1)
        axes.add_collection(self._bodies)
        axes.add_collection(self._roofs)
        self._people = axes.scatter([], [], s=DOT**2, zorder=4.2, edgecolors=RING, linewidths=0.5)
        (self._ring,) = axes.plot([], [], "o", markersize=15, fillstyle="none", color=RING, zorder=5, mew=1.8)

    def update(self, frame: dict[str, Any]) -> None:
        """Show a frame of a `Recorder`."""
        vehicles = np.array(frame["vehicles"], dtype=np.float64).reshape(-1, 7)
        self._bodies.set_verts(list(outlines(vehicles)))
        self._bodies.set_facecolor(speed_colors(vehicles[:, 3]))
        others = vehicles[vehicles[:, 6] != KINDS.index("car")]
        self._roofs.set_verts(list(outlines(others, ROOF)))
        self._roofs.set_facecolor([ROOFS[KINDS[int(kind)]] for kind in others[:, 6]])
        people = np.array(frame["people"], dtype=np.float64).reshape(-1, 3)
        self._people.set_offsets(people[:, :2])
        self._people.set_facecolor(speed_colors(people[:, 2], slow=0.0))
        longest = frame["longest"]
        place = [] if longest is None or longest[3] is None else [longest[3:5]]
        self._ring.set_data([x for x, _ in place], [y for _, y in place])


def key(kinds: set[str]) -> list[Any]:
    """Entries of a legend: speeds, then the kinds that a film shows."""
    speeds = (("standing", STANDING), ("slow", SLOW), ("moving", MOVING), ("waiting to enter the map", BACKLOG))
    return [
        *(Patch(color=color, label=name) for name, color in speeds),
        *(Patch(facecolor=color, edgecolor=MOVING, linewidth=2, label=k) for k, color in ROOFS.items() if k in kinds),
        *([_dot("person on foot", MOVING, 5)] if "pedestrian" in kinds else []),
        _dot("longest wait", "none", 8),
    ]


def _dot(label: str, color: str, size: float) -> Line2D:
    return Line2D([], [], linestyle="none", marker="o", mfc=color, mec=RING, markersize=size, label=label)


def speed_colors(speeds: np.ndarray, slow: float = SLOW_SPEED) -> list[str]:
    """A colour for each speed (m/s)."""
    return np.where(speeds < STANDING_SPEED, STANDING, np.where(speeds < slow, SLOW, MOVING)).tolist()


def outlines(vehicles: np.ndarray, share: float = 1.0) -> np.ndarray:
    """Corners `[V, 4, 2]` of vehicles `[V, 7]` as a `Recorder` notes them, drawn at least so large that they are seen.

    Args:
        vehicles: the rows of a frame.
        share: of the width, for a roof within the outline.
    """
    x, y, angle, _, length, width, kind = vehicles.T
    least = np.array([LEAST.get(KINDS[int(number)], LEAST_CAR) for number in kind]).reshape(-1, 2)
    half = np.maximum(width, least[:, 1])[:, None] / 2
    forward = np.stack([np.sin(np.radians(angle)), np.cos(np.radians(angle))], axis=1)
    side = np.stack([forward[:, 1], -forward[:, 0]], axis=1) * half * share
    margin = half * (1.0 - share)
    front = np.stack([x, y], axis=1)
    back = front - forward * (np.maximum(length, least[:, 0])[:, None] - margin)
    front = front - forward * margin
    return np.stack([front - side, front + side, back + side, back - side], axis=1)
