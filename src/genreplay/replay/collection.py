"""Collection: parallel simulators with a warm-up, resumable; in turns with the updates.

Shapes: W workers, n new rows (W less those whose simulator failed).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule, TensorDictModuleBase
from torchrl.collectors import Collector
from torchrl.envs.utils import ExplorationType

from genreplay.envs.batched import BatchedEnv
from genreplay.envs.faults import EnvironmentFault
from genreplay.transitions.keys import ACTION, EXECUTED_ACTION, FAILED, IS_SYNTHETIC, STORED_KEYS, TERMINATED, Key


class Collection:
    """One decision in every simulator at a time, by TorchRL's collector.

    The policy is used as it is, not copied, so what the agent learns acts at once. The collector is built at
    the first `next()`: before it, `load_state_dict` can put the environment where the checkpoint left it, and
    no episode is started in vain.

    Args:
        env: the simulators.
        policy: observation -> action, exploring.
        warmup_env_steps: decisions before the policy takes over; rounded up to whole rounds of W.
        keys: the keys of a transition to keep.
        warmup_policy: decides until then; None for actions drawn uniformly from the action space.
    """

    def __init__(
        self,
        env: BatchedEnv,
        policy: TensorDictModule,
        warmup_env_steps: int,
        keys: Sequence[Key] = STORED_KEYS,
        warmup_policy: TensorDictModuleBase | None = None,
    ):
        self.env, self.policy, self._keys = env, policy, tuple(keys)
        self.warmup_policy = warmup_policy
        self._warmup_left = -(-warmup_env_steps // env.num_workers) * env.num_workers
        self._collector: Collector | None = None
        self._batches: Iterator[TensorDictBase] | None = None
        self._saved: dict[str, Any] | None = None
        """The state to begin from, until the first decision is made."""

    def next(self) -> TensorDict:
        """The next transitions `[n]`, with the keys to keep; rows of a simulator that failed are left out.

        Raises:
            EnvironmentFault: nothing is to be stored; `state_dict` is then without the episodes that it ended.
        """
        try:
            rows = executed(self._decide())
        except EnvironmentFault:
            self._saved = None
            raise
        self._saved = None
        self._warmup_left = max(0, self._warmup_left - self.env.num_workers)
        rows.set(IS_SYNTHETIC, torch.zeros_like(rows[TERMINATED]))
        stored = rows.select(*self._keys)
        failed = rows[FAILED].view(-1)
        return stored[~failed] if failed.any() else stored

    def begin_next(self) -> None:
        """Allow the next decision to begin before the updates; a collection without overlap does nothing."""

    def finished_episodes(self) -> list[dict[str, float]]:
        """Metrics of the episodes that ended since the last call (see `BatchedEnv.pop_finished`)."""
        return self.env.pop_finished()

    def state_dict(self) -> dict[str, Any]:
        """The state that resumes collection, as plain JSON. The random draws are those of torch's global generator."""
        return self._running_state() if self._saved is None else self._saved

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the checkpoint's episodes and the rest of its warm-up.

        Raises:
            RuntimeError: collection has begun already.
        """
        if self.has_begun:
            raise RuntimeError("load_state_dict: collection has begun; load before the first next()")
        self._saved = state
        self._warmup_left = int(state["warmup_left"])
        self.env.load_state_dict(state["env"])

    def rewind(self, state: dict[str, Any]) -> None:
        """Forget a first decision that was not finished: from here on only `state_dict` works, and returns `state`."""
        self._saved = state

    def shutdown(self) -> None:
        """Stop the simulators."""
        if self._collector is not None:
            self._collector.shutdown()
        elif not self.env.is_closed:
            self.env.close()

    @property
    def has_begun(self) -> bool:
        """Whether the simulators have begun their episodes."""
        return self._collector is not None

    def _running_state(self) -> dict[str, Any]:
        return {"warmup_left": self._warmup_left, "env": self.env.state_dict()}

    def act(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Writes the next decisions of the simulators, by the warm-up's policy or the agent's."""
        policy = self.warmup_policy if self._warmup_left else None
        return (policy or self.policy)(tensordict)

    @property
    def _policy_device(self) -> torch.device:
        return next((parameter.device for parameter in self.policy.parameters()), torch.device("cpu"))

    def _decide(self) -> TensorDictBase:
        """The next transitions `[W]`, with TorchRL's keys."""
        if self._batches is None:
            self._collector = self._new_collector()
            self._batches = iter(self._collector)
        return next(self._batches).reshape(-1)

    def _new_collector(self) -> Collector:
        has_own = self.warmup_policy is not None
        return Collector(
            self.env,
            _InTurns(self) if has_own else self.policy,
            frames_per_batch=self.env.num_workers,
            total_frames=-1,
            init_random_frames=0 if has_own else self._warmup_left,
            policy_device=self._policy_device,  # given another one, TorchRL would act with a copy that never learns
            env_device="cpu",
            storing_device="cpu",
            exploration_type=ExplorationType.RANDOM,
            use_buffers=False,
            track_traj_ids=False,
            auto_register_policy_transforms=False,
        )


class _InTurns(TensorDictModuleBase):
    """`Collection.act` as a policy for TorchRL."""

    def __init__(self, collection: Collection):
        super().__init__()
        self.in_keys, self.out_keys = collection.policy.in_keys, collection.policy.out_keys
        self.policy, self._act = collection.policy, collection.act

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        return self._act(tensordict)


def executed(steps: TensorDictBase) -> TensorDictBase:
    """Steps `[n]` whose `action` is what was really done, where the environment reports it (see `EXECUTED_ACTION`)."""
    action = steps.get(EXECUTED_ACTION, None)
    return steps if action is None else steps.set(ACTION, action)
