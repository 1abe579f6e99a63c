"""REDQ-SAC for categorical actions, exactly in expectation over them, for two seats that share all parameters.

Chen et al. (2021), algorithm 1, with the expectations of Christodoulou (2019, arXiv:1910.07207) in place of samples.
The actor maximises the mean of all critics, as in REDQ; Christodoulou takes the smaller of two.

Shapes: K batches in a block, B joint transitions in a batch, R seat rows of them (see `seat_rows`), N joint transitions
to score, O observation, A actions of a seat, M target subset.
"""

from __future__ import annotations

import math
from typing import Self

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


class DiscreteRedqSac(EnsembleAgent):
    """Soft Actor-Critic with an ensemble of critics, for categorical actions of two seats.

    A joint transition becomes one row for each seat that learns: its observation, action and reward. Actor and
    critics are the same for both seats, and see a state with the own seat first. Critics give Q(s, .) of all own
    actions at once.

    Args:
        config: its options.
        seats: how the two players see a transition.
        discount_period: time over which `config.gamma` applies once, in the unit of the transitions' durations.
        speed: of the updates.
    """

    config: DiscreteRedqSacConfig
    actor: CategoricalActor
    average_actor: CategoricalActor
    permutation: Tensor

    def __init__(self, config: DiscreteRedqSacConfig, seats: Seats, discount_period: float, speed: Speed = EXACT):
        observation_width = len(seats.permutation)
        actor = CategoricalActor(observation_width, seats.num_actions, config.hidden_width)
        critics = StackedCritics(
            config.ensemble_size,
            observation_width,
            config.hidden_width,
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
            UserError: the environment has no two seats.
        """
        if layout.seats is None:
            raise UserError(
                f"agent.name: {config.name!r} needs an environment with two seats and categorical actions, and this "
                "one has neither; write redq_sac"
            )
        return cls(config, layout.seats, discount_period, speed)

    def set_progress(self, env_step: int) -> None:
        """Put the target entropy and the coefficient of the shaped reward where their schedules are at `env_step`.

        It is not part of a checkpoint: the loop calls it again.
        """
        config = self.config
        share = annealed(
            config.target_entropy_start, config.target_entropy_end, config.target_entropy_env_steps, env_step
        )
        self.target_entropy = share * math.log(self.seats.num_actions)
        self.shaping_coefficient = annealed(1.0, 0.0, config.shaping_env_steps, env_step)

    def policy(self, deterministic: bool) -> TensorDictModule:
        """Reads `("agents", "observation")` `[..., 2, O]`, each seat's own view, writes each seat's action.

        Exploring it draws `("agents", "action")` `[..., 2]`, int64. The deterministic one gives
        `("agents", "action_probability")` `[..., 2, A]`, from which the environment draws with the random numbers of
        the episode: two cooks who each take the likeliest action block each other forever.
        """
        policy = CategoricalPolicy(self.average_actor if deterministic else self.actor, deterministic)
        written = AGENTS_PROBABILITY if deterministic else AGENTS_ACTION
        return TensorDictModule(policy, in_keys=[AGENTS_OBSERVATION], out_keys=[written])

    # Learning --------------------------------------------------------------------------------------------------

    def _update(self, block: TensorDictBase) -> dict[str, Tensor]:
        rows = self._rows(block)
        metrics = self._update_critics(rows)
        return metrics | self._update_actor(SeatRows(*(tensor[-1] for tensor in rows)))

    def _update_critics(self, rows: SeatRows) -> dict[str, Tensor]:
        """The actor rests until the end of the block, so the next policies of all K batches are computed at once."""
        with torch.no_grad():
            next_log_prob = self.actor(rows.next_observation)
            step_discount = losses.discount(rows.duration, self.config.gamma, self.discount_period)
        batches = CriticBatch(
            rows.observation,
            rows.next_observation,
            next_log_prob,
            rows.reward,
            rows.terminated,
            step_discount,
            self._draw_subsets(len(rows.learns)),
            rows.action,
            rows.learns,
        )
        return self._step_critics(batches, rows.is_synthetic)

    def _update_actor(self, rows: SeatRows) -> dict[str, Tensor]:
        log_prob = self.actor(rows.observation)
        with torch.no_grad():
            q = self.critics(rows.observation)
        loss = losses.categorical_actor_loss(q, log_prob, self.log_temperature.detach().exp(), rows.learns)
        return self._step_actor(loss, losses.mean_log_prob(log_prob.detach()), rows.learns)

    @torch.no_grad()
    def resample_actions(self, transitions: TensorDictBase, rng: torch.Generator) -> Tensor:
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

        The mean over the seats that learn from a transition; 0 where none does. The coefficient of the shaped reward
        is the one of the last `set_progress`.
        """
        rows = self._rows(transitions)
        next_log_prob = self.actor(rows.next_observation)
        next_q = self.target_critics(rows.next_observation)
        next_value = losses.categorical_soft_value(next_q, next_log_prob, self.log_temperature.exp(), "mean")
        step_discount = losses.discount(rows.duration, self.config.gamma, self.discount_period)
        target = losses.bellman_target(rows.reward, rows.terminated, step_discount, next_value)
        q = chosen(self.critics(rows.observation), rows.action).mean(dim=0)
        error = (rows.learns * (target - q).abs()).unflatten(0, (-1, len(transitions))).sum(dim=0)
        return error / rows.learns.unflatten(0, (-1, len(transitions))).sum(dim=0).clamp_min(1)

    def _rows(self, transitions: TensorDictBase) -> SeatRows:
        return seat_rows(transitions, self.permutation, self.seats, self.shaping_coefficient)


def annealed(start: float, end: float, num_env_steps: int, env_step: int) -> float:
    """A straight line from `start` at env step 0 to `end` at `num_env_steps`, and `end` from then on."""
    if env_step >= num_env_steps:
        return end
    return start + (end - start) * env_step / num_env_steps
