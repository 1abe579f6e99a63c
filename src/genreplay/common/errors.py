"""User-facing errors, and checks of config values. Light on imports: every other module may use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from genreplay.common.secrets import masked

LONGEST_MESSAGE = 450
"""Characters."""


class UserError(Exception):
    """An error that the user can fix. The command line prints it as one line and exits with status 2.

    The message is one line of at most `LONGEST_MESSAGE` printable characters: what is longer loses its middle, as the
    place of the error is at the beginning and the remedy at the end. Credentials in it are masked.
    """

    def __init__(self, message: object):
        super().__init__(_one_line(masked(str(message))))


def _one_line(text: str) -> str:
    half = LONGEST_MESSAGE // 2
    if len(text) > 8 * LONGEST_MESSAGE:  # long before it is made printable, which takes time
        text = f"{text[: 4 * LONGEST_MESSAGE]}{text[-4 * LONGEST_MESSAGE :]}"
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: half - 5]} ... {line[-half:]}"


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
