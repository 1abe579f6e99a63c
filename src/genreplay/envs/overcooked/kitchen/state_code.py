"""The whole state of a kitchen as a row of small integers, and as one-hots.

Shapes: N states, C columns, O entries of the one-hots, S counters and pots that a cook can reach.

Columns: player 0 (cell, direction, what it holds), player 1, what lies on each counter, and for each pot its onions and
its timer (0 while it does not cook, otherwise 1 + the steps it has cooked). Counters and pots that no cook can reach
stay empty and have no column. The time of the episode is not part of the state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from genreplay.common.errors import UserError, first_line
from genreplay.envs.overcooked.kitchen.kitchen_map import COUNTER, DIRECTIONS, POT_SIZE, KitchenMap
from genreplay.envs.overcooked.kitchen.package import overcooked

OBJECTS = ("nothing", "onion", "dish", "soup of 1", "soup of 2", "soup of 3")
NOTHING, ONION, DISH, FIRST_SOUP = 0, 1, 2, 3
PLAYER_COLUMNS = 3
CELL, DIRECTION, HELD = 0, 1, 2
"""Columns within a player's three."""


class StateCode:
    """Encodes the states of one kitchen as rows of small integers.

    Args:
        kitchen: its map.
    """

    def __init__(self, kitchen: KitchenMap):
        self.kitchen = kitchen
        reached = kitchen.touched(0) | kitchen.touched(1)
        walked = {*kitchen.area(0), *kitchen.area(1)}
        self.cells = [cell for cell in kitchen.cells(" ") if cell in walked]
        """The floor that a cook can walk on."""
        self.counters = [cell for cell in kitchen.cells(COUNTER) if cell in reached]
        self.pots = [cell for cell in kitchen.cells("P") if cell in reached]
        self.num_timers = max(kitchen.cook_times) + 2

        player = (("cell", len(self.cells)), ("direction", len(DIRECTIONS)), ("held", len(OBJECTS)))
        columns = [(f"player {i} {name}", size) for i in (0, 1) for name, size in player]
        columns += [(f"counter {x},{y}", len(OBJECTS)) for x, y in self.counters]
        for x, y in self.pots:
            columns += [(f"pot {x},{y} onions", POT_SIZE + 1), (f"pot {x},{y} timer", self.num_timers)]
        self.names = tuple(name for name, _ in columns)
        """Name of each of the C columns."""
        self.sizes = np.array([size for _, size in columns])
        """`[C]`: number of values of each column."""
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        """`[C]`: start of each column in the one-hots."""
        self.width = int(self.sizes.sum())
        """O."""
        self.first_counter = 2 * PLAYER_COLUMNS
        self.first_pot = self.first_counter + len(self.counters)
        self.swap = np.array([3, 4, 5, 0, 1, 2, *range(self.first_counter, len(columns))])
        """`[C]`: `codes[:, swap]` is the same state with the two players' seats exchanged."""
        self.permutation = np.concatenate([self.offsets[c] + np.arange(self.sizes[c]) for c in self.swap])
        """`[O]`: the same for one-hots."""

    # States ----------------------------------------------------------------------------------------------------

    def encode(self, state: Any) -> np.ndarray:
        """The code `[C]` (int64) of an `OvercookedState`.

        Raises:
            ValueError: the state is none of this kitchen's: a tomato, a pot or counter out of reach in use.
        """
        row = [NOTHING] * len(self.sizes)
        for i, player in enumerate(state.players):
            held = NOTHING if player.held_object is None else _object_code(player.held_object)
            here = [self.cells.index(player.position), DIRECTIONS.index(player.orientation), held]
            row[i * PLAYER_COLUMNS : (i + 1) * PLAYER_COLUMNS] = here
        for cell, thing in state.objects.items():
            if cell in self.pots:
                column = self.first_pot + 2 * self.pots.index(cell)
                row[column : column + 2] = [_num_onions(thing), thing._cooking_tick + 1]
            else:
                row[self.first_counter + self.counters.index(cell)] = _object_code(thing)
        return np.array(row)

    def decode(self, code: np.ndarray) -> Any:
        """The `OvercookedState` of a code `[C]`, at time 0."""
        mdp = overcooked("mdp.overcooked_mdp")
        row = [int(value) for value in code]

        def make(kind: int, cell: tuple[int, int]) -> Any:
            if kind >= FIRST_SOUP:
                return mdp.SoupState.get_soup(cell, kind - FIRST_SOUP + 1, finished=True)
            return mdp.ObjectState(OBJECTS[kind], cell) if kind != NOTHING else None

        players = []
        for i in (0, 1):
            cell, direction, held = row[i * PLAYER_COLUMNS : (i + 1) * PLAYER_COLUMNS]
            where = self.cells[cell]
            players.append(mdp.PlayerState(where, DIRECTIONS[direction], make(held, where)))
        objects = {}
        for counter, kind in zip(self.counters, row[self.first_counter :], strict=False):
            if kind != NOTHING:
                objects[counter] = make(kind, counter)
        for i, pot in enumerate(self.pots):
            onions, timer = row[self.first_pot + 2 * i : self.first_pot + 2 * i + 2]
            if onions or timer:
                objects[pot] = mdp.SoupState.get_soup(pot, onions, cooking_tick=timer - 1)
        orders = {key: self.kitchen.options.get(f"start_{key}") or [] for key in ("all_orders", "bonus_orders")}
        return mdp.OvercookedState(players, objects, **orders)

    def start(self) -> np.ndarray:
        """The code `[C]` of the layout's start state."""
        given = self.kitchen.options.get("start_state")
        if given is not None:
            from genreplay.envs.overcooked.kitchen.package import gridworld

            try:
                return self.encode(gridworld(self.kitchen).get_standard_start_state())
            except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise UserError(
                    f"env.layout: {self.kitchen.name}: start_state is no state of this kitchen ({first_line(error)}); "
                    "leave it out"
                ) from error
        row = np.zeros(len(self.sizes), dtype=np.int64)
        for i, cell in enumerate(self.kitchen.starts):
            row[i * PLAYER_COLUMNS + CELL] = self.cells.index(cell)
        return row

    # One-hots --------------------------------------------------------------------------------------------------

    def one_hot(self, codes: np.ndarray) -> np.ndarray:
        """`[..., O]` (float32) of codes `[..., C]`."""
        flat = codes.reshape(-1, codes.shape[-1])
        out = np.zeros((len(flat), self.width), dtype=np.float32)
        out.reshape(-1)[(flat + self.offsets + (np.arange(len(flat)) * self.width)[:, None]).reshape(-1)] = 1.0
        return out.reshape(*codes.shape[:-1], self.width)

    def from_one_hot(self, one_hots: np.ndarray) -> np.ndarray:
        """Codes `[..., C]` of one-hots `[..., O]`."""
        parts = [
            one_hots[..., start : start + size].argmax(-1) for start, size in zip(self.offsets, self.sizes, strict=True)
        ]
        return np.stack(parts, axis=-1)

    def is_one_hot(self, rows: np.ndarray) -> np.ndarray:
        """`[N]`: whether every block of rows `[N, O]` has exactly one 1 and otherwise zeros."""
        ones = np.add.reduceat(rows == 1, self.offsets, axis=1)
        return ((rows == 0) | (rows == 1)).all(axis=1) & (ones == 1).all(axis=1)


def _num_onions(soup: Any) -> int:
    if any(ingredient != "onion" for ingredient in soup.ingredients):
        raise ValueError(f"a soup with {', '.join(soup.ingredients)}: onion soups only")
    return len(soup.ingredients)


def _object_code(thing: Any) -> int:
    if thing.name == "soup":
        return FIRST_SOUP + _num_onions(thing) - 1
    if thing.name not in OBJECTS:
        raise ValueError(f"a {thing.name}: onion soups only")
    return OBJECTS.index(thing.name)
