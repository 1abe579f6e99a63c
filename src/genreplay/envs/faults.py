"""Faults of an environment: named in one line, counted, and a deadline for what runs in this process."""

from __future__ import annotations

import logging
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from genreplay.common.errors import UserError, first_line

logger = logging.getLogger("genreplay")

DEADLINE = 300.0
"""Default of `loop.decision_deadline`, s."""
AGAIN_SECONDS = 1.0
"""After this a simulator that caught the interruption is interrupted again."""


class EnvironmentFault(UserError):
    """The environment raised, ended the program, missed its deadline, or gave what is no finite number.

    Args:
        message: one line.
        workers: whose episodes cannot go on.
    """

    def __init__(self, message: str, workers: Sequence[int] = ()):
        super().__init__(message)
        self.workers = tuple(workers)


class Late(BaseException):
    """The deadline has passed. Like KeyboardInterrupt, no handler of errors catches it."""


class Faults:
    """The faults of a run so far, of which some may be skipped.

    Args:
        limit: how many are skipped, each with its episode.
    """

    def __init__(self, limit: int = 0):
        self.count, self.limit = 0, limit

    def add(self, fault: EnvironmentFault) -> None:
        """Count and report one; raises it where it is one too many."""
        self.count += 1
        if self.count > self.limit:
            raise fault
        logger.warning("%s (skipped: fault %d of %d, loop.max_faults)", fault, self.count, self.limit)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `Late` in here once `seconds` have passed; a limit around this one stands still meanwhile.

    Python raises it between two instructions: compiled code that never returns is not interrupted. Without effect in
    other threads than the main one, and where there are no alarm signals (Windows).
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    handler = signal.signal(signal.SIGALRM, _ring)
    before = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)


def _ring(number: int, frame: FrameType | None) -> None:
    raise Late


def cause(error: BaseException, seconds: float) -> str:
    """What a simulator did, for after its name; `seconds` is the limit that `Late` is about."""
    if isinstance(error, Late):
        return f"gave no answer within {seconds:g} s (loop.decision_deadline)"
    if isinstance(error, SystemExit):
        return f"ended the program (exit status {0 if error.code is None else error.code})"
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = first_line(error) if isinstance(error, Exception) and str(error).strip() else ""
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return f"raised {type(error).__name__}{': ' * bool(text)}{text} ({where})"
