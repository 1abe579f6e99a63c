"""A worker process as its parent sees it: start, requests and answers, cause of failure, restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import sumo

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import SumoConfig

CLOSE_SECONDS = 3.0
"""Time for workers to end by themselves, s."""
END = ""
"""What follows the last line of a worker."""
BEAT = "\n"
"""The line of a worker that is still at work."""


class SimulatorError(Exception):
    """The simulator broke down; the message is SUMO's own, on one line."""


class SimulatorProcess:
    """A simulator in a separate process.

    Args:
        config: the environment's.
        folder: for the files of this worker alone.
    """

    def __init__(self, config: SumoConfig, folder: Path):
        self._config, self._folder = config, folder
        self._stderr_file = folder / "stderr.txt"
        self._is_closed = False
        folder.mkdir(parents=True, exist_ok=True)
        self.restart()

    @property
    def pid(self) -> int:
        """Id of the worker process, which leads a process group with its fork of the running episode."""
        return self._process.pid

    def restart(self) -> None:
        """End the worker if it runs, and start it. Does not wait for it.

        Raises:
            SimulatorError: it was closed.
        """
        if self._is_closed:
            raise SimulatorError("the simulator is closed")
        if hasattr(self, "_process"):
            if self._process.poll() is None:
                self._kill()
            self._end()
        self._num_unanswered = 0
        environment = {
            **os.environ,
            "SUMO_HOME": os.environ.get("SUMO_HOME", sumo.SUMO_HOME),
            "OPENBLAS_NUM_THREADS": "1",  # the worker forks
            "PYTHONHASHSEED": "0",
        }
        environment.pop("LIBSUMO_AS_TRACI", None)
        if self._config.backend == "libsumo":
            environment["LIBSUMO_AS_TRACI"] = "1"
        self._stderr_file.unlink(missing_ok=True)
        self._lines: SimpleQueue[str] = SimpleQueue()
        started: Future[subprocess.Popen[str]] = Future()
        Thread(target=self._read, args=(environment, started, self._lines), daemon=True).start()
        self._process: subprocess.Popen[str] = started.result()
        self.send({"config": asdict(self._config), "folder": str(self._folder)})
        self._num_unanswered = 0  # nothing answers the set-up

    def _read(
        self, environment: dict[str, str], started: Future[subprocess.Popen[str]], lines: SimpleQueue[str]
    ) -> None:
        """Start a worker and put its lines on `lines` until it ends.

        The thread that starts a worker has to live as long as that: the worker ends with it (see `worker.tie`).
        """
        try:
            with open(self._stderr_file, "ab") as stderr:
                process = subprocess.Popen(
                    [sys.executable, "-m", "genreplay.envs.sumo.simulator.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=environment,
                    encoding="utf-8",
                    start_new_session=True,
                )
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(process)
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.put(line)
        lines.put(END)
        process.wait()

    def send(self, message: dict[str, Any]) -> None:
        """Send a request. `receive` notices a worker that has ended."""
        assert self._process.stdin is not None
        self._num_unanswered += 1
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def receive(self, deadline: float) -> dict[str, Any]:
        """Wait for the answer.

        Args:
            deadline: longest time without a line from the worker, s.

        Raises:
            SimulatorError: the simulator broke down, its process died, or the deadline passed.
            UserError: the request cannot be carried out.
        """
        line = BEAT
        while line == BEAT:
            try:
                line = self._lines.get(timeout=deadline)
            except Empty:
                text = f"the simulator process gave no sign of life for {deadline:g} s (loop.decision_deadline)"
                raise SimulatorError(text) from None
        if not line.endswith("\n"):
            raise SimulatorError(self._cause_of_failure())
        self._num_unanswered -= 1
        message = json.loads(line)
        if "user_error" in message:
            raise UserError(message["user_error"])
        if "error" in message:
            raise SimulatorError(_one_line([message["error"], *self._errors()]))
        return message

    @classmethod
    def close_all(cls, simulators: Sequence[SimulatorProcess]) -> None:
        """End the workers. One in the middle of a request is killed, as whoever waits for its answer is gone.

        May be called from another thread than the one that waits: that one gets a `SimulatorError`.
        """
        for simulator in simulators:
            simulator._is_closed = True
            if simulator._num_unanswered and simulator._process.poll() is None:
                simulator._kill()
        for simulator in simulators:
            simulator._release()
        deadline = time.monotonic() + CLOSE_SECONDS
        for simulator in simulators:
            simulator._wait(max(0.0, deadline - time.monotonic()))

    def _end(self, patience: float = CLOSE_SECONDS) -> None:
        self._release()
        self._wait(patience)

    def _release(self) -> None:
        """Close its input: a worker without input ends by itself."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it ended with a request unread
            self._process.stdin.close()

    def _wait(self, patience: float) -> None:
        """Wait for its end, and kill it after `patience` seconds."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()

    def _kill(self) -> None:
        """Kill the worker and its fork."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self._process.kill()

    def _cause_of_failure(self) -> str:
        try:
            status = self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            return "the simulator process closed its output"
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        lines = self._errors() or self._stderr()[-1:]
        return _one_line([f"the simulator process ended with {how}", *lines])

    def _stderr(self) -> list[str]:
        text = self._stderr_file.read_text(encoding="utf-8", errors="replace")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def _errors(self) -> list[str]:
        return [line for line in self._stderr() if line.startswith("Error:")]


def _one_line(parts: list[str]) -> str:
    """The parts, without those that another one contains."""
    flat = list(dict.fromkeys(" ".join(part.split()) for part in parts))
    bare = [part.removeprefix("Error: ").rstrip(".") for part in flat]
    keep = [part for i, part in enumerate(flat) if not any(bare[i] in other for j, other in enumerate(flat) if j != i)]
    return "; ".join(keep)
