"""The rules of a kitchen as tables: steps many kitchens at once, exactly as overcooked-ai steps one.

Shapes: N kitchens, C columns of the code, E kinds of events, S counters and pots within reach.
"""

from __future__ import annotations

import numpy as np

from genreplay.common.errors import UserError
from genreplay.envs.overcooked.kitchen.kitchen_map import COUNTER, DIRECTIONS, POT_SIZE, KitchenMap
from genreplay.envs.overcooked.kitchen.state_code import (
    CELL,
    DIRECTION,
    DISH,
    FIRST_SOUP,
    HELD,
    NOTHING,
    OBJECTS,
    ONION,
    PLAYER_COLUMNS,
    StateCode,
)

NUM_ACTIONS = 6
"""North, south, east, west, stay, interact: `Action.INDEX_TO_ACTION` of overcooked-ai."""
STAY, INTERACT = 4, 5
NO_EVENT, POTTING, DISH_PICKUP, SOUP_PICKUP, FIRST_DELIVERY = 0, 1, 2, 3, 4

# Kinds of cells that a cook can face.
_FLOOR, _ONIONS, _DISHES, _SERVING, _COUNTER, _POT = range(6)
_KINDS = {" ": _FLOOR, "O": _ONIONS, "D": _DISHES, "S": _SERVING, COUNTER: _COUNTER, "P": _POT}


class Kitchen:
    """The rules of one kitchen, as tables.

    Args:
        kitchen: its map.
        dynamics: `old`, a pot with three onions starts to cook by itself; `new`, a cook starts it.

    Raises:
        UserError: the layout's orders cannot be cooked under the old dynamics.
    """

    def __init__(self, kitchen: KitchenMap, dynamics: str = "old"):
        if dynamics == "old" and any(kitchen.values[:2]) and kitchen.options.get("start_all_orders"):
            raise UserError(
                f"env.dynamics: {kitchen.name} has orders of fewer than three onions, which the old dynamics cannot "
                "cook; set env.dynamics=new or choose another layout"
            )
        self.code = StateCode(kitchen)
        self.dynamics = dynamics
        code = self.code
        delivered = [n for n in (1, 2, 3) if kitchen.values[n - 1]]
        if dynamics == "old":
            delivered = [n for n in delivered if n == POT_SIZE]
        self._delivery_event = {n: FIRST_DELIVERY + i for i, n in enumerate(delivered)}
        names = ["delivery" if len(delivered) == 1 else f"delivery of {n}" for n in delivered]
        self.event_names = ("none", "potting", "dish pickup", "soup pickup", *names)
        """The E kinds of events that a cook's step is rewarded for."""
        self.sparse_rewards = np.array([0, 0, 0, 0, *(kitchen.values[n - 1] for n in delivered)], dtype=np.float32)
        """`[E]`: reward of the team."""
        self.shaped_rewards = np.array([0, *kitchen.shaping, *(0 for _ in delivered)], dtype=np.float32)
        """`[E]`: shaped reward of the cook."""

        num_timers = code.num_timers
        self.sizes = np.arange(1, POT_SIZE + 1) if dynamics == "new" else np.array([POT_SIZE])
        """Possible numbers of onions of a soup."""
        # A pot is onions * T + timer; what else a cook faces is an object's code, or 0.
        self._num_contents = max(len(OBJECTS), (POT_SIZE + 1) * num_timers)
        self._interact = self._interaction_table()
        self._cook = self._cooking_table()
        onions, timers = np.divmod(np.arange(self._num_contents), num_timers)
        # Full pots that do not cook yet do not count: overcooked-ai leaves them out.
        self._wants_dish = (timers > 0) | ((onions > 0) & (onions < POT_SIZE))
        self.possible_pots = self._possible_pots()
        """`[4, T]`: which onions and timers a pot can have together."""

        slot_of = {cell: i for i, cell in enumerate([*code.counters, *code.pots])}
        num_slots = len(slot_of)
        shape = len(code.cells), len(DIRECTIONS)
        # Facing no counter and no pot within reach is slot S, a place that holds nothing.
        self._faced_slot = np.full(shape, num_slots)
        self._faced_kind = np.full(shape, _FLOOR)
        self._move = np.repeat(np.arange(shape[0])[:, None], NUM_ACTIONS, axis=1)
        for i, (x, y) in enumerate(code.cells):
            for d, (dx, dy) in enumerate(DIRECTIONS):
                ahead = (x + dx, y + dy)
                self._faced_kind[i, d] = _KINDS[kitchen.at(ahead)]
                self._faced_slot[i, d] = slot_of.get(ahead, num_slots)
                if kitchen.at(ahead) == " ":
                    self._move[i, d] = code.cells.index(ahead)
        self._num_slots = num_slots

    def step(self, codes: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step of every kitchen.

        Args:
            codes: `[N, C]` states.
            actions: `[N, 2]`, see `NUM_ACTIONS`.

        Returns:
            The next states `[N, C]`, and what each cook's step did, `[N, 2]` (see `event_names`).
        """
        code, rows = self.code, np.arange(len(codes))
        first, last, num_timers = code.first_counter, code.first_pot, code.num_timers
        num_counters = last - first
        cells, directions = codes[:, CELL:first:PLAYER_COLUMNS], codes[:, DIRECTION:first:PLAYER_COLUMNS]
        held = codes[:, HELD:first:PLAYER_COLUMNS].copy()
        slots = np.zeros((len(codes), self._num_slots + 1), dtype=np.int64)
        slots[:, :num_counters] = codes[:, first:last]
        slots[:, num_counters:-1] = codes[:, last::2] * num_timers + codes[:, last + 1 :: 2]

        # Interactions: player 0 first. How many pots want a dish is counted before both.
        wanted = self._wants_dish[slots[:, num_counters:-1]].sum(axis=1)
        faced = self._faced_slot[cells, directions]
        kinds = np.where(actions == INTERACT, self._faced_kind[cells, directions], _FLOOR)
        events = np.empty((len(codes), 2), dtype=np.int64)
        for player in (0, 1):
            slot = faced[:, player]
            useful = ((held == DISH).sum(axis=1) < wanted) & ~(slots[:, :num_counters] == DISH).any(axis=1)
            entry = self._interact[kinds[:, player], held[:, player], slots[rows, slot]]
            held[:, player], slots[rows, slot], event = entry[:, 0], entry[:, 1], entry[:, 2]
            events[:, player] = np.where((event == DISH_PICKUP) & ~useful, NO_EVENT, event)

        # Movement: who would share a cell or change places stays.
        moved = self._move[cells, actions]
        collide = (moved[:, 0] == moved[:, 1]) | ((moved[:, 0] == cells[:, 1]) & (moved[:, 1] == cells[:, 0]))

        following = np.empty_like(codes)
        following[:, CELL:first:PLAYER_COLUMNS] = np.where(collide[:, None], cells, moved)
        following[:, DIRECTION:first:PLAYER_COLUMNS] = np.where(actions < STAY, actions, directions)
        following[:, HELD:first:PLAYER_COLUMNS] = held
        following[:, first:last] = slots[:, :num_counters]
        pots = self._cook[slots[:, num_counters:-1]]
        following[:, last::2], following[:, last + 1 :: 2] = pots // num_timers, pots % num_timers
        return following, events

    def random_states(self, rng: np.random.Generator, num_states: int) -> np.ndarray:
        """Possible states `[N, C]`: each cook anywhere it can walk, half of the hands and a tenth of the counters in
        use, each pot in any condition (so many onions, waiting, cooking or ready) with equal chances.
        """
        code = self.code
        codes = np.zeros((num_states, len(code.sizes)), dtype=np.int64)
        things = np.array([ONION, DISH, *(FIRST_SOUP + self.sizes - 1)])
        areas = [np.array([code.cells.index(cell) for cell in code.kitchen.area(cook)]) for cook in (0, 1)]
        apart = np.array([(a, b) for a in areas[0] for b in areas[1] if a != b])
        codes[:, [CELL, PLAYER_COLUMNS + CELL]] = apart[rng.integers(len(apart), size=num_states)]
        for column, share in (
            *((player * PLAYER_COLUMNS + HELD, 0.5) for player in (0, 1)),
            *((counter, 0.1) for counter in range(code.first_counter, code.first_pot)),
        ):
            codes[:, column] = np.where(
                rng.random(num_states) < share, things[rng.integers(len(things), size=num_states)], NOTHING
            )
        for player in (0, 1):
            codes[:, player * PLAYER_COLUMNS + DIRECTION] = rng.integers(len(DIRECTIONS), size=num_states)
        pots = np.argwhere(self.possible_pots)
        ready = pots[:, 1] == np.array([0, *code.kitchen.cook_times])[pots[:, 0]] + 1
        _, condition, sizes = np.unique(
            np.stack([pots[:, 0], pots[:, 1] > 0, ready]), axis=1, return_inverse=True, return_counts=True
        )
        chances = 1.0 / (sizes[condition] * len(sizes))
        for column in range(code.first_pot, codes.shape[1], 2):
            codes[:, column : column + 2] = pots[rng.choice(len(pots), size=num_states, p=chances)]
        return codes

    # Tables ----------------------------------------------------------------------------------------------------

    def _interaction_table(self) -> np.ndarray:
        """`[kind, held, content, 3]`: the object held and the content afterwards, and the event."""
        kinds, helds, contents = len(_KINDS), len(OBJECTS), self._num_contents
        table = np.zeros((kinds, helds, contents, 3), dtype=np.int64)
        table[..., 0] = np.arange(helds)[None, :, None]
        table[..., 1] = np.arange(contents)
        table[_ONIONS, NOTHING, :, 0] = ONION
        table[_DISHES, NOTHING, :, 0] = DISH
        table[_DISHES, NOTHING, :, 2] = DISH_PICKUP
        for soup in range(FIRST_SOUP, helds):
            table[_SERVING, soup, :, 0] = NOTHING
            table[_SERVING, soup, :, 2] = self._delivery_event.get(soup - FIRST_SOUP + 1, NO_EVENT)
        for thing in range(1, helds):
            table[_COUNTER, thing, NOTHING] = NOTHING, thing, NO_EVENT
            table[_COUNTER, NOTHING, thing] = thing, NOTHING, NO_EVENT
        num_timers, cook_times = self.code.num_timers, self.code.kitchen.cook_times
        for onions in range(POT_SIZE):
            idle = onions * num_timers
            table[_POT, ONION, idle] = NOTHING, idle + num_timers, POTTING
        for onions in range(1, POT_SIZE + 1):
            idle = onions * num_timers
            if self.dynamics == "new":
                table[_POT, NOTHING, idle, 1] = idle + 1
            ready = idle + 1 + cook_times[onions - 1]
            table[_POT, DISH, ready : idle + num_timers] = FIRST_SOUP + onions - 1, NOTHING, SOUP_PICKUP
        return table

    def _cooking_table(self) -> np.ndarray:
        """`[content]`: a pot's content after one step without a cook."""
        num_timers = self.code.num_timers
        table = np.arange((POT_SIZE + 1) * num_timers)
        for onions in range(1, POT_SIZE + 1):
            idle, cook_time = onions * num_timers, self.code.kitchen.cook_times[onions - 1]
            table[idle + 1 : idle + 1 + cook_time] += 1
            if self.dynamics == "old" and onions == POT_SIZE:
                table[idle] += 2
        return table

    def _possible_pots(self) -> np.ndarray:
        """A soup that has begun shows at least one step of cooking; under the old dynamics every full pot has."""
        possible = np.zeros((POT_SIZE + 1, self.code.num_timers), dtype=bool)
        possible[: POT_SIZE + (self.dynamics == "new"), 0] = True
        for onions in self.sizes:
            possible[onions, 2 : 2 + self.code.kitchen.cook_times[onions - 1]] = True
        return possible
