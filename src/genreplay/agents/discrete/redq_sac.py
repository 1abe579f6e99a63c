"""REDQ-SAC for categorical actions, exactly in expectation over them, for two seats that share all parameters.

Chen et al. (2021), algorithm 1, with the expectations of Christodoulou (2019, arXiv:1910.07207) in place of samples.
The actor is held against the mean of all critics, as in REDQ, where Christodoulou takes the smaller of two.

Shapes: K batches in a block, B joint transitions in a batch, R seat rows of them (see `seats`), N joint transitions to
score, O observation, A actions of a seat, M target subset.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule
from torch import Tensor
from torch.nn.functional import one_hot

from genreplay.agents import losses
from genreplay.agents.base import EnsembleAgent
from genreplay.agents.config import DiscreteRedqSacConfig
from genreplay.agents.critics.stacked import StackedCritics
from genreplay.agents.critics.update import CriticBatch, chosen
from genreplay.agents.discrete.actor import CategoricalActor, CategoricalPolicy, sample_categorical
from genreplay.agents.discrete.seat_rows import SeatRows, seat_rows
from genreplay.common.errors import UserError
from genreplay.common.precision import EXACT, Speed
from genreplay.transitions.columns import Seats, TransitionLayout
from genreplay.transitions.keys import (
    ACTION,
    AGENTS_ACTION,
    AGENTS_OBSERVATION,
    AGENTS_PROBABILITY,
    LEARNER,
    OBSERVATION,
)


class CategoricalDraws(NamedTuple):
    """Everything random in one block."""

    subsets: Tensor
    """`[K, M]`: which target critics each critic update asks."""
    next_other: Tensor | None
    """`[K, R, 1]`, uniform in [0, 1): the other seats' next actions of the targets; None where nobody sees them."""
    actor_other: Tensor | None
    """`[R, 1]`, the same for the other seats' actions of the actor update."""


class DiscreteRedqSac(EnsembleAgent):
    """Soft Actor-Critic with an ensemble of critics, for categorical actions of two seats.

    A joint transition becomes one row for each seat that learns: what that seat saw, did and was paid. Actor and
    critics are the same for both seats, and see a state with the own seat first. Critics give Q(s, .) of all own
    actions at once. With `config.centralised_critic` they also see the other seat's action; targets and actor then
    use an action of the other seat that the current policy draws, so this is for self-play alone.

    Args:
        config: its options.
        seats: how the two players see a transition.
        discount_period: time over which `config.gamma` applies once, in the unit of the transitions' durations.
        speed: of the updates.

    Raises:
        UserError: a centralised critic beside a partner.
    """

    config: DiscreteRedqSacConfig
    actor: CategoricalActor
    average_actor: CategoricalActor
    permutation: Tensor

    def __init__(self, config: DiscreteRedqSacConfig, seats: Seats, discount_period: float, speed: Speed = EXACT):
        if config.centralised_critic and seats.learners != "both":
            raise UserError(
                "agent.centralised_critic: needs self-play, where the other seat's next action comes from the same "
                "policy, and here a partner acts; write false, or train in self-play"
            )
        observation_width = len(seats.permutation)
        actor = CategoricalActor(observation_width, seats.num_actions, config.hidden_width, config.num_hidden_layers)
        critics = StackedCritics(
            config.ensemble_size,
            observation_width + seats.num_actions * config.centralised_critic,
            config.hidden_width,
            config.num_hidden_layers,
            config.critic_layer_norm,
            num_values=seats.num_actions,
        )
        super().__init__(config, actor, critics, discount_period, speed)
        self.seats = seats
        self.register_buffer("permutation", seats.permutation, persistent=False)
        self.set_progress(0)

    @classmethod
    def for_layout(
        cls, config: DiscreteRedqSacConfig, layout: TransitionLayout, discount_period: float, speed: Speed = EXACT
    ) -> Self:
        """An untrained agent for an environment's transitions.

        Raises:
            UserError: the environment has no seats, or a partner where the config asks for self-play.
        """
        if layout.seats is None:
            raise UserError(
                f"agent.name: {config.name!r} needs an environment with two seats and categorical actions, and this "
                "one has neither; write redq_sac"
            )
        return cls(config, layout.seats, discount_period, speed)

    def set_progress(self, env_step: int) -> None:
        """Put the target entropy and the coefficient of the shaped reward where their schedules are at `env_step`.

        It is not part of the state that a checkpoint keeps: the loop tells it again.
        """
        config = self.config
        share = annealed(
            config.target_entropy_start, config.target_entropy_end, config.target_entropy_env_steps, env_step
        )
        self.target_entropy = share * math.log(self.seats.num_actions)
        self.shaping_coefficient = annealed(1.0, 0.0, config.shaping_env_steps, env_step)

    def policy(self, deterministic: bool) -> TensorDictModule:
        """Reads `("agents", "observation")` `[..., 2, O]`, each seat's own view, writes what each seat does.

        Exploring it draws `("agents", "action")` `[..., 2]`, int64. The deterministic one gives
        `("agents", "action_probability")` `[..., 2, A]`, from which the environment draws with the random numbers of
        the episode: two cooks who each do what is likeliest block each other for ever.
        """
        policy = CategoricalPolicy(self.average_actor if deterministic else self.actor, deterministic)
        written = AGENTS_PROBABILITY if deterministic else AGENTS_ACTION
        return TensorDictModule(policy, in_keys=[AGENTS_OBSERVATION], out_keys=[written])

    # Learning --------------------------------------------------------------------------------------------------

    def _update(self, block: TensorDictBase) -> dict[str, Tensor]:
        rows = self._rows(block)
        draws = self.draw(*rows.learns.shape[:2])
        metrics = self._update_critics(rows, draws)
        return metrics | self._update_actor(SeatRows(*(tensor[-1] for tensor in rows)), draws.actor_other)

    def draw(self, num_updates: int, num_rows: int) -> CategoricalDraws:
        """All random numbers of a block of `num_updates` batches of `num_rows` seat rows, from torch's generator."""
        subsets = self._draw_subsets(num_updates)
        if not self.config.centralised_critic:
            return CategoricalDraws(subsets, None, None)
        uniform = torch.rand(num_updates + 1, num_rows, 1, device=self.device)
        return CategoricalDraws(subsets, uniform[:-1], uniform[-1])

    def _update_critics(self, rows: SeatRows, draws: CategoricalDraws) -> dict[str, Tensor]:
        """The actor rests until the end of the block, so the next policies of all K batches are computed at once."""
        config = self.config
        with torch.no_grad():
            next_log_prob = self.actor(rows.next_observation)
            next_inputs = self._critic_inputs(rows.next_observation, next_log_prob, draws.next_other)
            inputs = self._seen_by_critics(rows)
            step_discount = losses.discount(rows.duration, config.gamma, self.discount_period)

        batches = CriticBatch(
            inputs,
            next_inputs,
            next_log_prob,
            rows.reward,
            rows.terminated,
            step_discount,
            draws.subsets,
            rows.action,
            rows.learns,
        )
        return self._step_critics(batches, rows.is_synthetic)

    def _update_actor(self, rows: SeatRows, other: Tensor | None) -> dict[str, Tensor]:
        log_prob = self.actor(rows.observation)
        with torch.no_grad():
            q = self.critics(self._critic_inputs(rows.observation, log_prob, other))
        loss = losses.categorical_actor_loss(q, log_prob, self.log_temperature.detach().exp(), rows.learns)
        return self._step_actor(loss, losses.mean_log_prob(log_prob.detach()), rows.learns)

    @torch.no_grad()
    def redraw(self, transitions: TensorDictBase, rng: torch.Generator) -> Tensor:
        """Joint actions `[N, 2A]`, one-hot: the policy's own in each seat that learns, a partner's as it was."""
        observation, action, num_actions = transitions[OBSERVATION], transitions[ACTION], self.seats.num_actions
        views = torch.stack([observation, observation[:, self.permutation]], dim=1)
        uniform = torch.rand((*views.shape[:2], 1), generator=rng, device=action.device)
        drawn = one_hot(sample_categorical(self.actor(views), uniform), num_actions).to(action.dtype)
        learns = transitions[LEARNER].unsqueeze(-1) > 0.5
        return torch.where(learns, drawn, action.unflatten(1, (2, num_actions))).flatten(1)

    @torch.no_grad()
    def td_error(self, transitions: TensorDictBase) -> Tensor:
        """Absolute TD error `[N, 1]` of joint transitions `[N]`, by the means of all critics and all target critics.

        The mean over the seats that learn from a transition; 0 where none does. It repeats, and moves no random
        stream: where the other seat's next action is needed, it uses fixed random numbers. The shaped reward counts
        as `set_progress` left it.
        """
        rows = self._rows(transitions)
        next_log_prob = self.actor(rows.next_observation)
        other = None
        if self.config.centralised_critic:
            rng = torch.Generator(self.device).manual_seed(0)
            other = torch.rand(len(rows.learns), 1, generator=rng, device=self.device)
        next_q = self.target_critics(self._critic_inputs(rows.next_observation, next_log_prob, other))
        next_value = losses.categorical_soft_value(next_q, next_log_prob, self.log_temperature.exp(), "mean")
        step_discount = losses.discount(rows.duration, self.config.gamma, self.discount_period)
        target = losses.bellman_target(rows.reward, rows.terminated, step_discount, next_value)
        q = chosen(self.critics(self._seen_by_critics(rows)), rows.action).mean(dim=0)
        error = (rows.learns * (target - q).abs()).unflatten(0, (-1, len(transitions))).sum(dim=0)
        return error / rows.learns.unflatten(0, (-1, len(transitions))).sum(dim=0).clamp_min(1)

    def _rows(self, transitions: TensorDictBase) -> SeatRows:
        return seat_rows(transitions, self.permutation, self.seats, self.shaping_coefficient)

    def _seen_by_critics(self, rows: SeatRows) -> Tensor:
        """Critic inputs of the state and what the other seat really did in it."""
        if not self.config.centralised_critic:
            return rows.observation
        return torch.cat([rows.observation, rows.other_action], dim=-1)

    def _critic_inputs(self, observation: Tensor, log_prob: Tensor, other: Tensor | None) -> Tensor:
        """Critic inputs `[..., R, I]` of states in which the other seat does what its policy draws.

        Args:
            observation: `[..., R, O]`.
            log_prob: `[..., R, A]`, of each row's own policy; the other's stands half the rows away.
            other: `[..., R, 1]`, uniform random numbers.
        """
        if other is None:
            return observation
        num_actions = log_prob.shape[-1]
        other_log_prob = log_prob.roll(log_prob.shape[-2] // 2, dims=-2)
        other_action = one_hot(sample_categorical(other_log_prob, other), num_actions)
        return torch.cat([observation, other_action.to(observation.dtype)], dim=-1)


def annealed(start: float, end: float, num_env_steps: int, env_step: int) -> float:
    """A straight line from `start` at env step 0 to `end` at `num_env_steps`, and `end` from then on."""
    if env_step >= num_env_steps:
        return end
    return start + (end - start) * env_step / num_env_steps
