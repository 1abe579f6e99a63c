"""Milliseconds of a whole training run for each env step, and the share of each part.

    python benchmarks/whole_loop.py [--config conf/sumo_pgr.yaml] [--device cuda] [--json FILE]

A real run of the config, 1,600 env steps (with sumo_pgr.yaml: 300 of them random, three fits of the generator, four
evaluations), its store in a temporary folder. A part's time is its own: where it calls another, that one counts.

Without `--config` a shorter one follows twice: with the plain agent and generator and TraCI (`plain_parts.py`), and as
it is.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from measuring import Record, Settings, command, record, synchronize

CONF = Path(__file__).parents[1] / "conf"
NUM_ENV_STEPS = 1600
REST = "rest of the loop"
UNIT = "ms/env step"
PLAIN, OURS = "plain loops, TraCI", "genreplay"
SHORT = ("loop.num_env_steps=700", "evaluation.seeds=[1]")
"""300 env steps at random, one fit of the generator, two evaluations."""
QUICK = (
    "loop.num_env_steps=60",
    "loop.warmup_env_steps=20",
    "loop.first_refit_env_step=30",
    "loop.num_synthetic_rows=50",
    "generator.fit.num_steps=5",
    "generator.network.hidden_width=16",
    "evaluation.seeds=[1]",
)


class Clock:
    """Own time of nested parts."""

    def __init__(self, device: str):
        self.seconds: dict[str, float] = defaultdict(float)
        self._device, self._stack, self._since = device, list[str](), 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Within the block time counts for `name`, save where another part begins."""
        self._turn()
        self._stack.append(name)
        try:
            yield
        finally:
            self._turn()
            self._stack.pop()

    def _turn(self) -> None:
        synchronize(self._device)
        now = time.perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now


@contextmanager
def timed(clock: Clock, owner: Any, attribute: str, name: str) -> Iterator[None]:
    """Within the block every call of `owner.attribute` counts as part `name`."""
    original: Callable[..., Any] = getattr(owner, attribute)

    def call(*args: Any, **kwargs: Any) -> Any:
        with clock.part(name):
            return original(*args, **kwargs)

    own = attribute in vars(owner)
    setattr(owner, attribute, call)
    try:
        yield
    finally:
        if own:
            setattr(owner, attribute, original)
        else:
            delattr(owner, attribute)


def parts(config: Any) -> list[tuple[Any, str, str]]:
    """Whose calls are timed, and as what."""
    from genreplay.generators.distributed.team import Team
    from genreplay.registry import entry
    from genreplay.replay.buffers import MixedReplay
    from genreplay.replay.collection import Collection
    from genreplay.replay.synthesis import Generated
    from genreplay.training import loop, snapshot
    from genreplay.training.monitor import Monitor

    found: list[tuple[Any, str, str]] = [
        (loop.Loop, "run", REST),
        (loop.Loop, "evaluate", "evaluation"),
        (loop, "diagnose", "diagnosis of synthetic rows"),
        (snapshot, "save", "checkpoints"),
        (Collection, "next", "collection"),
        (entry("agent", config.agent.name).part, "training_step", "agent updates"),
        (Team, "fit", "generator: fit"),
        (Generated, "draw", "generator: samples"),
    ]
    found += [(MixedReplay, m, "replay") for m in ("extend_real", "replace_synthetic", "sample_blocks", "sample_real")]
    found += [(Monitor, m, "report") for m in ("collected", "updated", "log", "refitted", "evaluated")]
    relevance = entry("relevance", config.relevance.name).part
    if relevance is not None:
        found += [(relevance, m, "relevance") for m in ("update", "score")]
    return found


def run_timed(file: Path, options: list[str], store: str, settings: Settings) -> tuple[dict[str, float], int]:
    """Seconds of every part in a run of the config, and its env steps."""
    from genreplay.config.reader import load
    from genreplay.training.run import fit

    accelerator = settings.device.split(":")[0]
    machine = [f"fabric.accelerator={accelerator}", f"fabric.num_threads={settings.threads}"]
    config = load(os.fspath(file), [*machine, *options, f"tracking.uri={store}"])
    clock = Clock(settings.device)
    with ExitStack() as stack:
        for owner, attribute, name in parts(config):
            stack.enter_context(timed(clock, owner, attribute, name))
        if fit(config) != 0:
            raise SystemExit("the run was interrupted: nothing to report")
    return clock.seconds, config.loop.num_env_steps


def shares(seconds: dict[str, float], num: int, case: str, whole: Record) -> list[Record]:
    """The whole and its parts, largest first."""
    total = sum(seconds.values())
    lines = [whole]
    for name, own in sorted(seconds.items(), key=lambda item: -item[1]):
        lines.append(record(case, name, own / num * 1e3, UNIT, note=f"{own / total:.1%} of the time"))
    return lines


def compared(file: Path, store: str, settings: Settings) -> list[Record]:
    """One short run as it is and one with the plain implementations and TraCI."""
    from plain_parts import OPTIONS, plain_parts

    options, lines, totals = list(QUICK if settings.quick else SHORT), [], []
    case = f"{file.stem}, {options[0].split('=')[1]} env steps"
    for name in (PLAIN, OURS):
        plain = [option for option in OPTIONS if "traci" not in option or "sumo" in file.stem] if name == PLAIN else []
        with plain_parts():
            seconds, num = run_timed(file, options + plain, store, settings)
        totals.append(sum(seconds.values()))
        whole = record(case, name, totals[-1] / num * 1e3, UNIT, ratio=totals[0] / totals[-1], note="whole loop")
        lines += shares(seconds, num, f"{case}: {name}", whole)
    return lines


def records(settings: Settings, config_file: Path | None = None) -> list[Record]:
    file = config_file or CONF / ("pendulum_pgr.yaml" if settings.quick else "sumo_pgr.yaml")
    options = list(QUICK) if settings.quick else [f"loop.num_env_steps={NUM_ENV_STEPS}"]
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/mlflow.db"
        seconds, num = run_timed(file, options, store, settings)
        whole = record(file.stem, "whole loop", sum(seconds.values()) / num * 1e3, UNIT, note="100.0% of the time")
        return shares(seconds, num, file.stem, whole) + ([] if config_file else compared(file, store, settings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config", type=Path)
    own, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    command(__doc__, lambda settings: records(settings, own.config))
