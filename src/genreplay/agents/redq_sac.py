"""REDQ with Soft Actor-Critic (Chen et al., 2021, algorithm 1), a whole update block in one training step.

Shapes: K batches in a block, B rows in a batch, N rows to score, O observation, A action, M target subset.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any, NamedTuple, cast

import torch
from lightning import LightningModule
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule
from torch import Tensor, nn

from genreplay.agents import losses
from genreplay.agents.actor import Actor, ActorPolicy
from genreplay.agents.config import RedqSacConfig
from genreplay.agents.critics import StackedCritics, move_targets
from genreplay.precision import matmul_precision
from genreplay.transition import (
    ACTION,
    DURATION,
    IS_SYNTHETIC,
    NEXT_OBSERVATION,
    OBSERVATION,
    REWARD,
    TERMINATED,
)

OPTIMIZERS = ("critics", "actor", "temperature")
"""In the order of `configure_optimizers`; the last is absent where the temperature is fixed."""


class Draws(NamedTuple):
    """Everything random in one block."""

    next_noise: Tensor
    """`[K, B, A]`, standard normal: the next actions of the targets."""
    actor_noise: Tensor
    """`[B, A]`, standard normal: the actions of the actor update."""
    subsets: Tensor
    """`[K, M]`: which target critics each critic update asks."""


class RedqSac(LightningModule):
    """Soft Actor-Critic with an ensemble of critics, for continuous actions in [-1, 1].

    It steps its own optimisers, so `training_step` can be called directly; under a Trainer it steps the Trainer's
    wrappers of the same ones.

    Args:
        config: its options.
        observation_width: O.
        action_width: A.
        discount_period: time over which `config.gamma` applies once, in the unit of the transitions' durations.
    """

    def __init__(self, config: RedqSacConfig, observation_width: int, action_width: int, discount_period: float):
        super().__init__()
        self.automatic_optimization = False
        self.config, self.discount_period = config, discount_period
        self.action_width = action_width
        self.target_entropy = -float(action_width) if config.target_entropy is None else config.target_entropy

        self.actor = Actor(observation_width, action_width, config.hidden_width, config.num_hidden_layers)
        self.critics = StackedCritics(
            config.ensemble_size,
            observation_width + action_width,
            config.hidden_width,
            config.num_hidden_layers,
            config.critic_layer_norm,
        )
        self.target_critics = deepcopy(self.critics).requires_grad_(False)
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(config.initial_temperature)), requires_grad=config.learn_temperature
        )
        self._adams = self._new_optimizers()

    # Acting ----------------------------------------------------------------------------------------------------

    def policy(self, deterministic: bool) -> TensorDictModule:
        """Reads `observation` `[..., O]`, writes `action` `[..., A]`; always with the weights as they are then."""
        return TensorDictModule(ActorPolicy(self.actor, deterministic), in_keys=[OBSERVATION], out_keys=[ACTION])

    # Learning --------------------------------------------------------------------------------------------------

    def training_step(self, block: TensorDictBase, batch_idx: int = 0) -> dict[str, Tensor]:
        """K critic updates, one a batch, then one actor and one temperature update on the last batch.

        Nothing here waits for the device. `is_synthetic` decides nothing but which metric a row counts in.

        Args:
            block: transitions `[K, B]`, K as in the config.
            batch_idx: not used.

        Returns:
            Scalars without gradient, means over the block (of the actor and temperature: of its one update).
            `critic_loss_real` and `critic_loss_synthetic` are NaN where the block has no such row.
        """
        self._check(block)
        with matmul_precision(self.config.matmul_precision):
            draws = self.draw(*block.shape)
            metrics = self._update_critics(block, draws)
            return metrics | self._update_actor(block[-1], draws.actor_noise)

    def draw(self, num_updates: int, batch_size: int) -> Draws:
        """All random numbers of a block of `num_updates` batches of `batch_size`, from torch's global generator."""
        shape = (num_updates, batch_size, self.action_width)
        next_noise = torch.randn(shape, device=self.device)
        actor_noise = torch.randn(shape[1:], device=self.device)
        ranks = torch.rand(num_updates, self.config.ensemble_size, device=self.device)
        return Draws(next_noise, actor_noise, ranks.topk(self.config.target_subset_size, dim=1).indices)

    def _update_critics(self, block: TensorDictBase, draws: Draws) -> dict[str, Tensor]:
        """Lines 6 to 11 of the algorithm, K times.

        The actor rests until the end of the block, so the next actions of all K batches are computed at once.
        """
        config, optimizer = self.config, self._stepped_optimizers()[0]
        inputs = torch.cat([block[OBSERVATION], block[ACTION]], dim=-1)
        with torch.no_grad():
            temperature = self.log_temperature.exp()
            next_action, next_log_prob = self._act(block[NEXT_OBSERVATION], draws.next_noise)
            next_inputs = torch.cat([block[NEXT_OBSERVATION], next_action], dim=-1)
            step_discount = losses.discount(block[DURATION], config.gamma, self.discount_period)
        reward, terminated = block[REWARD], block[TERMINATED]

        values, targets = [], []
        for k in range(config.critic_updates_per_actor_update):
            with torch.no_grad():
                next_q = self.target_critics(next_inputs[k], draws.subsets[k])
                next_value = losses.soft_value(next_q, next_log_prob[k], temperature, config.target_mode)
                target = losses.bellman_target(reward[k], terminated[k], step_discount[k], next_value)
            q = self.critics(inputs[k])
            optimizer.zero_grad(set_to_none=True)
            losses.critic_loss(q, target).backward()
            optimizer.step()
            move_targets(self.target_critics, self.critics, config.target_update_rate)
            values.append(q.detach())
            targets.append(target)
        return _critic_metrics(torch.stack(values, dim=1), torch.stack(targets), block[IS_SYNTHETIC])

    def _update_actor(self, batch: TensorDictBase, noise: Tensor) -> dict[str, Tensor]:
        """Line 12 of the algorithm, and the temperature's step toward the target entropy."""
        optimizers = self._stepped_optimizers()
        temperature = self.log_temperature.detach().exp()
        action, log_prob = self._act(batch[OBSERVATION], noise)
        # No gradient of the critics' own, which nobody would use.
        self.critics.requires_grad_(False)
        q = self.critics(torch.cat([batch[OBSERVATION], action], dim=-1))
        self.critics.requires_grad_(True)
        loss = losses.actor_loss(q, log_prob, temperature)
        optimizers[1].zero_grad(set_to_none=True)
        loss.backward()
        optimizers[1].step()
        if self.config.learn_temperature:
            optimizers[2].zero_grad(set_to_none=True)
            losses.temperature_loss(self.log_temperature, log_prob.detach(), self.target_entropy).backward()
            optimizers[2].step()
        return {"actor_loss": loss.detach(), "temperature": temperature, "entropy": -log_prob.detach().mean()}

    def _act(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.actor(observation)
        return losses.tanh_gaussian(mean, log_std, noise)

    @torch.no_grad()
    def td_error(self, transitions: TensorDictBase) -> Tensor:
        """Absolute TD error `[N, 1]` of transitions `[N]`, by the means of all critics and all target critics.

        It repeats, and moves no random stream: the next actions use fixed noise.
        """
        observation, next_observation = transitions[OBSERVATION], transitions[NEXT_OBSERVATION]
        rng = torch.Generator(observation.device).manual_seed(0)
        shape = (observation.shape[0], self.action_width)
        noise = torch.randn(shape, generator=rng, device=observation.device)
        next_action, next_log_prob = self._act(next_observation, noise)
        next_q = self.target_critics(torch.cat([next_observation, next_action], dim=-1))
        next_value = losses.soft_value(next_q, next_log_prob, self.log_temperature.exp(), "mean")
        step_discount = losses.discount(transitions[DURATION], self.config.gamma, self.discount_period)
        target = losses.bellman_target(transitions[REWARD], transitions[TERMINATED], step_discount, next_value)
        q = self.critics(torch.cat([observation, transitions[ACTION]], dim=-1)).mean(dim=0)
        return (target - q).abs()

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
                f"agent.critic_updates_per_actor_update asks for [{num_updates}, batch]"
            )


def _critic_metrics(q: Tensor, target: Tensor, is_synthetic: Tensor) -> dict[str, Tensor]:
    """Means over the block from values `[N, K, B, 1]`, targets `[K, B, 1]` and flags `[K, B, 1]`."""
    row_loss = losses.squared_td_errors(q, target).mean(dim=0)
    num_synthetic = is_synthetic.sum()
    return {
        "critic_loss": row_loss.mean(),
        "critic_loss_real": torch.where(is_synthetic, 0.0, row_loss).sum() / (is_synthetic.numel() - num_synthetic),
        "critic_loss_synthetic": torch.where(is_synthetic, row_loss, 0.0).sum() / num_synthetic,
        "q_mean": q.mean(),
        "target_mean": target.mean(),
    }
