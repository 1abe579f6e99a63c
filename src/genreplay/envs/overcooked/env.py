"""Kitchens behind one TorchRL environment, with two agents in each.

Shapes: W kitchens, C columns of the code, O entries of its one-hots, E kinds of events, P partners.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor
from torchrl.data import Binary, Bounded, Categorical, Composite, OneHot, Unbounded

from genreplay.common.seeding import derive_seed
from genreplay.envs.batched import BatchedEnv, EpisodeSeeds, Step
from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.kitchen.rules import FIRST_DELIVERY, NUM_ACTIONS, POTTING, Kitchen
from genreplay.envs.overcooked.partners.base import Partner, choose
from genreplay.envs.overcooked.partners.seating import EpisodePartners
from genreplay.transitions.keys import AGENTS_ACTION, Key


class OvercookedEnv(BatchedEnv):
    """W kitchens side by side, stepped as one.

    Each agent's own keys, in TorchRL's group `agents`: `observation` `[W, 2, O]`, itself first, `action` `[W, 2]`
    (int64, see `kitchen.rules.NUM_ACTIONS`), `reward` `[W, 2, 1]`, the team's, and `shaped_reward` `[W, 2, 1]`. Further
    keys make a joint transition: `observation` `[W, O]`, `reward` `[W, 1]`, `event` `[W, 2 * E]`, `shaped_reward`
    `[W, 2]`, `executed_action` `[W, 2 * 6]` (one-hots of what both cooks did; staying before the first step), `learner`
    `[W, 2]` and `partner` `[W, P]`. Episodes are cut off at the horizon.

    Where an episode has a partner, the partner plays its seat and the agent's action there is ignored. An episode is a
    function of its seed and the agent's actions.

    Args:
        config: of the environment.
        kitchen: its rules.
        num_workers: W.
        episode_seeds: the seed of each kitchen's i-th episode.
        evaluation: begin from the layout's own start in any case, and take partners and seats in turn.
        partner_of: the partner of a name; called when an episode first needs it.
    """

    def __init__(
        self,
        config: OvercookedConfig,
        kitchen: Kitchen,
        num_workers: int,
        episode_seeds: EpisodeSeeds,
        evaluation: bool,
        partner_of: Callable[[str], Partner],
    ):
        code, num_events = kitchen.code, len(kitchen.event_names)
        super().__init__(Bounded(0.0, 1.0, (code.width,)), Bounded(0.0, 1.0, (1,)), num_workers, episode_seeds)
        self.checks.observed_shape = (2, code.width)
        self.config, self.kitchen = config, kitchen
        self._partners = EpisodePartners(config, code, num_workers, partner_of, evaluation)
        self._random_start = config.start == "random" and not evaluation
        view = Bounded(0.0, 1.0, (num_workers, 2, code.width))
        observation_spec = self.observation_spec
        observation_spec["event"] = Binary(2 * num_events, (num_workers, 2 * num_events), dtype=torch.float32)
        observation_spec["shaped_reward"] = Unbounded((num_workers, 2))
        executed = 2 * NUM_ACTIONS
        observation_spec["executed_action"] = Binary(executed, (num_workers, executed), dtype=torch.float32)
        observation_spec["learner"] = Binary(2, (num_workers, 2), dtype=torch.float32)
        observation_spec["partner"] = OneHot(
            config.num_partners, (num_workers, config.num_partners), dtype=torch.float32
        )
        observation_spec["agents"] = Composite(
            observation=view, shaped_reward=Unbounded((num_workers, 2, 1)), shape=(num_workers, 2)
        )
        self.observation_spec = observation_spec
        self.action_spec = Composite(
            agents=Composite(action=Categorical(NUM_ACTIONS, (num_workers, 2)), shape=(num_workers, 2)),
            shape=(num_workers,),
        )
        self.reward_spec = Composite(
            reward=Unbounded((num_workers, 1)),
            agents=Composite(reward=Unbounded((num_workers, 2, 1)), shape=(num_workers, 2)),
            shape=(num_workers,),
        )
        self.codes = np.repeat(code.start()[None], num_workers, axis=0)
        """`[W, C]`: the states."""
        self._start = code.start()
        self._times = np.zeros(num_workers, dtype=np.int64)
        self._counts = np.zeros((num_workers, 2, num_events), dtype=np.int64)
        self.events = np.zeros((num_workers, 2), dtype=np.int64)
        """`[W, 2]`: event of each cook's last step (see `Kitchen.event_names`)."""
        self._uniforms: dict[int, np.ndarray] = {}

    @property
    def acted(self) -> np.ndarray:
        """`[W, 2]`: last actions of both cooks, partners included; STAY before the first step."""
        return self._partners.acted

    @property
    def learners(self) -> np.ndarray:
        """`[W, 2]`, 0 or 1: which seats the policy has."""
        return self._partners.learners

    # The hooks -------------------------------------------------------------------------------------------------

    def start(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """Begin an episode in each named kitchen; both agents' first views, `[2, O]`."""
        for worker, seed in seeds.items():
            self.codes[worker] = self._start
            if self._random_start:
                rng = np.random.default_rng(derive_seed(seed, "start"))
                self.codes[worker] = self.kitchen.random_states(rng, 1)[0]
            self._partners.start(worker, seed, self.demand)
            draws = np.random.default_rng(derive_seed(seed, "actions"))
            self._uniforms[worker] = draws.random((self.config.horizon, 2))
        workers = np.array(list(seeds), dtype=np.int64)
        self._times[workers] = 0
        self._counts[workers] = 0
        return dict(zip(seeds, self._views(workers), strict=True))

    def advance(self, actions: dict[int, np.ndarray]) -> dict[int, Step]:
        """One step of each named kitchen; both agents' next views, `[2, O]`.

        Args:
            actions: of each kitchen, both agents' actions `[2]`, or probabilities `[2, 6]`, from which they are drawn
                with the episode's own random numbers.
        """
        workers = np.array(list(actions), dtype=np.int64)
        chosen = np.stack(list(actions.values()))
        if chosen.ndim == 3:
            uniforms = np.stack([self._uniforms[worker][self._times[worker]] for worker in workers])
            chosen = choose(chosen.reshape(-1, NUM_ACTIONS), uniforms.reshape(-1)).reshape(-1, 2)
        events = self._advance(workers, chosen.astype(np.int64))
        rewards = self.kitchen.sparse_rewards[events].sum(axis=1)
        ended = self._times[workers] >= self.config.horizon
        return {
            worker: Step(view, float(reward), 1.0, truncated=bool(end))
            for worker, view, reward, end in zip(actions, self._views(workers), rewards, ended, strict=True)
        }

    def metrics(self, worker: int) -> dict[str, float]:
        """`sparse_return` (reward of delivered soups), `shaped_return` of both cooks, deliveries and potted onions."""
        counts = self._counts[worker].sum(axis=0)
        return {
            "sparse_return": float(counts @ self.kitchen.sparse_rewards),
            "shaped_return": float(counts @ self.kitchen.shaped_rewards),
            "deliveries": float(counts[FIRST_DELIVERY:].sum()),
            "potted_onions": float(counts[POTTING]),
        }

    # Keys ------------------------------------------------------------------------------------------------------

    def observed(self, observations: np.ndarray) -> dict[Key, Any]:
        """Both agents' views, the joint state, the executed actions and who takes part."""
        views = torch.from_numpy(observations)
        return {
            "observation": views[:, 0].clone(),
            ("agents", "observation"): views,
            "executed_action": _one_hot(self.acted, NUM_ACTIONS).flatten(1),
            "learner": torch.from_numpy(self.learners).float(),
            "partner": _one_hot(self._partners.partners, self.config.num_partners),
        }

    def chosen(self, tensordict: TensorDictBase) -> np.ndarray:
        """Both agents' actions `[W, 2]`."""
        return tensordict.get(AGENTS_ACTION).numpy()

    def outcomes(self) -> dict[Key, Any]:
        """Events and shaped rewards of the last step, and the rewards of each agent."""
        sparse = torch.from_numpy(self.kitchen.sparse_rewards[self.events].sum(axis=1, keepdims=True))
        shaped = torch.from_numpy(self.kitchen.shaped_rewards[self.events])
        kinds = np.eye(len(self.kitchen.event_names), dtype=np.float32)
        return {
            "event": torch.from_numpy(kinds[self.events]).flatten(1),
            "shaped_reward": shaped,
            "agents": TensorDict(
                {"reward": sparse[:, None].expand(-1, 2, 1).clone(), "shaped_reward": shaped[..., None].clone()},
                batch_size=[self.num_workers, 2],
            ),
        }

    # Resuming --------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """States, times, event counts and partners of the running episodes."""
        return {
            "codes": self.codes.tolist(),
            "times": self._times.tolist(),
            "counts": self._counts.tolist(),
            "partners": self._partners.state_dict(),
        }

    def restore(self, snapshot: dict[str, Any]) -> dict[int, np.ndarray]:
        """Continue the episodes of a `snapshot` where they were.

        Raises:
            ValueError: it is of another layout.
        """
        if np.shape(snapshot["codes"]) != self.codes.shape:
            raise ValueError(
                f"the checkpoint has kitchens of shape {np.shape(snapshot['codes'])} (workers, columns), this run "
                f"{self.codes.shape}"
            )
        self.codes, self._times, self._counts = (np.array(snapshot[key]) for key in ("codes", "times", "counts"))
        workers = range(self.num_workers)
        self._partners.load_state_dict(snapshot["partners"], [self._seed_of(worker) for worker in workers])
        return dict(zip(workers, self._views(np.arange(self.num_workers)), strict=True))

    # Within ----------------------------------------------------------------------------------------------------

    def _advance(self, workers: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Step the kitchens `workers`, partners in their seats; the events `[n, 2]`."""
        acted = self._partners.play(workers, self.codes[workers], self._times[workers], actions)
        self.codes[workers], events = self.kitchen.step(self.codes[workers], acted)
        self._times[workers] += 1
        self._counts[workers[:, None], [0, 1], events] += 1
        self.events[workers] = events
        return events

    def _views(self, workers: np.ndarray) -> np.ndarray:
        """Observations of both agents `[n, 2, O]`, each with itself first."""
        code, codes = self.kitchen.code, self.codes[workers]
        return code.one_hot(np.stack([codes, codes[:, code.swap]], axis=1))


def _one_hot(choices: np.ndarray, size: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(choices), size).float()
