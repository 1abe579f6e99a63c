"""Bad input of every kind that a user can hand in, made from good input, and what is wrong with the answer to it.

`CASES[kind](rnd, folder)` makes one case: a description, and a call that gives exit status and standard error.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from genreplay.cli import main
from genreplay.common.errors import UserError
from genreplay.config import load, to_yaml
from genreplay.config.shipped import FOLDER, names
from tests.helpers import mutations

DATA = Path(__file__).parents[1] / "data"
RESOLVED = ("sumo_pgr", "pendulum_pgr", "overcooked_human", "overcooked_partners")
LONGEST_LINE = 500
"""Characters of an error message with what stands before it."""
SECONDS = 60
"""Longest time of one case, s: long enough for a busy machine."""
MEGABYTES = 500
"""Most memory that one case may add."""

Call = Callable[[], tuple[int, str]]


@dataclass
class Tally:
    """What became of the cases of one kind."""

    inputs: set[int] = field(default_factory=set)
    """A hash of each different input."""
    refused: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, kind: str, rnd: Random, folder: Path) -> None:
        """Make one case in the `folder`, which is removed afterwards, and note what is wrong with the answer."""
        folder.mkdir()
        described, call = CASES[kind](rnd, folder)
        if hash(described) not in self.inputs:
            self.inputs.add(hash(described))
            status, found = examine(call, folder)
            self.refused += status == 2 and not found
            self.problems += [f"{'; '.join(found)} of {described[-300:]!r}"] if found else []
        shutil.rmtree(folder)


# The answer ----------------------------------------------------------------------------------------------------------


def examine(call: Call, folder: Path) -> tuple[int | None, list[str]]:
    """Exit status, and what is wrong: a refusal is one short line, takes little, and leaves the `folder` as it was."""
    before, start, held = _content(folder), time.monotonic(), _peak_megabytes(reset=True)
    try:
        with _deadline():
            status, told = call()
    except BaseException as error:
        return None, [f"{type(error).__name__}: {str(error)[:300]}"]
    found = []
    if (added := _peak_megabytes() - held) > MEGABYTES:
        found.append(f"{added:.0f} MB")
    if status == 2:
        line = told.rstrip("\n").rpartition("genreplay: error: ")
        if not line[1] or not line[2].isprintable():
            found.append(f"not one line: {told[-600:]!r}")
        if len(line[1] + line[2]) > LONGEST_LINE:
            found.append(f"{len(line[2])} characters: {line[2]}")
        if _content(folder) != before:
            found.append("something written")
    elif status != 0:
        found.append(f"status {status}: {told[-300:]}")
    if time.monotonic() - start > SECONDS:
        found.append("too slow")
    return status, found


def answer(arguments: Sequence[str]) -> tuple[int, str]:
    """Exit status and standard error of a command, run in this process."""
    told = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(told):
        status = main(arguments)
    return status, told.getvalue()


def answer_of(call: Callable[[], object]) -> tuple[int, str]:
    """The same of a part of the Python interface."""
    try:
        call()
    except UserError as error:
        return 2, f"genreplay: error: {error}\n"
    return 0, ""


def _content(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_size for path in folder.rglob("*")}


@contextmanager
def _deadline() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise TimeoutError(f"no answer within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _peak_megabytes(reset: bool = False) -> float:
    """The most memory this process has held since the last reset; 0 where Linux does not say that."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))[1]) / 1024
    except OSError:
        return 0.0


# The cases -----------------------------------------------------------------------------------------------------------


def _write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return str(path)


def _yaml_with(rnd: Random, good: str) -> str:
    """A YAML file with other values, written as they stand in `SCALARS`, or with other text."""
    if rnd.random() < 0.3:
        return mutations.text(rnd, good)
    places = [f"@@{i}@@" for i in range(len(mutations.SCALARS))]
    text = yaml.safe_dump(mutations.tree(rnd, yaml.safe_load(good), places), allow_unicode=True)
    return re.sub(r"'?@@(\d+)@@'?", lambda found: mutations.SCALARS[int(found[1])], text)


@cache
def _resolved(name: str) -> str:
    return to_yaml(load(name))


def config(rnd: Random, folder: Path) -> tuple[str, Call]:
    shipped = (FOLDER / f"{rnd.choice(names())}.yaml").read_text()
    text = _yaml_with(rnd, _resolved(rnd.choice(RESOLVED)) if rnd.random() < 0.6 else shipped)
    path = _write(folder / "mine.yaml", text)
    return text, lambda: answer(["config", "--config", path])


def override(rnd: Random, folder: Path) -> tuple[str, Call]:
    name = rnd.choice(RESOLVED)
    key = ".".join(map(str, rnd.choice(mutations.places(yaml.safe_load(_resolved(name))))))
    if rnd.random() < 0.15:
        key = mutations.text(rnd, key)
    text = f"{key}={rnd.choice(mutations.SCALARS)}"
    return f"{name} {text}", lambda: answer(["config", "--config", name, text])


def study(rnd: Random, folder: Path) -> tuple[str, Call]:
    text = _yaml_with(rnd, (FOLDER / "study" / "pendulum.yaml").read_text())
    path = _write(folder / "mine.yaml", text)
    return text, lambda: answer(["study", path, "--cell", "none/0"])


NETS = ("cross", "peds", "staggered", "signals/actuated", "signals/ped", "signals/nema", "signals/allred")


def net(rnd: Random, folder: Path) -> tuple[str, Call]:
    text = mutations.xml(rnd, (DATA / f"{rnd.choice(NETS)}.net.xml").read_text())
    path = _write(folder / "mine.net.xml", text)
    return text, lambda: answer(["junction", "--net", path])


ROUTES = (("cross", "hourly"), ("peds", "persons"), ("cross", "dist"), ("signals/ped", "signals/ped"))


def route(rnd: Random, folder: Path) -> tuple[str, Call]:
    of_net, name = rnd.choice(ROUTES)
    text = mutations.xml(rnd, (DATA / f"{name}.rou.xml").read_text())
    path = _write(folder / "mine.rou.xml", text)
    arguments = ["junction", "--net", str(DATA / f"{of_net}.net.xml"), "--routes", path, "env.episode_seconds=300"]
    return text, lambda: answer(arguments)


def counts(rnd: Random, folder: Path) -> tuple[str, Call]:
    of_net, name = rnd.choice((("signals/allred", "signals/four_full"), ("staggered", "staggered_c")))
    text = mutations.table(rnd, (DATA / f"{name}.csv").read_text())
    path = _write(folder / "mine.csv", text)
    arguments = ["junction", "--net", str(DATA / f"{of_net}.net.xml"), "--counts", path, "env.episode_seconds=300"]
    return text, lambda: answer(arguments)


KITCHEN: dict[str, Any] = {
    "grid": "XXPXX\nO1 2O\nX   X\nXDXSX",
    "start_all_orders": [{"ingredients": ["onion"] * 3}, {"ingredients": ["onion"] * 2}],
    "start_bonus_orders": [{"ingredients": ["onion"] * 3}],
    "recipe_values": [20, 15],
    "recipe_times": [20, 15],
    "order_bonus": 2,
    "rew_shaping_params": {"PLACEMENT_IN_POT_REW": 3, "DISH_PICKUP_REWARD": 3, "SOUP_PICKUP_REWARD": 5},
    "start_state": {
        "players": [
            {"position": (1, 1), "orientation": (0, 1), "held_object": None},
            {"position": (3, 1), "orientation": (0, 1), "held_object": None},
        ],
        "objects": [],
        "bonus_orders": [],
        "all_orders": [{"ingredients": ["onion"] * 3}],
        "timestep": 0,
    },
}


def layout(rnd: Random, folder: Path) -> tuple[str, Call]:
    from genreplay.envs.overcooked.config import OvercookedConfig
    from genreplay.envs.overcooked.world import OvercookedWorld

    good = {key: value for key, value in KITCHEN.items() if key == "grid" or rnd.random() < 0.6}
    changed = mutations.tree(rnd, good, mutations.JSON_VALUES) if rnd.random() < 0.6 else dict(good)
    if rnd.random() < 0.3 and isinstance(changed, dict):
        changed["grid"] = mutations.text(rnd, good["grid"])
    text = mutations.text(rnd, repr(good)) if rnd.random() < 0.3 else _repr(changed)
    path = _write(folder / "mine.layout", text)
    options = OvercookedConfig(layout=path, dynamics="new")
    return text, lambda: answer_of(lambda: OvercookedWorld(options).make_env(1, lambda worker, index: 0).reset())


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # a number of more digits than Python writes
        return "{'grid': " + "9" * 5000 + "}"


@cache
def _clone() -> tuple[Any, dict[str, Any], str]:
    """A kitchen, and the weights and the header of its clone."""
    import torch

    from genreplay.agents.discrete.actor import CategoricalActor
    from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
    from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS, Kitchen

    kitchen = Kitchen(read_layout("cramped_room"), "old")
    torch.manual_seed(0)
    about = {"layout": "cramped_room", "grid": list(kitchen.code.kitchen.grid), "dynamics": "old", "split": "train"}
    about |= {"accuracy": 0.5, "majority": 0.25, "hidden_width": 8}
    return kitchen, CategoricalActor(kitchen.code.width, NUM_ACTIONS, 8).state_dict(), json.dumps(about)


def clone(rnd: Random, folder: Path) -> tuple[str, Call]:
    from safetensors.torch import save

    from genreplay.partners.cloning import HEADER, read_clone

    kitchen, weights, about = _clone()
    how = rnd.choice(("bytes", "header", "header", "weights"))
    if how == "header":
        about = mutations.json_text(rnd, about).encode("utf-8", "replace").decode()
    if how == "weights":
        weights = mutations.weights(rnd, weights)
    content = save(weights, {HEADER: about})
    content = mutations.data(rnd, content) if how == "bytes" else content
    path = Path(_write(folder / "mine.safetensors", content))
    return content.hex(), lambda: answer_of(lambda: read_clone(path, kitchen))


def checkpoint(rnd: Random, folder: Path) -> tuple[str, Call]:
    from genreplay import load_buffer, load_generator, load_policy
    from tests.helpers.bad_checkpoints import damage, good_checkpoint

    whole = good_checkpoint()
    described = damage(rnd, whole, Path(shutil.copytree(whole, folder / "000001")))

    def read() -> None:
        for reader in (load_policy, load_generator, load_buffer):
            reader(folder)

    return described, lambda: answer_of(read)


CASES: dict[str, Callable[[Random, Path], tuple[str, Call]]] = {
    each.__name__: each for each in (config, override, study, net, route, counts, layout, clone, checkpoint)
}
