"""The one episode loop: whole episodes of given seeds, under anything that maps observations to actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.envs.batched import BatchedEnv, Step

MAX_ATTEMPTS = 3
"""How often an episode is tried before a failing simulator ends the evaluation."""

Episode = dict[str, float]
"""One episode's figures: `seed`, `return`, `num_decisions` and the environment's own metrics."""

Act = Callable[[dict[int, np.ndarray]], Mapping[int, np.ndarray]]
"""Actions by worker from observations by worker."""


class Played(NamedTuple):
    """One decision of one episode."""

    episode: int
    """Index of its seed."""
    worker: int
    step: Step


def greedy(policy: TensorDictModule) -> Act:
    """The action of `policy` in each worker, from its observation."""
    device = next((parameter.device for parameter in policy.parameters()), torch.device("cpu"))

    def act(observations: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        stacked = torch.from_numpy(np.stack(list(observations.values()))).float().to(device)
        seen = TensorDict({}, batch_size=[len(observations)]).set(policy.in_keys[0], stacked)
        with torch.no_grad():
            actions = policy(seen).get(policy.out_keys[0])
        return dict(zip(observations, actions.cpu().numpy(), strict=True))

    return act


def play(env: BatchedEnv, act: Act, seeds: Sequence[int]) -> Iterator[Played]:
    """Play the episode of every seed, as many at a time as `env` has workers; every decision as it is made.

    An episode whose simulator fails begins anew, behind those that are still to be played.

    Raises:
        UserError: an episode failed `MAX_ATTEMPTS` times, or as of `BatchedEnv.decide`.
    """
    queue = [(index, 1) for index in range(len(seeds))]
    running: dict[int, tuple[int, int]] = {}
    observations: dict[int, np.ndarray] = {}
    while queue or running:
        idle = [worker for worker in range(env.num_workers) if worker not in running][: len(queue)]
        if idle:
            running |= {worker: queue.pop(0) for worker in idle}
            observations |= env.begin({worker: seeds[running[worker][0]] for worker in idle})
        steps = env.decide(dict(act({worker: observations[worker] for worker in running})))
        for worker, step in steps.items():
            observations[worker] = step.observation
            index, attempt = running[worker]
            yield Played(index, worker, step)
            if step.failed:
                if attempt == MAX_ATTEMPTS:
                    raise UserError(
                        f"evaluation: the episode of seed {seeds[index]} failed {attempt} times in the simulator; see "
                        "the warnings above for its message"
                    )
                queue.append((index, attempt + 1))
            if step.ended:
                del running[worker]


def play_all(
    env: BatchedEnv, act: Act, seeds: Sequence[int], on_episode: Callable[[], None] = lambda: None
) -> list[Episode]:
    """Figures of the episode of every seed, in the order of `seeds`; see `play`."""
    rewards: dict[int, list[float]] = {}
    episodes: dict[int, Episode] = {}
    for index, worker, step in play(env, act, seeds):
        rewards.setdefault(index, []).append(step.reward)
        if step.failed:
            del rewards[index]
        elif step.ended:
            episodes[index] = {
                "seed": float(seeds[index]),
                "return": float(sum(rewards[index])),
                "num_decisions": float(len(rewards[index])),
                **env.metrics(worker),
            }
            on_episode()
    return [episodes[index] for index in range(len(seeds))]
