"""An agent: SAC that also pays for large actions."""

from dataclasses import dataclass

from tensordict import TensorDictBase
from torch import Tensor

from genreplay.agents.config import RedqSacConfig
from genreplay.agents.continuous.redq_sac import RedqSac
from genreplay.common.errors import require
from genreplay.transitions.keys import ACTION, REWARD


@dataclass
class GentleSacConfig(RedqSacConfig):
    """SAC with a cost of actions, so that the policy does no more than it must."""

    name: str = "gentle_sac"
    """Which agent: `gentle_sac`."""
    action_cost: float = 0.1
    """Reward that is taken off for each unit of the squared action."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.action_cost >= 0, "action_cost", f"must not be negative, not {self.action_cost}")


class GentleSac(RedqSac):
    """Learns from rewards less the cost of the action. Acting, saving and loading are those of `RedqSac`."""

    config: GentleSacConfig

    def _paid(self, transitions: TensorDictBase) -> TensorDictBase:
        """The same transitions `[*]` with the cost taken off their rewards."""
        cost = self.config.action_cost * transitions[ACTION].square().sum(dim=-1, keepdim=True)
        return transitions.clone(recurse=False).set(REWARD, transitions[REWARD] - cost)

    def _update(self, block: TensorDictBase) -> dict[str, Tensor]:
        return super()._update(self._paid(block))

    def td_error(self, transitions: TensorDictBase) -> Tensor:
        """Absolute TD error `[N, 1]` of transitions `[N]`, with the cost."""
        return super().td_error(self._paid(transitions))
