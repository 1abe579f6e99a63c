"""Runs that are killed at random moments, again and again, and compared with one that nothing disturbed.

    python -m tests.helpers.chaos                               # 60 kills; `make chaos`
    python -m tests.helpers.chaos pendulum=3                    # 3 kills of Pendulum on one rank
    python -m tests.helpers.chaos sumo/2=4 --seed 7 --folder X  # SUMO on two ranks; X keeps the runs

A life of a run begins at the last checkpoint and ends by SIGKILL in the middle of a phase, the phases in turn. After
the last kill the run goes on to its end. Weights, optimisers, buffers, random streams, counters, every point of every
metric and the files must then be those of the undisturbed run, each point once. Exit status 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil
import torch

import __main__
import genreplay
from genreplay import cli
from genreplay.common import scratch
from genreplay.common.scratch import Scratch
from genreplay.evaluation.evaluator import Evaluator
from genreplay.generators.distributed.team import Team
from genreplay.runs import checkpoint
from genreplay.runs.tracker import CLOCKS
from genreplay.training import snapshot
from genreplay.training.loop import Loop
from tests.helpers.command_line import assert_equal, assert_same
from tests.helpers.small_runs import SMALL_RUNS

KILLS = {"pendulum": 14, "pendulum/2": 7, "sumo": 13, "sumo/2": 7, "overcooked": 13, "overcooked/2": 6}
"""Kills by environment and number of ranks."""
PHASES: dict[str, tuple[Any, str, int]] = {
    "refit": (Team, "fit", 1),
    "updates": (Loop, "update", 20),
    "evaluation": (Evaluator, "evaluate_policy", 1),
    "collection": (Loop, "collect", 20),
    "sampling": (Loop, "_sample", 2),
    "checkpoint": (snapshot, "save", 2),
}
"""What does it, and the last of its calls in a life that the kill may come in."""
FIRST_ENV_STEPS, ENV_STEPS_PER_KILL = 60, 24
OFTEN = [
    "loop.utd_ratio=1",
    "loop.evaluate_every_env_steps=25",
    "loop.checkpoint_every_env_steps=18",
    "loop.log_every_env_steps=7",
    "speed=exact",
]


class Kill(NamedTuple):
    """When a life ends."""

    phase: str
    call: int
    """Of the phase, counted from the first checkpoint on."""
    delay: float
    """From the call's beginning, s."""
    rank: int


class Killed(Exception):
    """What is wrong with a run that was killed."""


# In the run's own process ------------------------------------------------------------------------------------------


def wrap(owner: Any, name: str, around: Callable[[Callable[[], Any]], Any]) -> None:
    """Have `around` make each call of a function."""
    original = getattr(owner, name)
    setattr(owner, name, lambda *args, **options: around(lambda: original(*args, **options)))


def arm(kill: Kill, is_resumed: bool) -> None:
    """Have this process die at the moment `kill`; `struck` then says whether the phase was under way."""
    calls, is_saved, inside = 0, is_resumed, False

    def strike() -> None:
        Path("struck").write_text(str(inside))
        if kill.rank == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        for child in psutil.Process().children():
            if child.environ().get("LOCAL_RANK") == str(kill.rank):
                child.kill()

    def in_phase(call: Callable[[], Any]) -> Any:
        nonlocal calls, inside
        calls += is_saved
        if is_saved and calls == kill.call:
            threading.Timer(kill.delay, strike).start()
        inside = True
        result = call()
        inside = False
        return result

    def saving(call: Callable[[], Any]) -> None:
        nonlocal is_saved
        call()
        is_saved = True

    wrap(*PHASES[kill.phase][:2], in_phase)
    wrap(snapshot, "save", saving)


def time_phases() -> dict[str, list[float]]:
    """Measure every call of every phase from now on."""
    seconds: dict[str, list[float]] = defaultdict(list)

    def timed(phase: str, call: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = call()
        seconds[phase].append(time.perf_counter() - started)
        return result

    for phase, (owner, name, _) in PHASES.items():
        wrap(owner, name, lambda call, phase=phase: timed(phase, call))
    return seconds


def live(folder: Path, arguments: list[str], kill: Kill | None) -> int:
    """One life of a run, in a fork of this process, which has imported everything; how it ended."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.chdir(folder)
    with open("log.txt", "ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    __main__.__spec__ = None  # so that Lightning starts the other ranks by `sys.argv`
    sys.argv = [str(Path(genreplay.__file__).parent / "__main__.py"), *arguments]
    seconds: dict[str, list[float]] = {}
    if kill is None:
        seconds = time_phases()
    else:
        arm(kill, "--resume" in arguments)
    status = 1
    try:
        status = cli.main(arguments)
        Path("seconds.json").write_text(json.dumps({phase: median(calls) for phase, calls in seconds.items()}))
    finally:
        os._exit(status)


# Around it ---------------------------------------------------------------------------------------------------------


class Runs:
    """The undisturbed run and the killed one of an environment, on some ranks, in a folder with one store."""

    def __init__(self, folder: Path, setting: str, num_kills: int):
        environment, _, ranks = setting.partition("/")
        config, overrides = SMALL_RUNS[environment]
        self.folder, self.setting, self.num_kills, self.ranks = folder, setting, num_kills, int(ranks or 1)
        where = [f"tracking.uri=sqlite:///{folder}/mlruns/mlflow.db", f"fabric.devices={self.ranks}"]
        length = f"loop.num_env_steps={FIRST_ENV_STEPS + ENV_STEPS_PER_KILL * num_kills}"
        self.arguments = ["fit", "--config", str(config), *overrides, *OFTEN, length, *where]

    def whole(self) -> tuple[str, dict[str, float]]:
        """The id of a run that nothing disturbs, and how long each phase mostly takes."""
        name = f"{self.setting} whole"
        if live(self.folder, [*self.arguments, f"tracking.experiment={name}"], None):
            raise Killed(f"the undisturbed run failed; see {self.folder}/log.txt")
        return self.run_of(name), json.loads((self.folder / "seconds.json").read_text())

    def killed(self, lengths: dict[str, float], rng: random.Random) -> tuple[str, Counter[str]]:
        """The id of a run that was killed `num_kills` times and then completed, and how often it was in which phase."""
        name, moments, arguments = f"{self.setting} killed", Counter[str](), self.arguments
        arguments = [*arguments, f"tracking.experiment={name}"]
        for number in range(self.num_kills):
            phase = list(PHASES)[number % len(PHASES)]
            call = rng.randint(1, PHASES[phase][2])
            kill = Kill(phase, call, rng.uniform(0, lengths[phase]), rng.randrange(self.ranks))
            (self.folder / "struck").unlink(missing_ok=True)
            status = live(self.folder, arguments, kill)
            if not (self.folder / "struck").is_file():
                raise Killed(f"ended with {status} before kill {number + 1}, {kill}; see {self.folder}/log.txt")
            inside = (self.folder / "struck").read_text() == "True"
            moments[phase if inside else "just after one"] += 1
            arguments = ["fit", "--resume", self.run_of(name), f"tracking.uri=sqlite:///{self.folder}/mlruns/mlflow.db"]
        status = live(self.folder, arguments, None)
        if status:
            raise Killed(f"the last resume ended with {status}; see {self.folder}/log.txt")
        return self.run_of(name), moments

    def run_of(self, experiment: str) -> str:
        """The id of the only run of an experiment."""
        ((run_id,),) = self.rows(
            "SELECT run_uuid FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = ?", experiment
        )
        return run_id

    def rows(self, query: str, value: str) -> list[tuple[Any, ...]]:
        """What the store holds."""
        with closing(sqlite3.connect(self.folder / "mlruns/mlflow.db")) as store:
            return store.execute(query, (value,)).fetchall()

    def points(self, run_id: str) -> dict[str, list[Any]]:
        """Every point of every metric of a run; of clocks the env steps alone."""
        found: dict[str, list[Any]] = defaultdict(list)
        query = "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, step"
        for name, env_step, value, is_nan in self.rows(query, run_id):
            found[name].append(env_step if name.startswith(CLOCKS) else (env_step, None if is_nan else value))
        return dict(found)

    def compare(self, one: str, other: str) -> int:
        """The number of metric points; AssertionError where two runs differ."""
        kept = [self.folder / "mlruns/artifacts" / run_id / "artifacts" for run_id in (one, other)]
        assert_same(*(checkpoint.load(folder / "checkpoints") for folder in kept))
        points = [self.points(run_id) for run_id in (one, other)]
        assert_equal(points[0], points[1], "metrics")
        names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*g")) for folder in kept]
        assert_equal(names[0], names[1], "artifacts")
        statuses = [self.rows("SELECT status FROM runs WHERE run_uuid = ?", run_id) for run_id in (one, other)]
        assert_equal(statuses[0], statuses[1], "status")
        return sum(map(len, points[0].values()))


def torment(folder: Path, setting: str, num_kills: int, seed: int) -> bool:
    """Kill a run so often, compare it, and print what came of it; whether all is well."""
    runs, started = Runs(folder, setting, num_kills), time.monotonic()
    try:
        whole, lengths = runs.whole()
        killed, moments = runs.killed(lengths, random.Random(f"{seed} {setting}"))
        num_points = runs.compare(killed, whole)
        Scratch("chaos").cleanup()
        left = [path.name for path in Path(tempfile.gettempdir()).glob("genreplay-*")]
        assert not left, f"left in the temporary folder: {left}"
    except (AssertionError, Killed) as error:
        print(f"{setting}: {error}", flush=True)
        return False
    when = ", ".join(f"{phase} {count}" for phase, count in moments.items())
    print(
        f"{setting}: {num_kills} of {num_kills} kills resumed with nothing lost ({when}); {num_points} metric points, "
        f"each once; {time.monotonic() - started:.0f} s",
        flush=True,
    )
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Kill runs at random moments, resume them and compare them.")
    parser.add_argument(
        "settings", nargs="*", metavar="ENV[/RANKS]=KILLS", default=[f"{k}={n}" for k, n in KILLS.items()]
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the runs stay; a temporary folder without it")
    options = parser.parse_args(arguments)
    kills = {setting.partition("=")[0]: int(setting.partition("=")[2]) for setting in options.settings}
    torch.set_num_threads(1)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    scratch.YOUNG_SECONDS = 0.0
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        folder = (options.folder or Path(place)).resolve()
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        well = [torment(folder, setting, number, options.seed) and number for setting, number in kills.items()]
    print(f"{sum(well)} of {sum(kills.values())} kills resumed with nothing lost")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
