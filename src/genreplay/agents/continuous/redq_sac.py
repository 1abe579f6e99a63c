"""REDQ with Soft Actor-Critic (Chen et al., 2021, algorithm 1), a whole update block in one training step.

Shapes: K batches in a block, B rows in a batch, N rows to score, O observation, A action, M target subset.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule
from torch import Tensor

from genreplay.agents import losses
from genreplay.agents.base import EnsembleAgent
from genreplay.agents.config import RedqSacConfig
from genreplay.agents.continuous.actor import Actor, ActorPolicy
from genreplay.agents.critics.stacked import StackedCritics
from genreplay.agents.critics.update import CriticBatch
from genreplay.common.errors import UserError
from genreplay.common.precision import EXACT, Speed
from genreplay.transitions.columns import TransitionLayout
from genreplay.transitions.keys import ACTION, DURATION, IS_SYNTHETIC, NEXT_OBSERVATION, OBSERVATION, REWARD, TERMINATED


class Draws(NamedTuple):
    """Everything random in one block."""

    next_noise: Tensor
    """`[K, B, A]`, standard normal: the next actions of the targets."""
    actor_noise: Tensor
    """`[B, A]`, standard normal: the actions of the actor update."""
    subsets: Tensor
    """`[K, M]`: the target critics of each critic update."""


class RedqSac(EnsembleAgent):
    """Soft Actor-Critic with an ensemble of critics, for continuous actions in [-1, 1].

    Args:
        config: its options.
        observation_width: O.
        action_width: A.
        discount_period: time over which `config.gamma` applies once, in the unit of the transitions' durations.
        speed: of the updates.
    """

    config: RedqSacConfig

    actor: Actor
    average_actor: Actor

    def __init__(
        self,
        config: RedqSacConfig,
        observation_width: int,
        action_width: int,
        discount_period: float,
        speed: Speed = EXACT,
    ):
        actor = Actor(observation_width, action_width, config.hidden_width)
        critics = StackedCritics(
            config.ensemble_size,
            observation_width + action_width,
            config.hidden_width,
            config.critic_layer_norm,
        )
        super().__init__(config, actor, critics, discount_period, speed)
        self.action_width = action_width
        self.target_entropy = -float(action_width) if config.target_entropy is None else config.target_entropy

    @classmethod
    def for_layout(
        cls, config: RedqSacConfig, layout: TransitionLayout, discount_period: float, speed: Speed = EXACT
    ) -> Self:
        """An untrained agent for an environment's transitions.

        Raises:
            UserError: its actions are those of two seats, or have a choice.
        """
        if layout.choice is not None:
            raise UserError(
                f"agent.name: {config.name!r} acts with numbers alone, and the actions of this environment have a "
                "choice; write hybrid_redq_sac (or for SUMO env.action_mode: phase_duration)"
            )
        if layout.seats is not None:
            raise UserError(
                f"agent.name: {config.name!r} acts in continuous actions, and this environment has two seats with "
                "categorical ones; write discrete_redq_sac"
            )
        widths = layout.widths()
        return cls(config, widths[OBSERVATION], widths[ACTION], discount_period, speed)

    # Acting ----------------------------------------------------------------------------------------------------

    def policy(self, deterministic: bool) -> TensorDictModule:
        """Reads `observation` `[..., O]`, writes `action` `[..., A]`; always with the weights as they are then."""
        actor = self.average_actor if deterministic else self.actor
        return TensorDictModule(ActorPolicy(actor, deterministic), in_keys=[OBSERVATION], out_keys=[ACTION])

    # Learning --------------------------------------------------------------------------------------------------

    def _update(self, block: TensorDictBase) -> dict[str, Tensor]:
        draws = self.draw(*block.shape)
        metrics = self._update_critics(block, draws)
        return metrics | self._update_actor(block[-1], draws.actor_noise)

    def draw(self, num_updates: int, batch_size: int) -> Draws:
        """All random numbers of a block of `num_updates` batches of `batch_size`, from torch's global generator."""
        shape = (num_updates, batch_size, self.action_width)
        next_noise = torch.randn(shape, device=self.device)
        actor_noise = torch.randn(shape[1:], device=self.device)
        return Draws(next_noise, actor_noise, self._draw_subsets(num_updates))

    def _update_critics(self, block: TensorDictBase, draws: Draws) -> dict[str, Tensor]:
        """Lines 6 to 11 of the algorithm, K times.

        The actor rests until the end of the block, so the next actions of all K batches are computed at once.
        """
        config = self.config
        inputs = torch.cat([block[OBSERVATION], block[ACTION]], dim=-1)
        with torch.no_grad():
            next_action, next_log_prob = self._act(block[NEXT_OBSERVATION], draws.next_noise)
            next_inputs = torch.cat([block[NEXT_OBSERVATION], next_action], dim=-1)
            step_discount = losses.discount(block[DURATION], config.gamma, self.discount_period)
        batches = CriticBatch(
            inputs, next_inputs, next_log_prob, block[REWARD], block[TERMINATED], step_discount, draws.subsets
        )
        return self._step_critics(batches, block[IS_SYNTHETIC])

    def _update_actor(self, batch: TensorDictBase, noise: Tensor) -> dict[str, Tensor]:
        """Line 12 of the algorithm, and the temperature's step toward the target entropy."""
        action, log_prob = self._act(batch[OBSERVATION], noise)
        # The critics' own gradient would not be used.
        self.critics.requires_grad_(False)
        q = self.critics(torch.cat([batch[OBSERVATION], action], dim=-1))
        self.critics.requires_grad_(True)
        loss = losses.actor_loss(q, log_prob, self.log_temperature.detach().exp())
        return self._step_actor(loss, log_prob)

    def _act(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.actor(observation)
        return losses.tanh_gaussian(mean, log_std, noise)

    @torch.no_grad()
    def resample_actions(self, transitions: TensorDictBase, rng: torch.Generator) -> Tensor:
        """Actions `[N, A]` that the exploring policy draws now in the states of transitions `[N]`."""
        action = transitions[ACTION]
        return self._act(transitions[OBSERVATION], torch.randn(action.shape, generator=rng, device=action.device))[0]

    @torch.no_grad()
    def td_error(self, transitions: TensorDictBase) -> Tensor:
        """Absolute TD error `[N, 1]` of transitions `[N]`, by the means of all critics and all target critics.

        The next actions use fixed noise.
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
