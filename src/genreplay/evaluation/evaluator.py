"""Judge a policy: whole episodes on fixed seeds, beside the incumbent on the very same episodes.

Evaluation has simulators of its own (for SUMO: processes of its own), so it never disturbs the episodes under
collection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule

from genreplay.common.errors import UserError
from genreplay.envs.batched import BatchedEnv
from genreplay.envs.world import World

Episode = dict[str, float]
"""One episode's figures: `seed`, `return`, `num_decisions` and the environment's own metrics."""

MAX_ATTEMPTS = 3
"""How often an episode is tried before a failing simulator ends the evaluation."""


@dataclass(frozen=True)
class Evaluation:
    """Episodes of one policy, in the order of the evaluation seeds."""

    episodes: list[Episode]

    def mean(self, metric: str) -> float:
        """Mean of `metric` over the episodes."""
        return float(np.mean([episode[metric] for episode in self.episodes]))

    def means(self) -> dict[str, float]:
        """Mean of every metric over the episodes."""
        return {metric: self.mean(metric) for metric in self.episodes[0] if metric != "seed"}


class Evaluator:
    """Runs policies and the baseline on the same fixed episodes.

    Args:
        world: what to evaluate in.
        num_workers: simulators to run side by side.
        seeds: one episode each.
    """

    def __init__(self, world: World, num_workers: int, seeds: Sequence[int]):
        self.world, self.seeds = world, list(seeds)
        self.env: BatchedEnv = world.make_env(min(num_workers, len(self.seeds)), _unused_seeds, evaluation=True)

    def evaluate_policy(self, policy: TensorDictModule, on_episode: Callable[[], None] = lambda: None) -> Evaluation:
        """Every evaluation episode under `policy` (deterministic, observation -> action).

        Raises:
            UserError: an episode failed in the simulator `MAX_ATTEMPTS` times.
        """
        queue = [(index, 1) for index in range(len(self.seeds))]
        running: dict[int, tuple[int, int]] = {}
        episodes: dict[int, Episode] = {}
        returns: dict[int, list[float]] = {}
        observations: dict[int, np.ndarray] = {}
        while queue or running:
            idle = [w for w in range(self.env.num_workers) if w not in running][: len(queue)]
            if idle:
                running |= {worker: queue.pop(0) for worker in idle}
                observations |= self.env.start({w: self.seeds[running[w][0]] for w in idle})
                returns |= {worker: [] for worker in idle}
            steps = self.env.advance(act(policy, {w: observations[w] for w in running}))
            for worker, step in steps.items():
                observations[worker] = step.observation
                returns[worker].append(step.reward)
                if not (step.terminated or step.truncated or step.failed):
                    continue
                index, attempt = running.pop(worker)
                if step.failed:
                    queue.append((index, attempt + 1))
                    if attempt == MAX_ATTEMPTS:
                        raise UserError(
                            f"evaluation: the episode of seed {self.seeds[index]} failed {attempt} times in the "
                            "simulator; see the warnings above for its message"
                        )
                    continue
                episodes[index] = {
                    "seed": float(self.seeds[index]),
                    "return": float(sum(returns[worker])),
                    "num_decisions": float(len(returns[worker])),
                    **self.env.metrics(worker),
                }
                on_episode()
        return Evaluation([episodes[index] for index in range(len(self.seeds))])

    def evaluate_baseline(self, on_episode: Callable[[], None] = lambda: None) -> Evaluation | None:
        """The world's baseline (for SUMO: the map's own fixed plan) on every evaluation episode; None without one."""
        episodes: list[Episode] = []
        for first in range(0, len(self.seeds), self.env.num_workers):
            wave = dict(enumerate(self.seeds[first : first + self.env.num_workers]))
            metrics = self.world.baseline(self.env, wave)
            if metrics is None:
                return None
            for worker, seed in wave.items():
                episodes.append({"seed": float(seed), **metrics[worker]})
                on_episode()
        return Evaluation(episodes)

    def close(self) -> None:
        """Stop the evaluation's simulators."""
        self.env.close()


def act(policy: TensorDictModule, observations: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """The policy's action in each worker, from its observation."""
    device = next((parameter.device for parameter in policy.parameters()), torch.device("cpu"))
    stacked = torch.from_numpy(np.stack(list(observations.values()))).float().to(device)
    seen = TensorDict({}, batch_size=[len(observations)]).set(policy.in_keys[0], stacked)
    with torch.no_grad():
        actions = policy(seen).get(policy.out_keys[0])
    return dict(zip(observations, actions.cpu().numpy(), strict=True))


def _unused_seeds(worker: int, index: int) -> int:
    raise RuntimeError("the evaluator names its seeds itself")
