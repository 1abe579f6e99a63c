"""Layout files: a kitchen's map and rules, from the package or the user's own.

Cells are (x, y), x to the right, y downwards, as in overcooked-ai.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from genreplay.common.errors import UserError
from genreplay.common.files import read_text
from genreplay.envs.overcooked.kitchen.layout_options import check_options
from genreplay.envs.overcooked.kitchen.package import data_folder

Cell = tuple[int, int]

DIRECTIONS: tuple[Cell, ...] = ((0, -1), (0, 1), (1, 0), (-1, 0))
"""North, south, east, west: the order of overcooked-ai."""
SUFFIX = ".layout"
STATIONS = {"O": "onion dispenser (O)", "D": "dish dispenser (D)", "P": "pot (P)", "S": "serving location (S)"}
COUNTER, FLOOR = "X", " "
DEFAULT_COOK_TIME = DEFAULT_VALUE = 20
POT_SIZE = 3
"""Onions a pot holds."""
MOST_CELLS = 200
"""Of a map: the largest one that comes with overcooked-ai has 126, and a greedy cook plans its ways between all pairs
of cells."""
LONGEST_COOKING = 1000
"""Steps."""
SHAPING = {"PLACEMENT_IN_POT_REW": 3, "DISH_PICKUP_REWARD": 3, "SOUP_PICKUP_REWARD": 5}
"""The package's own shaped rewards."""


@dataclass(frozen=True)
class KitchenMap:
    """The map of a kitchen for two cooks, and its recipes."""

    name: str
    grid: tuple[str, ...]
    """The map's rows as in the file, with the cooks as `1` and `2`."""
    options: dict[str, Any]
    """The file's other entries."""
    starts: tuple[Cell, Cell]
    cook_times: tuple[int, int, int]
    """Cooking time of a soup of one, two, three onions, steps."""
    values: tuple[float, float, float]
    """Reward of a delivered soup of one, two, three onions."""
    shaping: tuple[float, float, float]
    """Shaped reward of potting an onion, of fetching a dish when one is needed, of taking a soup from the pot."""

    def at(self, cell: Cell) -> str:
        """Kind of a cell; floor where a cook starts."""
        here = self.grid[cell[1]][cell[0]]
        return FLOOR if here in "12" else here

    def cells(self, kind: str) -> list[Cell]:
        """All cells of a kind, row by row."""
        return [(x, y) for y, row in enumerate(self.grid) for x in range(len(row)) if self.at((x, y)) == kind]

    def area(self, cook: int) -> list[Cell]:
        """The floor that a cook can walk on, row by row."""
        found, frontier = {self.starts[cook]}, [self.starts[cook]]
        while frontier:
            cell = frontier.pop()
            beside = {n for n in neighbours(cell) if self.at(n) == FLOOR} - found
            found |= beside
            frontier += beside
        return sorted(found, key=lambda cell: (cell[1], cell[0]))

    def touched(self, cook: int) -> set[Cell]:
        """The cells other than floor that a cook can face."""
        return {n for cell in self.area(cook) for n in neighbours(cell) if self.at(n) != FLOOR}


def neighbours(cell: Cell) -> list[Cell]:
    """The cells to the north, south, east and west."""
    return [(cell[0] + dx, cell[1] + dy) for dx, dy in DIRECTIONS]


def shipped_layouts() -> list[str]:
    """Names of the layouts shipped with overcooked-ai, whether or not genreplay can play them."""
    return sorted(path.stem for path in (data_folder() / "layouts").glob(f"*{SUFFIX}"))


def read_layout(layout: str) -> KitchenMap:
    """The kitchen of a shipped layout's name or of the user's own file.

    Raises:
        UserError: there is no such layout, or two cooks cannot make onion soup in it.
    """
    path = Path(layout).expanduser()
    if path.suffix != SUFFIX:
        if layout not in shipped_layouts():
            raise UserError(f"env.layout: {_unknown(layout)}")
        path = data_folder() / "layouts" / f"{layout}{SUFFIX}"
    try:
        # The package evaluates the file as code; here it may hold plain values only. 1e999 is infinity.
        entries = ast.literal_eval(read_text(path).replace("float('inf')", "1e999"))
    except OSError as error:
        raise UserError(f"env.layout: cannot read {path}: {error}") from error
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise UserError(f"env.layout: {layout}: not a dictionary of plain values as Python writes them") from error
    try:
        return _kitchen(path.stem, entries)
    except UserError as error:
        raise UserError(f"env.layout: {layout}: {error}") from error


def _unknown(name: str) -> str:
    close = get_close_matches(name, shipped_layouts(), n=3)
    nearest = f"nearest: {', '.join(close)}" if close else f"choose one of {', '.join(shipped_layouts())}"
    return f"there is no layout {name!r}; {nearest}; your own is the path of a {SUFFIX} file"


def _kitchen(name: str, entries: Any) -> KitchenMap:
    if not isinstance(entries, dict) or not isinstance(entries.get("grid"), str):
        raise UserError('the file must be a dictionary with an entry "grid", the map as text')
    grid = tuple(row.strip() for row in entries["grid"].split("\n"))
    starts = _checked_grid(grid)
    options = {key: value for key, value in entries.items() if key != "grid"}
    check_options(options)
    if options.get("max_num_ingredients", POT_SIZE) != POT_SIZE:
        raise UserError("max_num_ingredients: genreplay knows pots of three onions only; leave it out")
    shaping = {**SHAPING, **(options.get("rew_shaping_params") or SHAPING)}
    kitchen = KitchenMap(
        name,
        grid,
        options,
        starts,
        cook_times=_by_size(options, "cook_time", "onion_time", "recipe_times", DEFAULT_COOK_TIME),
        values=_values(options),
        shaping=(shaping["PLACEMENT_IN_POT_REW"], shaping["DISH_PICKUP_REWARD"], shaping["SOUP_PICKUP_REWARD"]),
    )
    if not all(isinstance(t, int) and 1 <= t <= LONGEST_COOKING for t in kitchen.cook_times):
        raise UserError(
            f"cooking times must be whole numbers from 1 to {LONGEST_COOKING} steps, not {kitchen.cook_times}"
        )
    if not all(abs(v) < float("inf") for v in kitchen.values):
        raise UserError(f"rewards of soups must be finite, not {kitchen.values}")
    _require_playable(kitchen)
    return kitchen


def _checked_grid(grid: tuple[str, ...]) -> tuple[Cell, Cell]:
    """Start cells of the two cooks. UserError unless the map is a closed kitchen with everything it needs."""
    if len({len(row) for row in grid}) != 1:
        lengths = ", ".join(str(len(row)) for row in grid)
        raise UserError(f"the map's rows differ in length ({lengths}); each must begin and end with X, O, D, P or S")
    cells = "".join(grid)
    if len(cells) > MOST_CELLS:
        raise UserError(f"the map has {len(grid[0])} x {len(grid)} cells; a kitchen has at most {MOST_CELLS}")
    if "T" in cells:
        raise UserError("the map has tomatoes (T), but genreplay knows onion soups only; choose a layout without")
    unknown = sorted(set(cells) - set("XOPDS 123456789"))
    if unknown:
        raise UserError(f"the map has {unknown[0]!r}; it may hold X, O, D, P, S, 1, 2 and spaces")
    cooks = sorted(c for c in cells if c.isdigit())
    if cooks != ["1", "2"]:
        raise UserError(
            f"genreplay plays two cooks, marked 1 and 2 once each; this map has {', '.join(cooks) or 'none'}"
        )
    border = [*grid[0], *grid[-1], *(row[0] for row in grid), *(row[-1] for row in grid)]
    if set(border) & set(" 12"):
        raise UserError("the kitchen is not enclosed: its border must hold no floor and no cook; close it with X")
    for kind, called in STATIONS.items():
        if kind not in cells:
            raise UserError(f"the map has no {called}")
    where = {c: (x, y) for y, row in enumerate(grid) for x, c in enumerate(row)}
    return where["1"], where["2"]


def _onions(recipe: Any) -> int:
    """Onions of a recipe of the file; 0 for one with tomatoes."""
    ingredients = recipe["ingredients"]
    return len(ingredients) if set(ingredients) == {"onion"} else 0


def _by_size(options: dict[str, Any], fixed: str, per_onion: str, listed: str, default: int) -> tuple[Any, Any, Any]:
    """A property of soups of one, two, three onions: the package's order of precedence."""
    if options.get(fixed):
        return (options[fixed],) * 3
    table = {}
    if options.get(listed):
        table = {_onions(r): v for r, v in zip(options["start_all_orders"], options[listed], strict=True)}
    other = per_onion.replace("onion", "tomato")
    linear = options.get(per_onion) and options.get(other)
    one, two, three = (table.get(n, options[per_onion] * n if linear else default) for n in (1, 2, 3))
    return one, two, three


def _values(options: dict[str, Any]) -> tuple[float, float, float]:
    values = _by_size(options, "delivery_reward", "onion_value", "recipe_values", DEFAULT_VALUE)
    orders = [_onions(order) for order in options.get("start_all_orders") or []]
    bonus = [_onions(order) for order in options.get("start_bonus_orders") or []]
    factor = options.get("order_bonus", 2)
    one, two, three = (
        0.0 if orders and n not in orders else float(value) * (factor if n in bonus else 1)
        for n, value in zip((1, 2, 3), values, strict=True)
    )
    return one, two, three


def _require_playable(kitchen: KitchenMap) -> None:
    """UserError unless the cooks, passing things over shared counters where they must, can deliver a soup."""
    touched = [kitchen.touched(0), kitchen.touched(1)]
    hands_over = any(kitchen.at(cell) == COUNTER for cell in touched[0] & touched[1])

    def who_has(cooks: set[int]) -> set[int]:
        return {0, 1} if cooks and hands_over else cooks

    def beside(kind: str) -> set[int]:
        return {cook for cook in (0, 1) if any(kitchen.at(cell) == kind for cell in touched[cook])}

    for kind, called in STATIONS.items():
        if not beside(kind):
            raise UserError(f"no cook can reach a {called}")
    onions, dishes = who_has(beside("O")), who_has(beside("D"))
    pots = {cell for cook in onions for cell in touched[cook] if kitchen.at(cell) == "P"}
    soups = who_has({cook for cook in dishes if pots & touched[cook]})
    if not soups & beside("S"):
        raise UserError("no soup can be made and served: what the two cooks can reach does not fit together")
