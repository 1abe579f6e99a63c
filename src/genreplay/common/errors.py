"""User-facing errors, and checks of config values. Light on imports: every other module may use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from genreplay.common.secrets import masked


class UserError(Exception):
    """An error that the user can fix. The command line prints it as one line and exits with status 2.

    Credentials in the message are masked.
    """

    def __init__(self, message: object):
        super().__init__(masked(str(message)))


class GeneratorDiverged(UserError):
    """A fit of a generator, or its samples, are no longer numbers. The generator of before can go on."""


class FieldError(ValueError):
    """A value out of range of a config field; `config.load` adds the file and the section to the message."""

    def __init__(self, field: str, message: str):
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


def require(condition: bool, field: str, message: str) -> None:
    """Raise `FieldError(field, message)` unless `condition`. The message names the remedy."""
    if not condition:
        raise FieldError(field, message)


def first_line(error: Exception) -> str:
    """First line of the error's text, at most 200 characters."""
    first = (masked(str(error)).strip().splitlines() or [type(error).__name__])[0]
    return first if len(first) <= 200 else f"{first[:200]}..."


class NoEffect(NamedTuple):
    """Options that do nothing in some set-ups; setting one there is worth a warning.

    A config dataclass declares those that its own values decide about as the class attribute `NO_EFFECT`, a tuple.
    """

    keys: tuple[str, ...]
    """Whole keys, such as `agent.target_entropy`."""
    applies: Callable[[Any], bool]
    """Of the dataclass that declares it."""
    because: str
