"""The policy of the warm-up, where uniformly random numbers would not be actions.

Shapes: W workers, A action.
"""

from __future__ import annotations

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule, TensorDictModuleBase
from torch import Tensor
from torch.nn.functional import one_hot

from genreplay.transitions.columns import TransitionLayout
from genreplay.transitions.keys import ACTION

RANDOM_SHARE = 0.2
"""Share of random actions where the untrained policy is a rule: without them nothing else is ever seen."""


class WarmupPolicy(TensorDictModuleBase):
    """The untrained policy with random actions at times, from torch's global generator.

    Args:
        policy: exploring; it writes numbers and a one-hot choice.
        layout: of the transitions.
        random_share: share of random actions; 1 for nothing else.
    """

    def __init__(self, policy: TensorDictModule, layout: TransitionLayout, random_share: float):
        super().__init__()
        self.policy, self.layout, self.random_share = policy, layout, random_share
        self.in_keys, self.out_keys = policy.in_keys, policy.out_keys

    @torch.no_grad()
    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Writes `action` `[W, A]`."""
        tensordict = self.policy(tensordict)
        action = tensordict[ACTION]
        is_random = torch.rand_like(action[..., :1]) < self.random_share
        return tensordict.set(ACTION, torch.where(is_random, random_actions(self.layout, action), action))


def random_actions(layout: TransitionLayout, like: Tensor) -> Tensor:
    """Actions as many as `like` `[W, A]`: uniform numbers in their bounds, and a uniform choice."""
    choice = layout.choice
    assert choice is not None
    numbers = sorted((c for c in layout.columns if c.key == ACTION and c is not choice), key=lambda c: c.start)
    low, high = like.new_tensor([c.low for c in numbers]), like.new_tensor([c.high for c in numbers])
    drawn = low + (high - low) * torch.rand_like(like[..., : choice.start])
    number = torch.randint(choice.width, like.shape[:-1], device=like.device)
    return torch.cat([drawn, one_hot(number, choice.width).to(like.dtype)], dim=-1)


def warmup_policy(policy: TensorDictModule, layout: TransitionLayout, begins_with_rule: bool) -> WarmupPolicy | None:
    """The warm-up of an agent with this exploring policy; None where actions uniform in their specification do."""
    if layout.choice is None:
        return None
    return WarmupPolicy(policy, layout, RANDOM_SHARE if begins_with_rule else 1.0)
