"""A signal stops work that can be done again at once, and lets all other work end."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest
import torch

from genreplay.common.seeding import derive_seed
from genreplay.training.stop import Stop, Stopped


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def work(stop: Stop, number: int, done: list[object]) -> None:
    """Repeatable work that gets a signal; neither this file nor torch is the package."""
    with stop.repeatable():
        os.kill(os.getpid(), number)
        done += ["here", torch.ones(2).sum()]
        derive_seed(0, "x")
        done.append("never")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_repeatable_work_where_the_package_is_next_called(number: int) -> None:
    stop, done = Stop(), list[object]()
    with stop.listening():
        with pytest.raises(Stopped):
            work(stop, number, done)
        assert len(done) == 2
        assert signal.getsignal(number) == signal.SIG_IGN, "a second signal ends the program"
    derive_seed(0, "x")
    with pytest.raises(Stopped):
        stop.check()
    with pytest.raises(Stopped):
        work(stop, number, done)
    assert len(done) == 2


def test_a_signal_lets_other_work_end() -> None:
    stop = Stop()
    with stop.listening():
        stop.check()
        with stop.repeatable():
            derive_seed(0, "x")
        os.kill(os.getpid(), signal.SIGTERM)
        derive_seed(0, "x")
        assert stop.requested
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_a_terminal_that_is_closed_stops_the_run_unless_it_was_started_with_nohup() -> None:
    for handler, asked in ((signal.default_int_handler, True), (signal.SIG_IGN, False)):
        before, stop = signal.signal(signal.SIGHUP, handler), Stop()
        with stop.listening():
            for _ in range(2):  # from the system, and from the shell
                os.kill(os.getpid(), signal.SIGHUP)
            derive_seed(0, "x")
            assert stop.requested == asked
        assert signal.signal(signal.SIGHUP, before) == handler


def test_errors_of_the_work_pass_and_handlers_of_errors_do_not_catch_a_stop() -> None:
    stop = Stop()
    with stop.listening():
        with pytest.raises(ZeroDivisionError), stop.repeatable():
            raise ZeroDivisionError
        with pytest.raises(Stopped), suppress(Exception):
            work(stop, signal.SIGTERM, [])
