"""Exact check of transitions against the kitchen's rules.

Shapes: N rows, O observation, R reasons. It measures generated rows; nothing is trained on it.
"""

from __future__ import annotations

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor

from genreplay.envs.facets import Oracle
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS, Kitchen
from genreplay.envs.overcooked.kitchen.state_code import CELL, DIRECTION, FIRST_SOUP, HELD, PLAYER_COLUMNS
from genreplay.transitions.keys import (
    ACTION,
    DURATION,
    EVENT,
    NEXT_OBSERVATION,
    OBSERVATION,
    POSSIBLE,
    REWARD,
    SHAPED_REWARD,
    TERMINATED,
    Key,
)

REASONS = (
    "not one-hot",
    "two cooks in one cell",
    "cook out of its area",
    "soup that cannot be cooked",
    "empty pot's timer",
    "impossible pot",
    "wrong next cell",
    "wrong next direction",
    "wrong next object in hand",
    "wrong next counter",
    "wrong next pot",
    "wrong event",
    "wrong reward",
    "wrong shaped reward",
    "wrong duration",
    "terminated",
)
"""Reasons why a row is impossible. The first six concern its state alone; the others, rows with a possible state."""
NUM_STATE_REASONS = 6


def reasons(kitchen: Kitchen, transitions: TensorDictBase) -> np.ndarray:
    """`[N, R]`: which reasons apply to each row. A row without any is exactly the simulator's.

    Args:
        kitchen: its code and rules.
        transitions: joint rows `[N]`; the next state, event and rewards are checked where present.
    """
    code, num_events = kitchen.code, len(kitchen.event_names)

    def values(key: Key) -> np.ndarray | None:
        value = transitions.get(key, None)
        return None if value is None else value.detach().cpu().numpy()

    state, action = values(OBSERVATION), values(ACTION)
    if state is None or action is None:
        raise ValueError("reasons: rows must have an observation and an action")
    flags = np.zeros((len(state), len(REASONS)), dtype=bool)

    def flag(reason: str, wrong: np.ndarray) -> None:
        flags[:, REASONS.index(reason)] |= wrong

    following, event = values(NEXT_OBSERVATION), values(EVENT)
    flag("not one-hot", ~code.is_one_hot(state) | ~_are_choices(action, NUM_ACTIONS))
    if following is not None:
        flag("not one-hot", ~code.is_one_hot(following))
    if event is not None:
        flag("not one-hot", ~_are_choices(event, num_events))

    codes = code.from_one_hot(state)
    for reason, wrong in impossible(kitchen, codes).items():
        flag(reason, wrong)
    possible = ~flags[:, :NUM_STATE_REASONS].any(axis=1)
    expected, expected_events = kitchen.step(codes, _choices(action, NUM_ACTIONS))
    if following is not None:
        differs = code.from_one_hot(following) != expected
        for reason, columns in _columns_of(kitchen).items():
            flag(reason, differs[:, columns].any(axis=1) & possible)
    if event is not None:
        flag("wrong event", (_choices(event, num_events) != expected_events).any(axis=1) & possible)
    for reason, key, wanted in (
        ("wrong reward", REWARD, kitchen.sparse_rewards[expected_events].sum(axis=1, keepdims=True)),
        ("wrong shaped reward", SHAPED_REWARD, kitchen.shaped_rewards[expected_events]),
        ("wrong duration", DURATION, np.ones((len(codes), 1))),
        ("terminated", TERMINATED, np.zeros((len(codes), 1))),
    ):
        given = values(key)
        if given is not None:
            flag(reason, (given != wanted).any(axis=1) & possible)
    return flags


def impossible(kitchen: Kitchen, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Reasons why states are impossible: from the states `[N, C]`, reason to `[N]`.

    Stricter than overcooked-ai's own check: it also excludes states that no step leads to, such as a soup of one onion
    under the old dynamics.
    """
    code = kitchen.code
    cells, first = codes[:, CELL : code.first_counter : PLAYER_COLUMNS], code.first_counter
    allowed = np.zeros((2, len(code.cells)), dtype=bool)
    for cook in (0, 1):
        allowed[cook, [code.cells.index(cell) for cell in code.kitchen.area(cook)]] = True
    soups = FIRST_SOUP + kitchen.sizes - 1
    things = np.concatenate([codes[:, HELD:first:PLAYER_COLUMNS], codes[:, first : code.first_pot]], axis=1)
    onions, timers = codes[:, code.first_pot :: 2], codes[:, code.first_pot + 1 :: 2]
    empty = onions == 0
    return {
        "two cooks in one cell": cells[:, 0] == cells[:, 1],
        "cook out of its area": ~allowed[[0, 1], cells].all(axis=1),
        "soup that cannot be cooked": ((things >= FIRST_SOUP) & ~np.isin(things, soups)).any(axis=1),
        "empty pot's timer": (empty & (timers > 0)).any(axis=1),
        "impossible pot": (~empty & ~kitchen.possible_pots[onions, timers]).any(axis=1),
    }


class KitchenOracle(Oracle):
    """The kitchen's own rules on joint transitions.

    Args:
        kitchen: its rules.
    """

    def __init__(self, kitchen: Kitchen):
        self.kitchen = kitchen

    def simulate(self, transitions: TensorDictBase) -> TensorDict:
        """The kitchen's answer to states and actions `[N]`: next state, events, rewards, and `POSSIBLE`."""
        codes, num_events = (
            self.kitchen.code.from_one_hot(transitions.get(OBSERVATION).cpu().numpy()),
            len(self.kitchen.event_names),
        )
        following, events = self.kitchen.step(codes, _choices(transitions.get(ACTION).cpu().numpy(), NUM_ACTIONS))
        answer: dict[Key, np.ndarray] = {
            NEXT_OBSERVATION: self.kitchen.code.one_hot(following),
            EVENT: np.eye(num_events, dtype=np.float32)[events].reshape(len(codes), -1),
            REWARD: self.kitchen.sparse_rewards[events].sum(axis=1, keepdims=True),
            SHAPED_REWARD: self.kitchen.shaped_rewards[events],
            TERMINATED: np.zeros((len(codes), 1), dtype=bool),
            POSSIBLE: ~np.any(list(impossible(self.kitchen, codes).values()), axis=0),
        }
        out = TensorDict({}, batch_size=[len(codes)])
        for key, value in answer.items():
            out.set(key, torch.from_numpy(value))
        return out

    def validity(self, transitions: TensorDictBase) -> dict[str, Tensor]:
        """Which transitions `[N]` are exactly the simulator's: `valid` `[N]`, and each reason why not `[N]`."""
        flags = torch.from_numpy(reasons(self.kitchen, transitions))
        return {"valid": ~flags.any(dim=1), **dict(zip(REASONS, flags.unbind(dim=1), strict=True))}

    def measure(self, transitions: TensorDictBase) -> dict[str, float]:
        """Shares of transitions `[N]`: exactly `valid` ones, those with each reason why not, those with each event."""
        flags = self.validity(transitions)
        shares = {name.replace("'", "").replace(" ", "_"): float(flag.float().mean()) for name, flag in flags.items()}
        events = transitions.get(EVENT).unflatten(-1, (2, -1)).amax(dim=1).float().mean(dim=0).tolist()
        named = zip(self.kitchen.event_names, events, strict=True)
        return shares | {f"rows_with_{name.replace(' ', '_')}": share for name, share in named if name != "none"}


def _columns_of(kitchen: Kitchen) -> dict[str, slice]:
    first, last = kitchen.code.first_counter, kitchen.code.first_pot
    return {
        "wrong next cell": slice(CELL, first, PLAYER_COLUMNS),
        "wrong next direction": slice(DIRECTION, first, PLAYER_COLUMNS),
        "wrong next object in hand": slice(HELD, first, PLAYER_COLUMNS),
        "wrong next counter": slice(first, last),
        "wrong next pot": slice(last, None),
    }


def _choices(one_hots: np.ndarray, size: int) -> np.ndarray:
    """`[N, 2]` choices of two one-hots side by side, `[N, 2 * size]`."""
    return one_hots.reshape(len(one_hots), 2, size).argmax(axis=2)


def _are_choices(one_hots: np.ndarray, size: int) -> np.ndarray:
    blocks = one_hots.reshape(len(one_hots), 2, size)
    return ((blocks == 0) | (blocks == 1)).all(axis=(1, 2)) & ((blocks == 1).sum(axis=2) == 1).all(axis=1)
