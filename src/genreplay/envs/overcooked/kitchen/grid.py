"""overcooked-ai's lossless grid of a state, for many states at once.

Shapes: N states, X width and Y height of the map, 26 layers in overcooked-ai's order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from genreplay.envs.overcooked.kitchen.state_code import (
    CELL,
    DIRECTION,
    DISH,
    FIRST_SOUP,
    HELD,
    ONION,
    PLAYER_COLUMNS,
    StateCode,
)

NUM_LAYERS = 26
URGENT = 40
"""Steps before the end of an episode from which overcooked-ai sets the layer of urgency."""
_SELF, _OTHER, _SELF_FACES, _OTHER_FACES = 0, 1, 2, 6
_MAP_LAYERS = {"P": 10, "X": 11, "O": 12, "T": 13, "D": 14, "S": 15}
_ONIONS_IN_POT, _ONIONS_IN_SOUP, _TIME_LEFT, _DONE, _DISHES, _ONIONS, _URGENCY = 16, 18, 20, 21, 22, 23, 25


class LosslessGrid:
    """Writes codes as overcooked-ai's `lossless_state_encoding` does.

    Args:
        code: of the kitchen.
        horizon: steps of an episode.
    """

    def __init__(self, code: StateCode, horizon: int):
        self.code, self.horizon = code, horizon
        grid = code.kitchen.grid
        self.shape = (len(grid[0]), len(grid), NUM_LAYERS)
        """X, Y, 26."""
        self._map = np.zeros(self.shape, dtype=np.float32)
        for kind, layer in _MAP_LAYERS.items():
            for x, y in code.kitchen.cells(kind):
                self._map[x, y, layer] = 1.0
        self._cells = np.array(code.cells)
        self._cook_times = np.array([0, *code.kitchen.cook_times])

    def encode(self, codes: np.ndarray, times: np.ndarray) -> np.ndarray:
        """`[N, 2, X, Y, 26]` (float32): the view of each cook.

        Args:
            codes: `[N, C]`.
            times: `[N]`, steps since the episode began.
        """
        code, rows = self.code, np.arange(len(codes))
        first, last = code.first_counter, code.first_pot
        out = np.broadcast_to(self._map, (len(codes), 2, *self.shape)).copy()
        out[self.horizon - times < URGENT, ..., _URGENCY] = 1.0
        shared = np.zeros((len(codes), *self.shape), dtype=np.float32)
        for cook in (0, 1):
            column = cook * PLAYER_COLUMNS
            x, y = self._cells[codes[:, column + CELL]].T
            facing = codes[:, column + DIRECTION]
            out[rows, cook, x, y, _SELF] = 1.0
            out[rows, cook, x, y, _SELF_FACES + facing] = 1.0
            out[rows, 1 - cook, x, y, _OTHER] = 1.0
            out[rows, 1 - cook, x, y, _OTHER_FACES + facing] = 1.0
            self._put(shared, rows, x, y, codes[:, column + HELD])
        for i, (x, y) in enumerate(code.counters):
            self._put(shared, rows, x, y, codes[:, first + i])
        for i, (x, y) in enumerate(code.pots):
            onions, timers = codes[:, last + 2 * i], codes[:, last + 2 * i + 1]
            cooking = timers > 0
            left = np.where(cooking, self._cook_times[onions] - timers + 1, 0)
            shared[:, x, y, _ONIONS_IN_POT] += np.where(cooking, 0, onions)
            shared[:, x, y, _ONIONS_IN_SOUP] += np.where(cooking, onions, 0)
            shared[:, x, y, _TIME_LEFT] += left
            shared[:, x, y, _DONE] += cooking & (left == 0)
        return out + shared[:, None]

    @staticmethod
    def _put(shared: np.ndarray, rows: np.ndarray, x: Any, y: Any, things: np.ndarray) -> None:
        """Add what lies in, or is held at, one cell of each state."""
        shared[rows, x, y, _DISHES] += things == DISH
        shared[rows, x, y, _ONIONS] += things == ONION
        soup = things >= FIRST_SOUP
        shared[rows, x, y, _ONIONS_IN_SOUP] += np.where(soup, things - FIRST_SOUP + 1, 0)
        shared[rows, x, y, _DONE] += soup
