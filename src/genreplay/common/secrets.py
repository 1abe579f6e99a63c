"""Credentials in texts: masked in every message, log line and file."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from types import TracebackType

MASK = "***"
_PATTERNS = (
    re.compile(r"(\bhttps?://)[^\s/'\"]*(?=@)", re.IGNORECASE),
    re.compile(r"(\b(?!https?:)[a-z][a-z0-9+.-]*://)[^\s/'\"][^\s'\"]*(?=@)", re.IGNORECASE),
    re.compile(r"(\buri=)[^\s/'\"]*(?=@)"),
    re.compile(r"([?&;](?:[a-z_]*(?:password|passwd|pwd|token|secret|key)|odbc_connect)=)[^\s&;'\"]+", re.IGNORECASE),
)
"""User and password before a host (a password of a database may have slashes), also where the scheme is missing, and
options of a query."""


def masked(text: str) -> str:
    """The text with `***` for the user, the password and secret options of every URI in it."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


class _Masking(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = masked(record.getMessage()), ()
        return True


MASKING = _Masking()
"""Masks what a logger or a handler gets."""
logging.getLogger("genreplay").addFilter(MASKING)


def show_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an unexpected error as Python does, masked; for `sys.excepthook`."""
    print(masked("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)
