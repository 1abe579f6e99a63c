"""Program of a worker process: a simulator that answers each JSON line with a JSON line.

`process.SimulatorProcess` starts it. Answers go to standard output; SUMO's own output goes to standard error, which the
parent reads after a failure. Empty lines between the answers show that the simulator is at work.

The worker ends when its input ends, so it does not outlive its parent; on Linux not even where it is stopped or hangs.

Every episode runs in a fork of the same fresh process. Two simulations one after the other in one process are not
independent: on cologne1 an episode depends on what was simulated before it (the same seed gave 54.4 s and 54.9 s of
delay), whereas fresh processes agree. Without fork (on Windows) episodes share the process and may differ in that way.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.simulator.episode import EpisodeRequest

if TYPE_CHECKING:
    from genreplay.envs.sumo.simulator.simulator import Simulator

WITHIN_EPISODE = ("decide", "frames", "greens", "movements")
"""Commands for the running or the last episode; any other command begins the next one."""


BEAT_SECONDS = 5.0
"""Time from one sign of life to the next, s."""


def tie() -> None:
    """Let this process be killed as the thread that started it ends (Linux; elsewhere without effect)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def config_from_tree(tree: dict[str, Any]) -> SumoConfig:
    """The inverse of `dataclasses.asdict`."""
    return SumoConfig(**{**tree, "demand": DemandConfig(**tree["demand"])})


def answer(simulator: Simulator, request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one request; its answer."""
    if request["command"] == "decide":
        outcome = simulator.decide(np.asarray(request["action"], dtype=np.float32))
        return {**vars(outcome), "notices": simulator.notices}
    if request["command"] == "frames":
        recorder = simulator.episode.recorder
        return {"frames": [] if recorder is None else recorder.frames}
    if request["command"] == "movements":
        return {"movements": simulator.episode.movements}
    if request["command"] == "greens":
        return {"greens": simulator.greens()}
    if request["command"] == "start":
        return {"observation": simulator.start(_episode(request))}
    if request["command"] == "baseline":
        limit = math.inf if request["limit"] is None else request["limit"]
        name, settings, brief = request["name"], request["settings"], request["brief"]
        metrics = simulator.baseline(_episode(request), name, settings, limit, brief)
        return {"metrics": metrics, "notices": simulator.notices}
    raise ValueError(f"unknown command {request['command']!r}")


def _episode(request: dict[str, Any]) -> EpisodeRequest:
    return EpisodeRequest(*(request[key] for key in EpisodeRequest._fields))


class Server:
    """Answers requests until the input ends or one fails: the worker ends then, since SUMO's state is unknown."""

    def __init__(self, requests: TextIO, answers: TextIO):
        self._requests, self._answers = requests, answers
        self._next_beat = 0.0

    def serve(self) -> int:
        """Answer all requests; the exit status."""
        set_up = self._requests.readline()
        status = self._guard(lambda: self._set_up(json.loads(set_up))) if set_up else 0
        next_line = self._requests.readline() if set_up and status == 0 else ""
        while next_line:
            next_line, status = self._in_fork(next_line) if hasattr(os, "fork") else self._serve_episode(next_line)
        return status

    def _set_up(self, message: dict[str, Any]) -> None:
        # Here, so that a failed import is reported like any other failure.
        from genreplay.envs.sumo.simulator.simulator import Simulator

        beat = self._beat

        class Beating(Simulator):
            def _sumo_step(self) -> None:
                super()._sumo_step()
                beat()

        self._simulator = Beating(config_from_tree(message["config"]), Path(message["folder"]))
        if stat.S_ISREG(os.fstat(2).st_mode):
            os.ftruncate(2, 0)  # notices of successful imports

    def _serve_episode(self, first_line: str) -> tuple[str, int]:
        """Answer the requests of one episode; the first line of the next one ("" at the end) and the exit status."""
        line = first_line

        def respond() -> None:
            nonlocal line
            self._send(answer(self._simulator, json.loads(line)))
            line = self._requests.readline()

        while True:
            status = self._guard(respond)
            if status != 0 or not line:
                return "", status
            if json.loads(line)["command"] not in WITHIN_EPISODE:
                return line, 0

    def _in_fork(self, first_line: str) -> tuple[str, int]:
        """`_serve_episode` in a child process, which inherits input and output."""
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            tie()
            os.close(read_end)
            next_line, status = self._serve_episode(first_line)
            os.write(write_end, next_line.encode())
            # Without Python's clean-up, which would close what belongs to the parent.
            os._exit(status)
        os.close(write_end)
        with os.fdopen(read_end, encoding="utf-8") as stream:
            next_line = stream.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status < 0:
            os.kill(os.getpid(), -status)  # die as the child did, so that the parent learns how
        return next_line, status

    def _guard(self, work: Callable[[], None]) -> int:
        """Exit status of `work`; a failure is sent to the parent as text, since SUMO's exceptions do not pickle."""
        try:
            work()
        except UserError as error:
            self._send({"user_error": str(error)})
        except Exception as error:
            self._send({"error": f"{type(error).__name__}: {error}"})
        else:
            return 0
        return 1

    def _beat(self) -> None:
        if (now := time.monotonic()) >= self._next_beat:
            self._next_beat = now + BEAT_SECONDS
            self._answers.write("\n")
            self._answers.flush()

    def _send(self, message: dict[str, Any]) -> None:
        self._answers.write(json.dumps(message) + "\n")
        self._answers.flush()


def main() -> None:
    """Serve on standard input and output."""
    tie()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent decides
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.exit(Server(sys.stdin, answers).serve())


if __name__ == "__main__":
    main()
