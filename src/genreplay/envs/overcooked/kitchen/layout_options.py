"""The entries of a layout file next to its map: their names and types, before anything is computed from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from math import isnan
from typing import Any

from genreplay.common.errors import UserError


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not isnan(value) and value > -1e9


def _is_orders(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(order, dict) and _is_recipe(order) for order in value)


def _is_recipe(order: dict[Any, Any]) -> bool:
    things = order.get("ingredients")
    return isinstance(things, list | tuple) and 1 <= len(things) <= 3 and set(map(str, things)) <= {"onion", "tomato"}


def _is_shaping(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) and _is_number(v) for key, v in value.items())


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


_NUMBER = (_is_number, "a number")
_NUMBERS = (_is_numbers, "a list of numbers, one for each of start_all_orders")
_ORDERS = (_is_orders, "a list such as [{'ingredients': ['onion', 'onion', 'onion']}]")
KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(
        ("cook_time", "delivery_reward", "order_bonus", "max_num_ingredients", "num_items_for_soup"), _NUMBER
    ),
    **dict.fromkeys(("onion_time", "tomato_time", "onion_value", "tomato_value"), _NUMBER),
    **dict.fromkeys(("recipe_times", "recipe_values"), _NUMBERS),
    **dict.fromkeys(("start_all_orders", "start_bonus_orders"), _ORDERS),
    "rew_shaping_params": (_is_shaping, "a dictionary of numbers"),
    "start_state": (lambda value: isinstance(value, dict), "a dictionary, as overcooked-ai writes a state"),
}
"""What overcooked-ai 1.1.0 reads, each with a check and its description."""
EMPTY: tuple[Any, ...] = (None, [], ())
"""Values that stand for an entry that is left out."""


def check_options(options: Mapping[Any, Any]) -> None:
    """Check the entries of a layout file other than `grid`.

    Raises:
        UserError: an entry is unknown or of another type.
    """
    for key, value in options.items():
        if key not in KINDS:
            close = get_close_matches(str(key)[:40], KINDS, n=1)
            raise UserError(
                f"{key!r} is no entry of a layout; " + (f"did you mean {close[0]!r}?" if close else "leave it out")
            )
        is_right, kind = KINDS[key]
        if value not in EMPTY and not is_right(value):
            raise UserError(f"{key} must be {kind}, not {value!r}")
    orders = options.get("start_all_orders") or []
    for key in ("recipe_times", "recipe_values"):
        if options.get(key) and len(options[key]) != len(orders):
            raise UserError(
                f"{key} has {len(options[key])} numbers, and start_all_orders {len(orders)} orders; write one each"
            )
