"""Many kitchens behind one TorchRL environment, two agents in each.

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
from genreplay.envs.overcooked.kitchen.grid import LosslessGrid
from genreplay.envs.overcooked.kitchen.rules import FIRST_DELIVERY, NUM_ACTIONS, POTTING, Kitchen
from genreplay.envs.overcooked.partners.base import Partner, choose
from genreplay.envs.overcooked.partners.seating import Cast
from genreplay.transitions.keys import ACTION, AGENTS_ACTION, Key

ACTED: Key = ("next", "acted")
"""What both cooks did in the step, `[W, 2]`: where a partner plays, its action stands in the place of the agent's."""


class OvercookedEnv(BatchedEnv):
    """W kitchens side by side, stepped as one.

    Each agent's own keys, in TorchRL's group `agents`: `observation` `[W, 2, O]`, itself first (`[W, 2, X, Y, 26]` for
    the grid), `action` `[W, 2]` (int64, see `kitchen.NUM_ACTIONS`), `reward` `[W, 2, 1]`, the team's, and
    `shaped_reward` `[W, 2, 1]`. Beside them what a joint transition needs: `observation` `[W, O]`, `reward` `[W, 1]`,
    `event` `[W, 2 * E]`, `shaped_reward` `[W, 2]`, `acted` `[W, 2]` (see `ACTED`; staying before the first step),
    `learner` `[W, 2]` and `partner` `[W, P]`. Episodes are cut off at the horizon.

    Where an episode has a partner, that plays its seat: the agent's action there is not looked at. An episode is a
    function of its seed and the agent's actions.

    Args:
        config: of the world.
        kitchen: its rules.
        num_workers: W.
        episode_seeds: the seed of each kitchen's i-th episode.
        evaluation: begin from the layout's own start, whatever the config says, and take partners and seats in turn.
        partner_of: the partner of a name; asked once an episode needs it.
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
        self.config, self.kitchen = config, kitchen
        self._cast = Cast(config, code, num_workers, partner_of, evaluation)
        self._random_start = config.start == "random" and not evaluation
        self._grid = LosslessGrid(code, config.horizon) if config.observation == "grid" else None
        high = float(max(config.horizon, code.num_timers))
        view = Bounded(0.0, 1.0, (num_workers, 2, code.width))
        if self._grid is not None:
            view = Bounded(0.0, high, (num_workers, 2, *self._grid.shape))
        observation_spec = self.observation_spec
        observation_spec["event"] = Binary(2 * num_events, (num_workers, 2 * num_events), dtype=torch.float32)
        observation_spec["shaped_reward"] = Unbounded((num_workers, 2))
        observation_spec["acted"] = Categorical(NUM_ACTIONS, (num_workers, 2))
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
        """`[W, 2]`: what each cook's last step did (see `Kitchen.event_names`)."""
        self._uniforms: dict[int, np.ndarray] = {}

    @property
    def acted(self) -> np.ndarray:
        """`[W, 2]`: what both cooks did last, partners too; staying before the first step."""
        return self._cast.acted

    @property
    def learners(self) -> np.ndarray:
        """`[W, 2]`, 0 or 1: which seats the policy has."""
        return self._cast.learners

    # The hooks -------------------------------------------------------------------------------------------------

    def start(self, seeds: dict[int, int]) -> dict[int, np.ndarray]:
        """Begin an episode in each named kitchen; both agents' first views, `[2, O]`."""
        for worker, seed in seeds.items():
            self.codes[worker] = self._start
            if self._random_start:
                rng = np.random.default_rng(derive_seed(seed, "start"))
                self.codes[worker] = self.kitchen.random_states(rng, 1)[0]
            self._cast.start(worker, seed, self.demand)
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

    def rows(self, steps: TensorDictBase) -> TensorDictBase:
        """Collected steps `[n]` with the joint `action` `[n, 2 * 6]`, the one-hots of what both cooks really did."""
        actions = torch.nn.functional.one_hot(steps.get(ACTED), NUM_ACTIONS).float()
        return steps.set(ACTION, actions.flatten(-2))

    # Resuming --------------------------------------------------------------------------------------------------

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Episode numbers and where the running episodes are, as plain JSON."""
        return {
            "episode_index": list(self._episode_index),
            "codes": self.codes.tolist(),
            "times": self._times.tolist(),
            "counts": self._counts.tolist(),
            "cast": self._cast.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Make the next full reset continue the episodes that `state` describes.

        Raises:
            ValueError: `state` is of another number of kitchens or of another layout.
        """
        if np.shape(state["codes"]) != self.codes.shape:
            raise ValueError(
                f"the checkpoint has kitchens of shape {np.shape(state['codes'])} (workers, columns), this run "
                f"{self.codes.shape}"
            )
        self._episode_index = list(state["episode_index"])
        self.codes, self._times, self._counts = (np.array(state[key]) for key in ("codes", "times", "counts"))
        # Nothing to take up where no episode was running yet.
        self._resume = min(self._episode_index) >= 0
        if self._resume:
            self._cast.load_state_dict(state["cast"], [self._seed_of(worker) for worker in range(self.num_workers)])

    # TorchRL ---------------------------------------------------------------------------------------------------

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDictBase:
        wanted = None if tensordict is None else tensordict.get("_reset", None)
        if wanted is not None:
            self._begin(wanted.view(-1).nonzero().view(-1).tolist())
        elif not self._resume:
            self._begin(range(self.num_workers))
        self._resume = False
        return self._observed(self.full_observation_spec.zero()).update(self.full_done_spec.zero())

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        events = self._advance(np.arange(self.num_workers), tensordict.get(AGENTS_ACTION).numpy())
        kitchen = self.kitchen
        sparse = torch.from_numpy(kitchen.sparse_rewards[events].sum(axis=1, keepdims=True))
        shaped = torch.from_numpy(kitchen.shaped_rewards[events])
        truncated = torch.from_numpy(self._times >= self.config.horizon)[:, None]
        out = TensorDict(
            {
                "duration": torch.ones(self.num_workers, 1),
                "failed": torch.zeros(self.num_workers, 1, dtype=torch.bool),
                "event": torch.from_numpy(np.eye(len(kitchen.event_names), dtype=np.float32)[events]).flatten(1),
                "reward": sparse,
                "shaped_reward": shaped,
                "agents": TensorDict(
                    {"reward": sparse[:, None].expand(-1, 2, 1).clone(), "shaped_reward": shaped[..., None].clone()},
                    batch_size=[self.num_workers, 2],
                ),
                "terminated": torch.zeros_like(truncated),
                "truncated": truncated,
                "done": truncated.clone(),
            },
            batch_size=self.batch_size,
        )
        for worker in truncated.view(-1).nonzero().view(-1).tolist():
            metrics = self.metrics(worker)
            books = {"return": metrics["sparse_return"], "num_decisions": float(self._times[worker])}
            self._finished.append({"seed": float(self._seed_of(worker)), **books, **metrics})
        return self._observed(out)

    # Within ----------------------------------------------------------------------------------------------------

    def _advance(self, workers: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Step the kitchens `workers`, partners in their seats; the events `[n, 2]`."""
        acted = self._cast.play(workers, self.codes[workers], self._times[workers], actions)
        self.codes[workers], events = self.kitchen.step(self.codes[workers], acted)
        self._times[workers] += 1
        self._counts[workers[:, None], [0, 1], events] += 1
        self.events[workers] = events
        return events

    def _views(self, workers: np.ndarray) -> np.ndarray:
        """What both agents see, `[n, 2, O]` or `[n, 2, X, Y, 26]`."""
        code, codes = self.kitchen.code, self.codes[workers]
        if self._grid is not None:
            return self._grid.encode(codes, self._times[workers])
        return code.one_hot(np.stack([codes, codes[:, code.swap]], axis=1))

    def _observed(self, out: TensorDictBase) -> TensorDictBase:
        """Put into `out` what is seen now, by agents and as a joint state, and who takes part."""
        views = torch.from_numpy(self._views(np.arange(self.num_workers)))
        joint = views[:, 0].clone() if self._grid is None else torch.from_numpy(self.kitchen.code.one_hot(self.codes))
        out.set(("agents", "observation"), views)
        out.set("observation", joint)
        out.set("acted", torch.from_numpy(self.acted.copy()))
        out.set("learner", torch.from_numpy(self.learners).float())
        out.set("partner", _one_hot(self._cast.partners, self.config.num_partners))
        return out


def _one_hot(choices: np.ndarray, size: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(choices), size).float()
