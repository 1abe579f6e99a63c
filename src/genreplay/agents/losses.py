"""The equations of Soft Actor-Critic and REDQ, as pure functions.

Shapes: B batch (any leading dimensions), A action (categorical: its choices), N critics, M target subset. The last
dimension of everything that is one number a row is 1. Temperatures are scalars, in units of reward per nat; entropies
and log-probabilities in nats.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


def tanh_gaussian(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The squashed Gaussian action of standard-normal `noise`, and its log-probability.

    Haarnoja et al. (2018), appendix C, equation 21, with log(1 - tanh(u)^2) written as
    2 (log 2 - u - softplus(-2u)), which neither cancels nor needs an epsilon however large u is.

    Args:
        mean: `[B, A]`, before the tanh.
        log_std: `[B, A]`.
        noise: `[B, A]`.

    Returns:
        Action `[B, A]` in [-1, 1], log-probability `[B, 1]`.
    """
    _require_same_shape(mean=mean, log_std=log_std, noise=noise)
    before_tanh = mean + log_std.exp() * noise
    return before_tanh.tanh(), _squashed_log_prob(before_tanh, noise, log_std)


def tanh_gaussian_log_prob(before_tanh: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log-probability `[B, 1]` of the actions tanh(`before_tanh`) `[B, A]` under another `tanh_gaussian`.

    Args:
        before_tanh: `[B, A]`.
        mean: `[B, A]`, before the tanh.
        log_std: `[B, A]`.
    """
    _require_same_shape(before_tanh=before_tanh, mean=mean, log_std=log_std)
    noise = (before_tanh - mean) * (-log_std).exp()
    return _squashed_log_prob(before_tanh, noise, log_std)


def _squashed_log_prob(before_tanh: Tensor, noise: Tensor, log_std: Tensor) -> Tensor:
    """Log-probability `[B, 1]` of tanh(x) from x, its standard-normal noise and the log deviation, each `[B, A]`."""
    log_gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    # log(1 - tanh(x)^2), without rounding to minus infinity.
    log_slope = 2 * (math.log(2) - before_tanh - softplus(-2 * before_tanh))
    return (log_gaussian - log_slope).sum(dim=-1, keepdim=True)


def soft_value(subset_q: Tensor, log_prob: Tensor, temperature: Tensor, mode: str) -> Tensor:
    """Soft value `[B, 1]` of a state from target critics at one sampled action.

    Chen et al. (2021), algorithm 1, line 8: the minimum over the subset less the temperature times log pi.
    `mean` is the paper's "Average" variant, over the subset.

    Args:
        subset_q: `[M, B, 1]`, values of the subset of target critics.
        log_prob: `[B, 1]`, of the sampled action.
        temperature: scalar.
        mode: `min` or `mean`.
    """
    _require_same_shape(subset_q=subset_q[0], log_prob=log_prob)
    if mode == "min":
        return subset_q.amin(dim=0) - temperature * log_prob
    if mode == "mean":
        return subset_q.mean(dim=0) - temperature * log_prob
    raise ValueError(f"soft_value: mode must be min or mean, not {mode!r}")


def categorical_soft_value(subset_q: Tensor, log_prob: Tensor, temperature: Tensor, mode: str) -> Tensor:
    """Soft value `[B, 1]` of a state, exactly in expectation over the categorical policy.

    Christodoulou (2019), equation 10: sum over a of pi(a|s) (Q(s, a) - temperature log pi(a|s)), where Q joins the
    subset of target critics, for each action by itself, as in `soft_value`.

    Args:
        subset_q: `[M, B, A]`, values of all actions by the subset of target critics.
        log_prob: `[B, A]`.
        temperature: scalar.
        mode: `min` or `mean`.
    """
    return _expectation(soft_value(subset_q, log_prob, temperature, mode), log_prob)


def discount(duration: Tensor, gamma: float, discount_period: float) -> Tensor:
    """Discount of a semi-MDP step, gamma ** (duration / discount_period) (Sutton, Precup and Singh, 1999).

    Args:
        duration: time the step took, in the environment's unit.
        gamma: discount over one `discount_period`.
        discount_period: in the same unit as `duration`.
    """
    return gamma ** (duration / discount_period)


def accrued(reward: Tensor, duration: Tensor, gamma: float, discount_period: float) -> Tensor:
    """Reward `[B, 1]` that accrues evenly over a semi-MDP step, discounted to its beginning.

    The mean over the step of gamma ** (t / discount_period), times the reward (Bradtke and Duff, 1994, "Reinforcement
    learning methods for continuous-time Markov decision problems", equation 8). Undiscounted, a long step would count
    for more than two short ones.

    Args:
        reward: sum over the step, `[B, 1]`.
        duration: of the step, in the unit of `discount_period`, `[B, 1]`.
        gamma: discount over one `discount_period`.
        discount_period: see `discount`.
    """
    _require_same_shape(reward=reward, duration=duration)
    exponent = duration * (math.log(gamma) / discount_period)
    share = torch.where(exponent > -1e-6, 1.0, torch.expm1(exponent) / exponent.clamp_max(-1e-6))
    return reward * share


def bellman_target(reward: Tensor, terminated: Tensor, step_discount: Tensor, next_value: Tensor) -> Tensor:
    """Soft Bellman target `[B, 1]`: r + discount * V(s'), V(s') = 0 where the episode has terminated.

    Truncated steps bootstrap: the episode would have continued.

    Args:
        reward: `[B, 1]`.
        terminated: `[B, 1]`, bool.
        step_discount: `[B, 1]`, see `discount`.
        next_value: `[B, 1]`, soft value of s'.
    """
    _require_same_shape(reward=reward, terminated=terminated, step_discount=step_discount, next_value=next_value)
    # Not a product: a diverged value of a state that does not count must not turn the target into NaN.
    return reward + torch.where(terminated, 0.0, step_discount * next_value)


def squared_td_errors(q: Tensor, target: Tensor) -> Tensor:
    """(Q_i - y)^2, `[N, B, 1]`, from values `[N, B, 1]` and a target `[B, 1]` they share."""
    _require_same_shape(q=q[0], target=target)
    return (q - target).square()


def critic_loss(q: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sum over critics of the mean squared TD error: every critic's gradient is as if it were alone.

    Chen et al. (2021), algorithm 1, line 10.

    Args:
        q: `[N, B, 1]`.
        target: `[B, 1]`, without gradient.
        weight: `[B, 1]`, of each row in the mean; None for equal ones.
    """
    errors = squared_td_errors(q, target)
    if weight is None:
        return errors.mean(dim=tuple(range(1, q.ndim))).sum()
    return weighted_mean(errors.sum(dim=0), weight)


def actor_loss(q: Tensor, log_prob: Tensor, temperature: Tensor) -> Tensor:
    """Mean of temperature * log pi - (mean of all N critics), a scalar.

    Chen et al. (2021), algorithm 1, line 12.

    Args:
        q: `[N, B, 1]`, at actions that carry the actor's gradient.
        log_prob: `[B, 1]`, of those actions.
        temperature: scalar, without gradient.
    """
    _require_same_shape(q=q[0], log_prob=log_prob)
    return (temperature * log_prob - q.mean(dim=0)).mean()


def categorical_actor_loss(q: Tensor, log_prob: Tensor, temperature: Tensor, weight: Tensor | None = None) -> Tensor:
    """`actor_loss` exactly in expectation over the policy (Christodoulou, 2019, equation 12), a scalar.

    Args:
        q: `[N, B, A]`, values of all actions, without gradient.
        log_prob: `[B, A]`, with the actor's gradient.
        temperature: scalar, without gradient.
        weight: `[B, 1]`, of each row in the mean; None for equal ones.
    """
    _require_same_shape(q=q[0], log_prob=log_prob)
    return weighted_mean(_expectation(temperature * log_prob - q.mean(dim=0), log_prob), weight)


def hybrid_actor_loss(q: Tensor, log_prob: Tensor, costs: Tensor, temperatures: Tensor) -> Tensor:
    """`actor_loss` of a choice and numbers, exactly in expectation over the choices, a scalar.

    The mean over rows of the sum over p of pi(p|s) (sum over i of temperature_i cost_i - mean of all N critics)
    (Delalleau et al., 2019, equation 8, with REDQ's mean of critics).

    Args:
        q: `[N, B, P]`, at one sample of every choice's numbers, which carry the actor's gradient.
        log_prob: `[B, P]`, of the choices, with the actor's gradient.
        costs: `[B, P, 2]`, of the choice and of its numbers: log pi, or log(pi / pi0).
        temperatures: `[2]`, without gradient.
    """
    _require_same_shape(q=q[0], log_prob=log_prob, costs=costs[..., 0])
    value = (costs * temperatures).sum(dim=-1) - q.mean(dim=0)
    return _expectation(value, log_prob).mean()


def expectation(values: Tensor, log_prob: Tensor) -> Tensor:
    """Sums over choices of pi * values, `[B, V]`, from `[B, P, V]` and log-probabilities `[B, P]`."""
    return (log_prob.exp()[..., None] * values).sum(dim=-2)


def mean_log_prob(log_prob: Tensor) -> Tensor:
    """Minus the entropy of a categorical policy, `[B, 1]` in nats, from its log-probabilities `[B, A]`."""
    return _expectation(log_prob, log_prob)


def temperature_loss(
    log_temperature: Tensor, log_prob: Tensor, target_entropy: float | Tensor, weight: Tensor | None = None
) -> Tensor:
    """-log(temperature) * (mean log pi + target entropy): it falls where the policy is too random.

    Haarnoja et al. (2018b), equation 18, on the logarithm as in REDQ's release, so that the step does not depend
    on the temperature.

    Args:
        log_temperature: scalar; or one for each part of the action `[V]`.
        log_prob: `[B, 1]`, or `[B, V]`, without gradient; of a sampled action, or `mean_log_prob` of all.
        target_entropy: in nats, likewise.
        weight: `[B, 1]`, of each row in the mean; None for equal ones.
    """
    return weighted_mean(-(log_temperature * (log_prob + target_entropy)), weight)


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of `values` `[B, 1]` by `weight` `[B, 1]`, a scalar; 0 where all weights are 0, plain where it is None."""
    if weight is None:
        return values.mean()
    _require_same_shape(values=values, weight=weight)
    return (weight * values).sum() / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)


def _expectation(values: Tensor, log_prob: Tensor) -> Tensor:
    """Sum over actions of pi * values, `[B, 1]`, from `[B, A]` and `[B, A]`."""
    return (log_prob.exp() * values).sum(dim=-1, keepdim=True)


def _require_same_shape(**tensors: Tensor) -> None:
    # A [B] with a [B, 1] would broadcast to [B, B] and still train, badly.
    if len({tensor.shape for tensor in tensors.values()}) > 1:
        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
        raise ValueError(f"shapes must agree: {shapes}")
