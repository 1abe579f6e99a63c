"""Demands of evaluation by name. Imports nothing heavy, so that a misspelt name is reported at once.

`1500` is steady random traffic of 1500 vehicles/h; with a route file or counts, `1.25` is a factor on them. Words stand
for random traffic that never occurs in training: `tidal`, `surge`, `other_day`; `surge:1800` gives the flow.
"""

from __future__ import annotations

from dataclasses import dataclass

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import DemandConfig

STEADY, TIDAL, SURGE, OTHER_DAY = "steady", "tidal", "surge", "other_day"
SHAPES = (TIDAL, SURGE, OTHER_DAY)
"""Words for `--demand`."""

DENSER_FLOW = 1.3
"""The default unseen flow, as a multiple of the largest flow of training."""
DENSER_SCALE = 1.15
"""The same for factors on a route file or counts, whose rush hour is close to the capacity of the road."""

_FLOW_LIMITS = (10.0, 20_000.0)
_SCALE_LIMITS = (0.01, 10.0)


@dataclass(frozen=True)
class Profile:
    """One demand."""

    level: float
    """Total flow, vehicles/h; with a route file or counts the factor on them."""
    shape: str = STEADY
    """`steady`; `tidal`: one approach brings most of the traffic, another one in the second half; `surge`: a short
    burst; `other_day`: turning shares outside the range of training."""


def parse_profile(name: str, config: DemandConfig, is_given: bool) -> Profile:
    """The demand named `name`; a word without a flow takes the middle of the training range.

    Raises:
        UserError: there is no such demand on this map.
    """
    word, colon, text = name.partition(":")
    if word in SHAPES:
        if is_given:
            raise UserError(
                f"--demand {name}: {word} is a shape of random traffic, but this map has a route file or counts; give "
                "factors on them, such as 0.75,1,1.25"
            )
        low, high = config.flow_range
        return Profile(_level(name, text, is_given) if colon else (low + high) / 2, word)
    return Profile(_level(name, name, is_given))


def default_demands(config: DemandConfig, is_given: bool) -> list[str]:
    """Levels of training from light to heavy, then demands that never occur in training."""
    (low, high), listed = config.levels(is_given)
    denser = high * (DENSER_SCALE if is_given else DENSER_FLOW)
    levels = sorted({low, high, *listed, round(denser, 2)})
    return [f"{level:g}" for level in levels] + ([] if is_given else list(SHAPES))


def is_in_range(profile: Profile, config: DemandConfig, is_given: bool) -> bool:
    """Whether such episodes occur in training."""
    (low, high), _ = config.levels(is_given)
    return profile.shape == STEADY and low <= profile.level <= high


def _level(name: str, text: str, is_given: bool) -> float:
    low, high = _SCALE_LIMITS if is_given else _FLOW_LIMITS
    try:
        level = float(text)
    except ValueError:
        level = -1.0
    if not low <= level <= high:
        raise UserError(
            f"--demand {name}: there is no such demand; "
            + (
                f"this map has a route file or counts, so give factors on them in [{low:g}, {high:g}], such as 1.25"
                if is_given
                else f"give a flow in [{low:g}, {high:g}] vehicles/h, such as 1500, or one of {', '.join(SHAPES)}"
            )
        )
    return level
