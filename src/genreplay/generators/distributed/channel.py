"""Control channel between ranks: commands from rank 0, failure notification.

A rank that waits in a collective for a dead peer waits for half an hour. Here every rank keeps one connection to
rank 0; the operating system closes it when a process ends, however it ends, so the others know at once.
Messages are JSON; nothing that arrives is ever executed.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener, wait
from types import FrameType
from typing import Any

from lightning.fabric import Fabric

from genreplay.common.errors import UserError

GRACE_SECONDS = 15.0
"""How long a process may take to notice another's failure, or to clean up after its own, before it is ended."""

Message = dict[str, Any]


class RankError(RuntimeError):
    """Another rank failed; the message holds that rank's own error."""


def failure_message(error: Exception) -> Message:
    """A rank's report of its error; one that the user can fix stays one line."""
    if isinstance(error, UserError):
        return {"failed": str(error), "user_error": True}
    return {"failed": "".join(traceback.format_exception(error)), "user_error": False}


def open_channel(fabric: Fabric) -> Leader | Follower:
    """The channel of this rank: a `Leader` on rank 0, a `Follower` on the others. All ranks call it together."""
    if fabric.global_rank > 0:
        address, key = fabric.broadcast((("", 0), b""))
        return Follower(address, key, fabric.global_rank)
    host = fabric.strategy.cluster_environment.main_address  # type: ignore[attr-defined]
    key = secrets.token_bytes(32)
    with Listener((host, 0), backlog=fabric.world_size, authkey=key) as listener:
        fabric.broadcast((listener.address, key))
        return Leader([listener.accept() for _ in range(fabric.world_size - 1)])


class Leader:
    """Rank 0's end. A failure elsewhere raises `RankError` (or its `UserError`) in the main thread, wherever that is.

    The main thread is interrupted by SIGUSR1 (the way Ctrl-C interrupts it), so open files, runs and simulators are
    closed as after any other error. If it sits in a call that nothing interrupts, the process ends after
    `GRACE_SECONDS`.
    """

    def __init__(self, connections: list[Connection]):
        self._ranks = {connection: int(_read(connection)["rank"]) for connection in connections}
        self._failure: Exception | None = None
        self._failed, self._noticed, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._previous_handler = signal.signal(signal.SIGUSR1, self._raise_failure)
        threading.Thread(target=self._watch, name="rank-watcher", daemon=True).start()

    def send(self, message: Message) -> None:
        """Send the same command to every other rank."""
        for connection in self._ranks:
            with suppress(OSError):  # the watcher reports the dead rank, in better words
                _write(connection, message)

    def check(self, patience: float = 0.0) -> None:
        """Raise the error of another rank that has failed, or fails within `patience` seconds."""
        if self._failed.wait(patience):
            self._noticed.set()
            assert self._failure is not None
            raise self._failure

    def close(self, reason: str | None = None) -> None:
        """Let the other ranks go; with a `reason` ("failed: ...") they end at once, wherever they are, once
        this process has ended.
        """
        self._closing.set()
        signal.signal(signal.SIGUSR1, self._previous_handler)
        self.send({"op": "close"} if reason is None else {"op": "abort", "reason": reason})

    def _raise_failure(self, number: int, frame: FrameType | None) -> None:
        if not self._noticed.is_set():
            self.check()

    def _watch(self) -> None:
        alive = dict(self._ranks)
        while alive and not self._closing.is_set():
            for connection in wait(list(alive)):
                assert isinstance(connection, Connection)
                rank = alive.pop(connection)
                error: Exception
                try:
                    report = _read(connection)
                    error = (
                        UserError(report["failed"])
                        if report["user_error"]
                        else (RankError(f"rank {rank} failed:\n{report['failed']}"))
                    )
                except (EOFError, OSError):
                    error = RankError(f"rank {rank} ended without a word: it was killed, or ran out of memory")
                if not self._closing.is_set():
                    return self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._failed.set()
        os.kill(os.getpid(), signal.SIGUSR1)
        if not self._noticed.wait(GRACE_SECONDS) and not self._closing.is_set():
            _end_process(str(error))


class Follower:
    """The end of a rank above 0. When rank 0 ends, by whatever cause, so does this process."""

    def __init__(self, address: tuple[str, int], key: bytes, rank: int):
        self.rank = rank
        self._connection = Client(address, authkey=key)
        self._commands: queue.SimpleQueue[Message] = queue.SimpleQueue()
        _write(self._connection, {"rank": rank})
        threading.Thread(target=self._listen, name="rank-listener", daemon=True).start()

    def receive(self) -> Message:
        """The next command; waits for it as long as rank 0 lives."""
        return self._commands.get()

    def report(self, failure: Message) -> None:
        """Tell rank 0 why this rank fails (`failure_message`), and give it time to clean up before this one ends."""
        with suppress(OSError):  # rank 0 is gone: the listener ends this process
            _write(self._connection, failure)
        time.sleep(GRACE_SECONDS)

    def _listen(self) -> None:
        try:
            while True:
                message = _read(self._connection)
                if message["op"] == "abort":
                    # Lightning kills rank 0 when a child of its ends: rank 0 goes first.
                    self._connection.poll(GRACE_SECONDS)
                    _end_process(f"rank {self.rank} ends because rank 0 {message['reason']}")
                self._commands.put(message)
                if message["op"] == "close":
                    return
        except (EOFError, OSError):
            _end_process(f"rank {self.rank} ends because rank 0 is gone")


def _write(connection: Connection, message: Message) -> None:
    connection.send_bytes(json.dumps(message).encode())


def _read(connection: Connection) -> Message:
    return json.loads(connection.recv_bytes())


def _end_process(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody may be there to read it
        print(text, file=sys.stderr, flush=True)
    os._exit(1)
