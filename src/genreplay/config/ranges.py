"""Checks of ranges that several config dataclasses share."""

from __future__ import annotations

import math
from typing import Any

from genreplay.common.errors import require


def at_least(section: Any, low: float, *fields: str) -> None:
    """Each of `fields` of the dataclass `section` is finite and at least `low`."""
    for name in fields:
        value = getattr(section, name)
        require(low <= value < math.inf, name, f"must be at least {low:g}, not {value}")


def one_of(section: Any, choices: tuple[str, ...], name: str) -> None:
    """The field `name` of the dataclass `section` is one of `choices`."""
    value = getattr(section, name)
    require(value in choices, name, f"must be one of {', '.join(choices)}, not {value!r}")


def require_seeds(seeds: list[int]) -> None:
    """Raise `FieldError("seeds", ...)` unless they are different seeds."""
    require(min(seeds) >= 0, "seeds", f"must not be negative, not {min(seeds)}")
    require(max(seeds) < 2**31, "seeds", f"must be below 2**31, not {max(seeds)}")
    require(len(set(seeds)) == len(seeds), "seeds", f"must differ from each other, not {seeds}")
