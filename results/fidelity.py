"""How faithful virtual partners are: a generator beside the partners that it was fitted to.

    python results/fidelity.py FOLDER RUN RUN ... --seeds 101-120 --uri sqlite:///mlruns/mlflow.db

Each RUN (an id, a name or a folder; one for each training seed) learned with partners and a generator `masked` or
`factorised`, such as conf/overcooked_partners.yaml. Its policy plays an episode of each seed, none of which training
had, beside each of its partners in either seat. In every state met there the generator is asked what the partner would
do, with the partner's code and without one. It is held against the partner's own frequencies of actions in those very
states, which a virtual partner must beat, and against the partner's own probabilities, which none can. Then the policy
plays the same episodes beside the virtual partner. The policy itself, a partner called `self`, is left out.

Writes FOLDER/fidelity.csv and FOLDER/returns.csv and prints their means; without RUNs it reads these files again. A
seat is the policy's.

Shapes: n states, A actions.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tensordict.nn import TensorDictModule

from genreplay.commands.options import seeds
from genreplay.common.errors import UserError
from genreplay.common.statistics import mean_interval as interval
from genreplay.envs import episodes
from genreplay.envs.overcooked.config import SELF
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS
from genreplay.envs.overcooked.partners.base import NUM_UNIFORMS, PartnerInput
from genreplay.envs.overcooked.world import OvercookedWorld
from genreplay.partners.fidelity import Fidelity, fidelity, frequencies
from genreplay.runs import checkpoint, find
from genreplay.runs.policy import load_policy
from genreplay.runs.store import store_uri

VIRTUAL, UNCODED, FREQUENCIES, OWN = "virtual", "virtual, no code", "frequencies", "the partner itself"

Row = dict[str, str | int | float]


class Played(NamedTuple):
    """Episodes of a policy beside a partner, side by side."""

    scene: PartnerInput
    """Every state of every episode, for the partner's seat."""
    actions: np.ndarray
    """`[n]`: what the partner did in each."""
    returns: list[float]
    """Sparse return of each episode."""


def play(world: OvercookedWorld, policy: TensorDictModule, partner: str, seat: int, episode_seeds: list[int]) -> Played:
    """An episode of each seed with the policy in `seat`; seed and actions alone decide what happens."""
    env = world.make_env(len(episode_seeds), lambda worker, index: episode_seeds[worker], evaluation=True)
    env.demand = f"{partner}/{seat}"
    policy_acts, codes, previous, actions = episodes.greedy(policy), [], [np.full_like(env.codes, -1)], []

    def act(views: dict[int, np.ndarray]) -> Mapping[int, np.ndarray]:
        codes.append(env.codes.copy())
        return policy_acts(views)

    for _, worker, _ in episodes.play(env, act, episode_seeds):
        if worker == env.num_workers - 1:
            actions.append(env.acted[:, 1 - seat].copy())
    states, before, did = (np.concatenate(parts) for parts in (codes, previous + codes[:-1], actions))
    chances = np.zeros((len(did), NUM_UNIFORMS), dtype=np.float32)
    scene = PartnerInput(world.kitchen.code, states, before, np.full(len(did), 1 - seat), chances)
    return Played(scene, did, [env.metrics(worker)["sparse_return"] for worker in range(len(episode_seeds))])


def measure(world: OvercookedWorld, played: Played, partner: str, virtual: str, uncoded: str) -> dict[str, Fidelity]:
    """How well each says what the partner did."""
    own = world.partner(partner).action_probabilities(played.scene)
    said = {
        VIRTUAL: world.partner(virtual).action_probabilities(played.scene),
        UNCODED: world.partner(uncoded).action_probabilities(played.scene),
        FREQUENCIES: frequencies(played.actions, NUM_ACTIONS),
        OWN: own,
    }
    return {name: fidelity(probabilities, played.actions, own) for name, probabilities in said.items()}


def judge(number: int, folder: Path, episode_seeds: list[int]) -> tuple[list[Row], list[Row]]:
    """The rows of both files for the run in a checkpoint's folder.

    Raises:
        UserError: it has no partner, or no generator that could be one.
    """
    loaded = load_policy(folder)
    world = loaded.world
    if not isinstance(world, OvercookedWorld):
        raise UserError(f"{folder}: env.name is {loaded.config.env.name!r}; name a run of overcooked")
    partners = world.config.partners
    others = [name for name in dict.fromkeys(partners) if name != SELF]
    if not others:
        raise UserError(
            f"{folder}: was trained with no partner; train with some, as conf/overcooked_partners.yaml does"
        )
    said: list[Row] = []
    returns: list[Row] = []
    for partner in others:
        virtual, uncoded = f"virtual:{folder}:{partners.index(partner)}", f"virtual:{folder}"
        for seat in (0, 1):
            beside: Row = {"run": number, "demand": f"{partner}/{seat}"}
            real = play(world, loaded.policy, partner, seat, episode_seeds)
            twin = play(world, loaded.policy, virtual, seat, episode_seeds)
            for name, found in measure(world, real, partner, virtual, uncoded).items():
                said.append(beside | {"predictor": name, "num_actions": len(real.actions)} | found._asdict())
            for seed, one, other in zip(episode_seeds, real.returns, twin.returns, strict=True):
                returns.append(beside | {"seed": seed, "real": one, "virtual": other})
    return said, returns


def write(path: Path, rows: Sequence[Row]) -> None:
    """A CSV file with a header."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def grouped(path: Path, key: Callable[[dict[str, str]], str]) -> dict[str, list[dict[str, str]]]:
    """The rows of a CSV file by what `key` gives, in the order of the file."""
    groups: dict[str, list[dict[str, str]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            groups.setdefault(key(row), []).append(row)
    return groups


def mean(rows: Sequence[dict[str, str]], column: str) -> float:
    """Of a column."""
    return float(np.mean([float(row[column]) for row in rows]))


def show(folder: Path) -> None:
    """Both files' means over runs, as tables."""
    print("| partner/seat of the policy | who says | nats an action | likeliest one | total variation |")
    print("|---|---|---|---|---|")
    for name, rows in grouped(folder / "fidelity.csv", lambda row: f"{row['demand']} | {row['predictor']}").items():
        figures = [f"{mean(rows, field):.3f}" for field in Fidelity._fields]
        print(f"| {name} | {' | '.join(figures)} |")
    num_runs = len(grouped(folder / "returns.csv", lambda row: row["run"]))
    unit = "run" if num_runs > 1 else "seed"
    print(f"\n| partner/seat of the policy | real | virtual | virtual less real | 95 % over {unit}s |")
    print("|---|---|---|---|---|")
    for demand, rows in grouped(folder / "returns.csv", lambda row: row["demand"]).items():
        by_unit: dict[str, list[float]] = {}
        for row in rows:
            by_unit.setdefault(row[unit], []).append(float(row["virtual"]) - float(row["real"]))
        low, high = interval([float(np.mean(values)) for values in by_unit.values()])
        real, virtual = mean(rows, "real"), mean(rows, "virtual")
        print(f"| {demand} | {real:.0f} | {virtual:.0f} | {virtual - real:+.0f} | {low:+.0f} to {high:+.0f} |")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--seeds", metavar="LIST", default="101-120", help="one episode each; default: %(default)s")
    parser.add_argument("--uri", help="of the store that has the runs; default: the one that genreplay fit writes to")
    arguments = parser.parse_args()
    try:
        if arguments.runs:
            found, drawn = store_uri(arguments.uri), seeds(arguments.seeds)
            folders = [
                checkpoint.newest(find.resolve_run(name, found, checkpoint.exists, "RUN")) for name in arguments.runs
            ]
            judged = [judge(number, folder, drawn) for number, folder in enumerate(folders)]
            arguments.folder.mkdir(parents=True, exist_ok=True)
            for i, name in enumerate(("fidelity.csv", "returns.csv")):
                write(arguments.folder / name, [row for both in judged for row in both[i]])
        elif not (arguments.folder / "returns.csv").is_file():
            raise UserError(f"{arguments.folder}: holds no returns.csv to read again; name a RUN to measure")
    except UserError as error:
        parser.error(str(error))
    show(arguments.folder)


if __name__ == "__main__":
    main()
