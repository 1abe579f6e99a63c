"""A worker process as its parent sees it: start, requests and answers, cause of failure, restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sumo

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import SumoConfig

CLOSE_SECONDS = 3.0
"""Time for workers to end by themselves, s."""


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
            self._end(0.0)
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
        with open(self._stderr_file, "ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "genreplay.envs.sumo.simulator.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
                encoding="utf-8",
                start_new_session=True,
            )
        self.send({"config": asdict(self._config), "folder": str(self._folder)})
        self._num_unanswered = 0  # nothing answers the set-up

    def send(self, message: dict[str, Any]) -> None:
        """Send a request. `receive` notices a worker that has ended."""
        assert self._process.stdin is not None
        self._num_unanswered += 1
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def receive(self) -> dict[str, Any]:
        """Wait for the answer.

        Raises:
            SimulatorError: the simulator broke down, or its process died.
            UserError: the request cannot be carried out.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
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

    def _end(self, patience: float) -> None:
        self._release()
        self._wait(patience)

    def _release(self) -> None:
        """Close its input and output: a worker without input ends by itself."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue  # it ended with a request unread

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
