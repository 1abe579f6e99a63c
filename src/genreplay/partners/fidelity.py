"""Fidelity of virtual partners: a generator's predictions of a partner's actions, compared with the partner.

In every state of a policy's episodes with a partner the generator predicts the partner's action, with the partner's
code and without it. The predictions are compared with the partner's frequencies of actions in the same states, which a
virtual partner must beat, and with the partner's own probabilities, which none can beat. Then the policy plays the same
episodes with the virtual partner.

Shapes: n states, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.envs import episodes
from genreplay.envs.overcooked.config import SELF
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS
from genreplay.envs.overcooked.partners.base import NUM_UNIFORMS, PartnerInput
from genreplay.envs.overcooked.world import OvercookedWorld
from genreplay.runs.policy import load_policy

VIRTUAL, UNCODED, FREQUENCIES, OWN = "virtual", "virtual, no code", "frequencies", "the partner itself"

Row = dict[str, str | int | float]


class Played(NamedTuple):
    """Episodes of a policy with a partner."""

    states: PartnerInput
    """Every state of every episode, as the partner's seat sees it."""
    actions: np.ndarray
    """`[n]`: the partner's action in each."""
    returns: list[float]
    """Sparse return of each episode."""


class Fidelity(NamedTuple):
    """How well predicted probabilities fit a partner's actions."""

    log_likelihood: float
    """Mean over the partner's actions, nats; -inf where it took one whose predicted probability is 0."""
    top_1: float
    """Share of its actions that were predicted to be the likeliest."""
    total_variation: float
    """Mean distance from its own probabilities, 0 to 1: half the sum of the absolute differences."""


def fidelity(predicted: np.ndarray, actions: np.ndarray, own: np.ndarray) -> Fidelity:
    """How well probabilities `predicted` `[n, A]` fit `actions` `[n]`, which a partner drew from its `own` `[n, A]`.

    Raises:
        ValueError: the shapes do not fit, or there is no action.
    """
    if predicted.shape != own.shape or actions.shape != predicted.shape[:1] or not len(actions):
        raise ValueError(f"fidelity: probabilities {predicted.shape} and {own.shape} of actions {actions.shape}")
    with np.errstate(divide="ignore"):
        log_likelihood = np.log(predicted[np.arange(len(actions)), actions].astype(np.float64)).mean()
    top_1 = (predicted.argmax(axis=1) == actions).mean()
    return Fidelity(float(log_likelihood), float(top_1), float(np.abs(predicted - own).sum(axis=1).mean() / 2))


def frequencies(actions: np.ndarray, num_actions: int) -> np.ndarray:
    """`[n, A]`: how often each action is among `actions` `[n]`, the same in every row."""
    shares = np.bincount(actions, minlength=num_actions) / len(actions)
    return np.tile(shares, (len(actions), 1))


def play(world: OvercookedWorld, policy: TensorDictModule, partner: str, seat: int, episode_seeds: list[int]) -> Played:
    """One episode for each seed with the policy in `seat`, in parallel."""
    env = world.make_env(len(episode_seeds), lambda worker, index: episode_seeds[worker], evaluation=True)
    env.demand = f"{partner}/{seat}"
    policy_acts, codes, previous, actions = episodes.greedy(policy), [], [np.full_like(env.codes, -1)], []

    def act(views: dict[int, np.ndarray]) -> Mapping[int, np.ndarray]:
        codes.append(env.codes.copy())
        return policy_acts(views)

    for _, worker, _ in episodes.play(env, act, episode_seeds):
        if worker == env.num_workers - 1:
            actions.append(env.acted[:, 1 - seat].copy())
    states, before, taken = (np.concatenate(parts) for parts in (codes, previous + codes[:-1], actions))
    uniforms = np.zeros((len(taken), NUM_UNIFORMS), dtype=np.float32)
    seen = PartnerInput(world.kitchen.code, states, before, np.full(len(taken), 1 - seat), uniforms)
    return Played(seen, taken, [env.metrics(worker)["sparse_return"] for worker in range(len(episode_seeds))])


def compare_predictors(
    world: OvercookedWorld, played: Played, partner: str, virtual: str, uncoded: str
) -> dict[str, Fidelity]:
    """How well each predictor fits the partner's actions."""
    own = world.partner(partner).action_probabilities(played.states)
    predicted = {
        VIRTUAL: world.partner(virtual).action_probabilities(played.states),
        UNCODED: world.partner(uncoded).action_probabilities(played.states),
        FREQUENCIES: frequencies(played.actions, NUM_ACTIONS),
        OWN: own,
    }
    return {name: fidelity(probabilities, played.actions, own) for name, probabilities in predicted.items()}


def measure(number: int, folder: Path, episode_seeds: list[int]) -> tuple[list[Row], list[Row]]:
    """The fidelity of every virtual partner of a run, and the returns of the policy with it and with the real one.

    Args:
        number: of the run, for the rows.
        folder: of the run's checkpoint.
        episode_seeds: one episode each, for each partner in either seat. The policy itself is left out as a partner.

    Raises:
        UserError: the run has no partner, or no generator that could be one.
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
    predictions: list[Row] = []
    returns: list[Row] = []
    for partner in others:
        virtual, uncoded = f"virtual:{folder}:{partners.index(partner)}", f"virtual:{folder}"
        for seat in (0, 1):
            where: Row = {"run": number, "demand": f"{partner}/{seat}"}
            real = play(world, loaded.policy, partner, seat, episode_seeds)
            twin = play(world, loaded.policy, virtual, seat, episode_seeds)
            for name, found in compare_predictors(world, real, partner, virtual, uncoded).items():
                predictions.append(where | {"predictor": name, "num_actions": len(real.actions)} | found._asdict())
            for seed, one, other in zip(episode_seeds, real.returns, twin.returns, strict=True):
                returns.append(where | {"seed": seed, "real": one, "virtual": other})
    return predictions, returns
