"""Base class of the agents: critics and targets, optimisers, the critic updates of a block, metrics.

Shapes: K batches in a block, B rows in a batch, N critics, M target subset.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from functools import cached_property
from typing import Any, Self, cast

import torch
from lightning import LightningModule
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule
from torch import Tensor, nn

from genreplay.agents import losses
from genreplay.agents.config import EnsembleConfig
from genreplay.agents.critics.stacked import StackedCritics, move_targets
from genreplay.agents.critics.update import CriticBatch, loss_and_values, target_values
from genreplay.common.compilation import compiles, or_eager
from genreplay.common.precision import EXACT, Speed, matmul_precision
from genreplay.transitions.columns import TransitionLayout

OPTIMIZERS = ("critics", "actor", "temperature")
"""In the order of `configure_optimizers`; the last is absent where the temperature is fixed."""


class EnsembleAgent(LightningModule, ABC):
    """Soft Actor-Critic with an ensemble of critics, a whole update block in one training step.

    It steps its own optimisers, so `training_step` can be called directly. Under a Trainer it steps the Trainer's
    wrappers of them, which count steps, except in compiled updates.

    Args:
        config: its options.
        actor: its network.
        critics: N of them; their targets start as copies.
        discount_period: time over which `config.gamma` applies once, in the unit of the transitions' durations.
        speed: of the updates. Compiled critic updates are for a CPU; elsewhere the eager ones run.
    """

    config: EnsembleConfig
    num_actor_updates: Tensor
    target_entropy: float | Tensor
    """Entropy the policy is held at where the temperature is learned, in nats; of each part that has its own."""
    begins_with_rule = False
    """Whether the untrained policy is a sensible rule, which can collect the warm-up."""

    def __init__(
        self, config: EnsembleConfig, actor: nn.Module, critics: StackedCritics, discount_period: float, speed: Speed
    ):
        super().__init__()
        self.automatic_optimization = False
        self.config, self.discount_period, self.speed = config, discount_period, speed
        self.actor, self.critics = actor, critics
        self.average_actor = deepcopy(actor).requires_grad_(False)
        self.register_buffer("num_actor_updates", torch.zeros(()))
        self.target_critics = deepcopy(critics).requires_grad_(False)
        self.log_temperature = nn.Parameter(self.first_log_temperature(), requires_grad=config.learn_temperature)
        self._adams = self._new_optimizers()

    @classmethod
    @abstractmethod
    def for_layout(cls, config: Any, layout: TransitionLayout, discount_period: float, speed: Speed = EXACT) -> Self:
        """An untrained agent for an environment's transitions.

        Raises:
            UserError: it cannot act there.
        """

    @abstractmethod
    def policy(self, deterministic: bool) -> TensorDictModule:
        """Observations to actions, always with the weights as they are then.

        A deterministic one uses the averaged weights and moves no random stream: it gives actions, or
        probabilities that the environment draws them from.
        """

    @abstractmethod
    def td_error(self, transitions: TensorDictBase) -> Tensor:
        """Absolute TD error `[N, 1]` of transitions `[N]`. It repeats, and moves no random stream."""

    @abstractmethod
    def resample_actions(self, transitions: TensorDictBase, rng: torch.Generator) -> Tensor:
        """Actions `[N, A]` that the exploring policy draws now in the states of transitions `[N]`.

        A partner's part of a joint action stays. `rng` is on the device of the transitions; no other random stream
        moves.
        """

    @abstractmethod
    def _update(self, block: TensorDictBase) -> dict[str, Tensor]:
        """`training_step`, on a block of the right shape."""

    def first_log_temperature(self) -> Tensor:
        """What `log_temperature` is at the start."""
        return torch.tensor(math.log(self.config.initial_temperature))

    @property
    def critic_temperature(self) -> Tensor:
        """Temperature in the critics' targets, a scalar."""
        return self.log_temperature.detach().exp()

    def set_progress(self, env_step: int) -> None:
        """Move schedules to `env_step`; the loop calls it after collecting, before everything that follows."""

    def training_step(self, block: TensorDictBase, batch_idx: int = 0) -> dict[str, Tensor]:
        """K critic updates, one a batch, then one actor and one temperature update on the last batch.

        Nothing here waits for the device. `is_synthetic` only decides in which metric a row counts.

        Args:
            block: transitions `[K, B]`, K as in the config.
            batch_idx: not used.

        Returns:
            Scalars without gradient, means over the block (of the actor and temperature: of its one update).
            `critic_loss_real` and `critic_loss_synthetic` are NaN where the block has no such row.
        """
        self._check(block)
        with matmul_precision(self.speed.matmul_precision):
            return self._update(block)

    def _draw_subsets(self, num_updates: int) -> Tensor:
        """`[K, M]`: the target critics of each critic update, from torch's global generator."""
        ranks = torch.rand(num_updates, self.config.ensemble_size, device=self.device)
        return ranks.topk(self.config.target_subset_size, dim=1).indices

    def _step_critics(self, block: CriticBatch, is_synthetic: Tensor) -> dict[str, Tensor]:
        """Lines 6 to 11 of REDQ's algorithm 1, K times.

        Args:
            block: of K updates.
            is_synthetic: `[K, B, 1]`.

        Returns:
            The block's metrics.
        """
        if self.config.target_subset_size == self.config.ensemble_size:
            block = block._replace(subset=None)  # nothing to pick
        return _critic_metrics(*self._critic_updates(block, self.critic_temperature), is_synthetic, block.weight)

    @cached_property
    def _critic_updates(self) -> Callable[[CriticBatch, Tensor], tuple[Tensor, Tensor]]:
        """`_eager_updates` or compiled ones; chosen at the first block, so an agent that only acts compiles nothing."""
        if self.device.type != "cpu" or not compiles(self.speed, self.device):
            return self._eager_updates
        from genreplay.agents.critics.compiled import CompiledUpdates

        config = self.config
        updates = CompiledUpdates(
            self.critics, self.target_critics, self._adams[0], config.target_mode, config.target_update_rate
        )
        return or_eager(updates, self._eager_updates) if self.speed.eager_fallback else updates

    def _eager_updates(self, block: CriticBatch, temperature: Tensor) -> tuple[Tensor, Tensor]:
        """Values `[N, K, B, 1]` and targets `[K, B, 1]` of all updates, each before its own step."""
        optimizer, config = self._stepped_optimizers()[0], self.config
        values, targets = [], []
        for k in range(config.critic_updates_per_actor_update):
            batch = block.at(k)
            with torch.no_grad():
                target = target_values(self.target_critics, batch, temperature, config.target_mode)
            loss, q = loss_and_values(self.critics, batch, target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            move_targets(self.target_critics, self.critics, config.target_update_rate)
            values.append(q.detach())
            targets.append(target)
        return torch.stack(values, dim=1), torch.stack(targets)

    def _step_actor(self, loss: Tensor, log_prob: Tensor, weight: Tensor | None = None) -> dict[str, Tensor]:
        """One step of the actor down its loss, and one of the temperature toward the target entropy; their metrics.

        Args:
            loss: scalar.
            log_prob: `[B, 1]`, minus the policy's entropy, or one sample of it; one column for each temperature.
            weight: `[B, 1]`, of each row; None for equal ones.
        """
        optimizers = self._stepped_optimizers()
        temperature, log_prob = self.log_temperature.detach().exp(), log_prob.detach()
        optimizers[1].zero_grad(set_to_none=True)
        loss.backward()
        optimizers[1].step()
        self._average_actor()
        if self.config.learn_temperature:
            optimizers[2].zero_grad(set_to_none=True)
            losses.temperature_loss(self.log_temperature, log_prob, self.target_entropy, weight).backward()
            optimizers[2].step()
        entropy = -losses.weighted_mean(log_prob, weight)
        return {"actor_loss": loss.detach(), "temperature": temperature, "entropy": entropy}

    @torch.no_grad()
    def _average_actor(self) -> None:
        """Move the average toward the actor (Polyak and Juditsky, 1992, with exponential weights)."""
        self.num_actor_updates += 1
        share = (9.0 / (9.0 + self.num_actor_updates)).clamp_min(self.config.actor_average_rate)
        for average, now in zip(self.average_actor.parameters(), self.actor.parameters(), strict=True):
            average.lerp_(now, share)

    # Optimisers ------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """The Adam optimisers that this module holds, in the order of `OPTIMIZERS`."""
        return self._adams

    def optimizer_state_dict(self) -> dict[str, Any]:
        """State of every optimiser, by name."""
        return {name: adam.state_dict() for name, adam in zip(OPTIMIZERS, self._adams, strict=False)}

    def load_optimizer_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the optimisers' state from a checkpoint.

        Raises:
            ValueError: `state` is of other optimisers.
        """
        names = OPTIMIZERS[: len(self._adams)]
        if set(state) != set(names):
            raise ValueError(f"the checkpoint has optimisers {sorted(state)}, this agent {sorted(names)}")
        for name, adam in zip(names, self._adams, strict=True):
            adam.load_state_dict(state[name])

    def _new_optimizers(self) -> list[torch.optim.Optimizer]:
        config = self.config
        adams: list[torch.optim.Optimizer] = [
            torch.optim.Adam(self.critics.parameters(), lr=config.critic_learning_rate, fused=True),
            torch.optim.Adam(self.actor.parameters(), lr=config.actor_learning_rate, fused=True),
        ]
        if config.learn_temperature:
            adams.append(torch.optim.Adam([self.log_temperature], lr=config.temperature_learning_rate, fused=True))
        return adams

    def _stepped_optimizers(self) -> list[Any]:
        """Under a Trainer its wrappers, which count steps; the module's own otherwise."""
        return self._adams if self._trainer is None else cast(list[Any], self.optimizers())

    def _check(self, block: TensorDictBase) -> None:
        num_updates = self.config.critic_updates_per_actor_update
        if block.ndim != 2 or block.shape[0] != num_updates:
            raise ValueError(
                f"training_step: the block has shape {list(block.shape)}, but "
                f"agent.critic_updates_per_actor_update needs [{num_updates}, batch]"
            )


def _critic_metrics(q: Tensor, target: Tensor, is_synthetic: Tensor, weight: Tensor | None) -> dict[str, Tensor]:
    """Means over the block from values `[N, K, B, 1]`, targets, flags and weights `[K, B, 1]`."""
    row_loss = losses.squared_td_errors(q, target).mean(dim=0)
    share = torch.ones_like(row_loss) if weight is None else weight

    def mean_of(rows: Tensor) -> Tensor:
        return torch.where(rows, share * row_loss, 0.0).sum() / torch.where(rows, share, 0.0).sum()

    return {
        "critic_loss": losses.weighted_mean(row_loss, weight),
        "critic_loss_real": mean_of(~is_synthetic),
        "critic_loss_synthetic": mean_of(is_synthetic),
        "q_mean": losses.weighted_mean(q.mean(dim=0), weight),
        "target_mean": losses.weighted_mean(target, weight),
    }
