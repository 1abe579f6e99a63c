"""A partner inside a generator: what a generator of joint transitions says that a partner does in a state, and how
faithful that is.

Shapes: n states, O observation, A actions, P partners.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Fidelity(NamedTuple):
    """How well said probabilities fit what a partner did."""

    log_likelihood: float
    """Mean of what the partner did, nats an action; -inf where it did what was said to be impossible."""
    top_1: float
    """Share of its actions that were said to be the likeliest."""
    total_variation: float
    """Mean distance from its own probabilities, 0 to 1: half the sum of the absolute differences."""


def fidelity(said: np.ndarray, actions: np.ndarray, own: np.ndarray) -> Fidelity:
    """How well probabilities `said` `[n, A]` fit `actions` `[n]`, which a partner drew from its `own` `[n, A]`.

    Raises:
        ValueError: the shapes do not fit, or there is no action to judge by.
    """
    if said.shape != own.shape or actions.shape != said.shape[:1] or not len(actions):
        raise ValueError(f"fidelity: probabilities {said.shape} and {own.shape} of actions {actions.shape}")
    with np.errstate(divide="ignore"):
        log_likelihood = np.log(said[np.arange(len(actions)), actions].astype(np.float64)).mean()
    top_1 = (said.argmax(axis=1) == actions).mean()
    return Fidelity(float(log_likelihood), float(top_1), float(np.abs(said - own).sum(axis=1).mean() / 2))


def frequencies(actions: np.ndarray, num_actions: int) -> np.ndarray:
    """`[n, A]`: how often each action is among `actions` `[n]`, the same in every row."""
    shares = np.bincount(actions, minlength=num_actions) / len(actions)
    return np.tile(shares, (len(actions), 1))
