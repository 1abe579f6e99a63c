"""Behaviour cloning of human cooks, and the file a clone is kept in.

Shapes: N steps of pairs of people, C columns of the code, O entries of its one-hots, A actions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import nll_loss

from genreplay.agents.discrete.actor import CategoricalActor
from genreplay.common.errors import UserError
from genreplay.common.files import whole
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS, STAY, Kitchen
from genreplay.envs.overcooked.kitchen.state_code import StateCode
from genreplay.envs.overcooked.partners.human_play import HumanPlay
from genreplay.runs.state_tree import MISFITS

HIDDEN_WIDTH = 64
NUM_STEPS = 4000
"""Gradient steps."""
BATCH_SIZE = 256
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.1
STAY_WEIGHT = 0.2
"""Weight of the steps in which a player stays. They are the majority: with 1 a clone learns little else."""
HELD_OUT = 0.15
"""Share of the games that the accuracy is measured on, and that the clone never sees."""
HEADER = "genreplay"


class Clone(NamedTuple):
    """A cloned cook."""

    actor: CategoricalActor
    """Observations, itself first, to log-probabilities of its actions."""
    accuracy: float
    """Share of actions other than staying, in held-out games, that are its most probable action other than staying."""
    majority: float
    """The same for the single most frequent action."""


def fit_clone(play: HumanPlay, code: StateCode, seed: int, on_step: Callable[[int], None] = lambda step: None) -> Clone:
    """Clone both cooks of `play` as one, with a cross entropy in which staying counts `STAY_WEIGHT`.

    Args:
        play: N steps.
        code: of the states.
        seed: of the weights, the batches and the games held out.
        on_step: told the number of gradient steps done.
    """
    games = np.unique(play.episodes)
    rng = np.random.default_rng(seed)
    held = rng.permutation(games)[: max(1, round(HELD_OUT * len(games)))]
    is_held = torch.from_numpy(np.isin(play.episodes, held)).repeat(2)
    views, actions = _seat_rows(play, code)
    seen, targets = views[~is_held], actions[~is_held]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        actor = CategoricalActor(code.width, NUM_ACTIONS, HIDDEN_WIDTH)
    weight = torch.ones(NUM_ACTIONS)
    weight[STAY] = STAY_WEIGHT
    optimizer = torch.optim.AdamW(actor.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, NUM_STEPS)
    for step in range(NUM_STEPS):
        batch = torch.from_numpy(rng.integers(len(seen), size=BATCH_SIZE))
        optimizer.zero_grad(set_to_none=True)
        nll_loss(actor(seen[batch].float()), targets[batch], weight).backward()
        optimizer.step()
        schedule.step()
        on_step(step + 1)
    actor.requires_grad_(False)
    moves = is_held & (actions != STAY)
    guesses = actor(views[moves].float()).argmax(dim=-1)
    frequent = torch.bincount(targets[targets != STAY], minlength=NUM_ACTIONS).argmax()
    accuracy, majority = ((actions[moves] == guess).float().mean().item() for guess in (guesses, frequent))
    return Clone(actor, accuracy, majority)


def write_clone(path: Path, clone: Clone, kitchen: Kitchen, split: str) -> None:
    """Write a clone as safetensors, all at once; its header says whom it was cloned from and how well.

    Raises:
        UserError: the file cannot be written.
    """
    layout = kitchen.code.kitchen
    header = {
        "layout": layout.name,
        "grid": list(layout.grid),
        "dynamics": kitchen.dynamics,
        "split": split,
        "accuracy": clone.accuracy,
        "majority": clone.majority,
        "hidden_width": HIDDEN_WIDTH,
    }
    try:
        with whole(path) as part:
            save_file(clone.actor.state_dict(), part, {HEADER: json.dumps(header)})
    except (OSError, SafetensorError) as error:
        raise UserError(f"clone: {path} cannot be written ({error}); name another place by --output") from error


def read_clone(path: Path, kitchen: Kitchen) -> Clone:
    """The clone in `path`, for `kitchen`.

    Raises:
        UserError: it is no clone, or one of another kitchen.
    """
    layout = kitchen.code.kitchen
    again = f"make it anew with: genreplay clone --layout {layout.name}"
    try:
        with safe_open(path, "pt") as file:
            about: dict[str, Any] = json.loads(file.metadata()[HEADER])
            weights: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if not all(tensor.isfinite().all() for tensor in weights.values()):
            raise ValueError("weights that are not finite")
        if about["hidden_width"] not in {len(tensor) for tensor in weights.values()}:  # before so many are allocated
            raise ValueError("hidden_width is not that of the weights")
        actor = CategoricalActor(kitchen.code.width, NUM_ACTIONS, about["hidden_width"])
        accuracy, majority = float(about["accuracy"]), float(about["majority"])
        where = (about["layout"], tuple(about["grid"]), about["dynamics"])
        if where != (layout.name, layout.grid, kitchen.dynamics):
            raise UserError(
                f"env.partners: {path} was cloned on {where[0]} under the {where[2]} dynamics, and this is "
                f"{layout.name} under the {kitchen.dynamics}; set env.layout and env.dynamics to "
                "those it was cloned on, or choose another partner"
            )
        actor.load_state_dict(weights)
    except (OSError, SafetensorError, *MISFITS) as error:
        raise UserError(f"env.partners: {path} is damaged or no clone; {again}") from error
    return Clone(actor.requires_grad_(False), accuracy, majority)


def _seat_rows(play: HumanPlay, code: StateCode) -> tuple[Tensor, Tensor]:
    """What each cook saw, itself first, `[2N, O]` (uint8), and did, `[2N]`; player 0's steps first."""
    views = np.concatenate([code.one_hot(codes).astype(np.uint8) for codes in (play.codes, play.codes[:, code.swap])])
    return torch.from_numpy(views), torch.from_numpy(play.actions.T.reshape(-1).copy())
