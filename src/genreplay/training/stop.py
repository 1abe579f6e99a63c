"""A run that a signal stops: at once where the work under way can be done again, else after a moment's work."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import CO_GENERATOR
from pathlib import Path
from types import FrameType

import genreplay

log = logging.getLogger("genreplay")

PACKAGE = str(Path(genreplay.__file__).parent) + os.sep
HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)
"""The terminal was closed; Windows has no such signal."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, HANG_UP)


class Stopped(BaseException):
    """A signal asked the run to end. Like KeyboardInterrupt, no handler of errors catches it."""


class Stop:
    """Whether a signal (Ctrl-C, SIGTERM or SIGHUP) asked the run to end."""

    def __init__(self) -> None:
        self.requested = False
        self._raises = False

    def check(self) -> None:
        """Raise `Stopped` where the run was asked to end."""
        if self.requested:
            raise Stopped

    @contextmanager
    def repeatable(self) -> Iterator[None]:
        """Work that takes long and can be done again: in here a signal raises `Stopped` within moments.

        It is raised in this package's own code, where that stands or is next called: in the middle of torch's, say, it
        could leave gradients switched off. Whoever catches it undoes what the work has changed so far.
        """
        self.check()
        self._raises, profile = True, sys.getprofile()
        try:
            yield
        finally:
            self._raises = False
            sys.setprofile(profile)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the first signal as a request, and let a second one end the program at once."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        if before[HANG_UP] == signal.SIG_IGN:
            del before[HANG_UP]  # nohup: the run is to outlive its terminal
        terminals = [number for number in (1, 2) if os.isatty(number)]

        def listen(number: int, frame: FrameType | None) -> None:
            self.requested = True
            restore()
            if HANG_UP in before:
                signal.signal(HANG_UP, signal.SIG_IGN)  # a terminal's end comes from the system and from the shell
            _leave(terminals)
            log.warning("saving, then ending; once more to end at once and lose what came after the last save")
            if self._raises:
                _raise_in_own_code(frame, "call", None)
                sys.setprofile(_raise_in_own_code)

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        for number in before:
            signal.signal(number, listen)
        try:
            yield
        finally:
            restore()


def _leave(terminals: list[int]) -> None:
    """Write nowhere instead of to terminals that are gone, which would be an error."""
    for number in terminals:
        if not os.isatty(number):
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), number)


def _raise_in_own_code(frame: FrameType | None, event: str, argument: object) -> None:
    """A profile function of Python's: raises `Stopped` where a function of this package is called.

    Not in a generator: Python ignores what is raised while it closes one that nobody needs any longer.
    """
    code = None if frame is None or event != "call" else frame.f_code
    if code is not None and not code.co_flags & CO_GENERATOR and code.co_filename.startswith(PACKAGE):
        raise Stopped
