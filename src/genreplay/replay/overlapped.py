"""Collection that goes on while the agent learns.

Shapes: W workers, A action.
"""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDictBase
from torchrl.envs.utils import ExplorationType, set_exploration_type

from genreplay.replay.collection import Collection
from genreplay.transitions.keys import ACTION


class OverlappedCollection(Collection):
    """Simulators that work on decision t + 1 while the agent does the updates that decision t paid for.

    The policy lag is constant: a decision is drawn as soon as the one before it is stored, so the policy that makes it
    has learned from all decisions but the last one, and lacks exactly that round's updates. Random numbers are drawn in
    the caller's thread, in the same order each time, so runs repeat; a checkpoint keeps the actions that are under way,
    so a resumed run makes the same decision again.

    TorchRL's collectors cannot do this: the single one acts and steps in one call; the asynchronous ones act in another
    process with weights that arrive whenever they do, so that no two runs are alike. This one uses its environment's
    `step_and_maybe_reset`. Arguments as of `Collection`.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._state: TensorDictBase | None = None
        self._action: torch.Tensor | None = None
        """Of the decision that is under way `[W, A]`, or was at the checkpoint."""
        self._is_under_way = False

    def begin_next(self) -> None:
        """Draw the next actions with the policy as it is now, and let the simulators begin with them."""
        if self._is_under_way:
            return
        if self._state is None:
            self._state = self.env.reset()
        if self._action is None:
            self._action = self._draw(self._state)
        self._state.set(ACTION, self._action)
        self.env.send(dict(enumerate(self._action.numpy())))
        self._is_under_way = True

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As of `Collection`; the action that was under way will be the next one."""
        super().load_state_dict(state)
        if (action := state.get("action")) is not None:
            self._action = torch.tensor(action, dtype=self.env.action_spec.dtype)

    @property
    def has_begun(self) -> bool:
        """As of `Collection`."""
        return self._state is not None

    def _running_state(self) -> dict[str, Any]:
        """As of `Collection`, with the `action` that is under way."""
        return {**super()._running_state(), "action": None if self._action is None else self._action.tolist()}

    def _decide(self) -> TensorDictBase:
        self.begin_next()
        steps, self._state = self.env.step_and_maybe_reset(self._state)
        self._action, self._is_under_way = None, False
        return steps

    def _draw(self, state: TensorDictBase) -> torch.Tensor:
        if self._warmup_left and self.warmup_policy is None:
            return self.env.rand_action(state)[ACTION]
        seen = state.select(*self.policy.in_keys).to(self._policy_device)
        with torch.no_grad(), set_exploration_type(ExplorationType.RANDOM):
            return self.act(seen)[ACTION].to("cpu")
