"""REDQ-SAC for actions of numbers and one choice, exactly in expectation over the choices in the actor's loss.

Chen et al. (2021), algorithm 1, with the hybrid policy pi(p, u|s) = pi(p|s) pi(u|s, p) of Delalleau et al. (2019,
"Discrete and Continuous Action Representation for Practical RL in Video Games"), each factor with a temperature.
With a rule pi0 the entropy is replaced by minus the KL divergence from it (Galashov et al., 2019, "Information
asymmetry in KL-regularized RL"): the policy leaves the rule only where the critics see a gain.

Shapes: K batches in a block, B rows in a batch, N rows to score, O observation, P choices, C numbers, A = C + P action,
M target subset.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import NamedTuple, Self

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule
from torch import Tensor

from genreplay.agents import losses
from genreplay.agents.base import EnsembleAgent
from genreplay.agents.config import HybridRedqSacConfig
from genreplay.agents.critics.stacked import StackedCritics
from genreplay.agents.critics.update import CriticBatch
from genreplay.agents.discrete.actor import sample_categorical
from genreplay.agents.hybrid.actor import HybridActor, HybridDistribution, HybridPolicy, join
from genreplay.common.errors import UserError
from genreplay.common.precision import EXACT, Speed
from genreplay.transitions.columns import ActionRule, TransitionLayout
from genreplay.transitions.keys import ACTION, DURATION, IS_SYNTHETIC, NEXT_OBSERVATION, OBSERVATION, REWARD, TERMINATED


class Draws(NamedTuple):
    """Everything random in one block."""

    next_uniform: Tensor
    """`[K, B, 1]` in [0, 1): the next choices of the targets."""
    next_noise: Tensor
    """`[K, B, C]`, standard normal: their numbers."""
    actor_noise: Tensor
    """`[B, P, C]`, standard normal: the numbers of every choice in the actor update."""
    subsets: Tensor
    """`[K, M]`: the target critics of each critic update."""


class HybridRedqSac(EnsembleAgent):
    """Soft Actor-Critic with an ensemble of critics, for numbers in [-1, 1] and one choice.

    `log_temperature` `[2]` holds the temperature of the choice, then that of the numbers.

    Args:
        config: its options.
        observation_width: O.
        num_choices: P.
        num_numbers: C.
        discount_period: time over which `config.gamma` applies once, in the unit of the transitions' durations.
        speed: of the updates.
        rule: the policy begins as this rule and is held to it; None for Soft Actor-Critic from random weights.
        reward_accrues: whether the reward accrues evenly over a step, or comes at its end.
    """

    config: HybridRedqSacConfig
    actor: HybridActor
    average_actor: HybridActor
    target_entropy: Tensor

    def __init__(
        self,
        config: HybridRedqSacConfig,
        observation_width: int,
        num_choices: int,
        num_numbers: int,
        discount_period: float,
        speed: Speed = EXACT,
        rule: ActionRule | None = None,
        reward_accrues: bool = False,
    ):
        actor = HybridActor(observation_width, num_choices, num_numbers, config.hidden_width, rule)
        critics = StackedCritics(
            config.ensemble_size,
            observation_width + num_numbers + num_choices,
            config.hidden_width,
            config.critic_layer_norm,
        )
        super().__init__(config, actor, critics, discount_period, speed)
        self.rule_actor = None if rule is None else deepcopy(actor).requires_grad_(False)
        self.begins_with_rule, self.reward_accrues = rule is not None, reward_accrues
        self.num_choices, self.num_numbers = num_choices, num_numbers
        targets = config.target_entropy * math.log(num_choices), config.target_number_entropy * num_numbers
        self.register_buffer("target_entropy", torch.tensor(targets), persistent=False)
        self.set_progress(0)

    @classmethod
    def for_layout(
        cls, config: HybridRedqSacConfig, layout: TransitionLayout, discount_period: float, speed: Speed = EXACT
    ) -> Self:
        """An untrained agent for an environment's transitions.

        Raises:
            UserError: its actions are not numbers and one choice, or the temperatures cannot be learned.
        """
        choice, widths = layout.choice, layout.widths()
        if choice is None:
            other = "redq_sac" if layout.seats is None else "discrete_redq_sac"
            raise UserError(
                f"agent.name: {config.name!r} acts with numbers and one choice, and the actions of this environment "
                f"are others; write {other} (or for SUMO env.action_mode: actuated)"
            )
        rule = layout.rule if config.begin_with_rule else None
        if rule is not None and config.learn_temperature:
            raise UserError(
                "agent.learn_temperature: a policy that begins with a rule is held to it with fixed temperatures; "
                "write false, or agent.begin_with_rule: false"
            )
        return cls(
            config, widths[OBSERVATION], choice.width, choice.start, discount_period, speed, rule, layout.reward_accrues
        )

    def set_progress(self, env_step: int) -> None:
        """Whether the actor learns yet at `env_step`. It is not part of a checkpoint: the loop calls it again."""
        self.actor_learns = env_step >= self.config.first_actor_env_step

    def policy(self, deterministic: bool) -> TensorDictModule:
        """Reads `observation` `[..., O]`, writes `action` `[..., A]`; always with the weights as they are then."""
        actor = self.average_actor if deterministic else self.actor
        return TensorDictModule(HybridPolicy(actor, deterministic), in_keys=[OBSERVATION], out_keys=[ACTION])

    # Learning --------------------------------------------------------------------------------------------------

    def _update(self, block: TensorDictBase) -> dict[str, Tensor]:
        draws = self.draw(*block.shape)
        metrics = self._update_critics(block, draws)
        return metrics | (self._update_actor(block[-1], draws.actor_noise) if self.actor_learns else {})

    def draw(self, num_updates: int, batch_size: int) -> Draws:
        """All random numbers of a block of `num_updates` batches of `batch_size`, from torch's global generator."""
        shape = (num_updates, batch_size)
        return Draws(
            torch.rand((*shape, 1), device=self.device),
            torch.randn((*shape, self.num_numbers), device=self.device),
            torch.randn((batch_size, self.num_choices, self.num_numbers), device=self.device),
            self._draw_subsets(num_updates),
        )

    def _update_critics(self, block: TensorDictBase, draws: Draws) -> dict[str, Tensor]:
        """The actor rests until the end of the block, so the next actions of all K batches are computed at once."""
        inputs = torch.cat([block[OBSERVATION], block[ACTION]], dim=-1)
        with torch.no_grad():
            action, cost = self._act(block[NEXT_OBSERVATION], draws.next_uniform, draws.next_noise)
            next_inputs = torch.cat([block[NEXT_OBSERVATION], action], dim=-1)
            step_discount = losses.discount(block[DURATION], self.config.gamma, self.discount_period)
        batches = CriticBatch(
            inputs, next_inputs, cost, self._reward(block), block[TERMINATED], step_discount, draws.subsets
        )
        return self._step_critics(batches, block[IS_SYNTHETIC])

    def _reward(self, transitions: TensorDictBase) -> Tensor:
        """Rewards at the beginning of their steps, of the shape of the stored ones."""
        reward, duration = transitions[REWARD], transitions[DURATION]
        if not self.reward_accrues:
            return reward
        return losses.accrued(reward, duration, self.config.gamma, self.discount_period)

    def _update_actor(self, batch: TensorDictBase, noise: Tensor) -> dict[str, Tensor]:
        """Line 12 of the algorithm, and the temperatures' step toward the target entropies."""
        observation = batch[OBSERVATION]
        distribution = self.actor(observation)
        numbers, number_log_prob = losses.tanh_gaussian(distribution.mean, distribution.log_std, noise)
        choices = torch.eye(self.num_choices, device=self.device).expand(len(observation), -1, -1)
        states = observation[:, None].expand(-1, self.num_choices, -1)
        # The critics' own gradient would not be used.
        self.critics.requires_grad_(False)
        q = self.critics(torch.cat([states, numbers, choices], dim=-1).flatten(0, 1))
        self.critics.requires_grad_(True)
        log_prob, number_log_prob = distribution.log_prob, number_log_prob.squeeze(-1)
        rule_log_prob, rule_number_log_prob = self._rule_log_prob(observation, distribution, noise)
        costs = torch.stack([log_prob - rule_log_prob, number_log_prob - rule_number_log_prob], dim=-1)
        temperatures = self.log_temperature.detach().exp()
        q = q.unflatten(1, (-1, self.num_choices)).squeeze(-1)
        loss = losses.hybrid_actor_loss(q, log_prob, costs, temperatures)
        expected = losses.expectation(torch.stack([log_prob, number_log_prob], dim=-1), log_prob).detach()
        metrics = self._step_actor(loss, expected)
        (temperature, number_temperature), (entropy, number_entropy) = metrics["temperature"], -expected.mean(dim=0)
        return metrics | {
            "temperature": temperature,
            "number_temperature": number_temperature,
            "entropy": entropy,
            "number_entropy": number_entropy,
        }

    def _act(self, observation: Tensor, uniform: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions `[B, A]`, and temperatures times log(pi / pi0) of each (pi0 = 1 without a rule), `[B, 1]`."""
        distribution = self.actor(observation)
        choice = sample_categorical(distribution.log_prob, uniform)
        mean, log_std = distribution.numbers_of(choice)
        numbers, number_log_prob = losses.tanh_gaussian(mean, log_std, noise)
        log_prob = distribution.log_prob.gather(-1, choice[..., None])
        if self.rule_actor is not None:
            rule = self.rule_actor(observation)
            log_prob = log_prob - rule.log_prob.gather(-1, choice[..., None])
            number_log_prob = number_log_prob - losses.tanh_gaussian_log_prob(
                mean + log_std.exp() * noise, *rule.numbers_of(choice)
            )
        of_choice, of_numbers = self.log_temperature.detach().exp().unbind()
        return join(numbers, choice, self.num_choices), of_choice * log_prob + of_numbers * number_log_prob

    def _rule_log_prob(
        self, observation: Tensor, distribution: HybridDistribution, noise: Tensor
    ) -> tuple[Tensor | float, Tensor | float]:
        """Log pi0 of each choice and of its numbers at `noise`, `[B, P]`; 0 without a rule."""
        if self.rule_actor is None:
            return 0.0, 0.0
        with torch.no_grad():
            rule = self.rule_actor(observation)
        drawn = distribution.mean + distribution.log_std.exp() * noise
        return rule.log_prob, losses.tanh_gaussian_log_prob(drawn, rule.mean, rule.log_std).squeeze(-1)

    @torch.no_grad()
    def resample_actions(self, transitions: TensorDictBase, rng: torch.Generator) -> Tensor:
        """Actions `[N, A]` that the exploring policy draws now in the states of transitions `[N]`."""
        return self._act(transitions[OBSERVATION], *self._draw_actions(len(transitions), rng))[0]

    @torch.no_grad()
    def td_error(self, transitions: TensorDictBase) -> Tensor:
        """Absolute TD error `[N, 1]` of transitions `[N]`, by the means of all critics and all target critics.

        The next actions use fixed random numbers.
        """
        observation, next_observation = transitions[OBSERVATION], transitions[NEXT_OBSERVATION]
        rng = torch.Generator(observation.device).manual_seed(0)
        action, cost = self._act(next_observation, *self._draw_actions(len(transitions), rng))
        next_q = self.target_critics(torch.cat([next_observation, action], dim=-1))
        next_value = losses.soft_value(next_q, cost, self.critic_temperature, "mean")
        step_discount = losses.discount(transitions[DURATION], self.config.gamma, self.discount_period)
        target = losses.bellman_target(self._reward(transitions), transitions[TERMINATED], step_discount, next_value)
        q = self.critics(torch.cat([observation, transitions[ACTION]], dim=-1)).mean(dim=0)
        return (target - q).abs()

    def _draw_actions(self, num_rows: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random numbers of one action a row: `[N, 1]` in [0, 1) and `[N, C]`, standard normal."""
        uniform = torch.rand((num_rows, 1), generator=rng, device=rng.device)
        return uniform, torch.randn((num_rows, self.num_numbers), generator=rng, device=rng.device)

    # Temperatures ----------------------------------------------------------------------------------------------

    def first_log_temperature(self) -> Tensor:
        """Of the choice and of the numbers, `[2]`."""
        return torch.tensor([self.config.initial_temperature, self.config.initial_number_temperature]).log()

    @property
    def critic_temperature(self) -> Tensor:
        """1: the costs of the targets' actions are weighed already, each part by its own temperature."""
        return torch.ones((), device=self.device)
