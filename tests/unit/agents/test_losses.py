"""The agent's equations, by hand and against torch.distributions."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from genreplay.agents import losses
from tests.helpers.refusal import refusal


def column(*values):
    return torch.tensor(values).unsqueeze(-1)


def test_log_prob_is_the_transformed_distributions():
    torch.manual_seed(0)
    mean, log_std, noise = (torch.randn(50, 3, dtype=torch.float64) for _ in range(3))
    action, log_prob = losses.tanh_gaussian(mean, log_std, noise)
    assert torch.equal(action, torch.tanh(mean + log_std.exp() * noise))
    # The reference inverts the tanh, which actions that round to 1 do not survive.
    inside = action.abs().amax(dim=1) < 1 - 1e-6
    assert inside.sum() > 40
    normal = Independent(Normal(mean[inside], log_std[inside].exp()), 1)
    reference = TransformedDistribution(normal, [TanhTransform()]).log_prob(action[inside])
    torch.testing.assert_close(log_prob[inside, 0], reference, rtol=1e-6, atol=1e-6)


def test_log_prob_under_another_gaussian_is_the_transformed_distributions():
    torch.manual_seed(1)
    before_tanh, mean, log_std = (torch.randn(50, 3, dtype=torch.float64) for _ in range(3))
    reference = TransformedDistribution(Independent(Normal(mean, log_std.exp()), 1), [TanhTransform()])
    expected = reference.log_prob(before_tanh.tanh())
    torch.testing.assert_close(losses.tanh_gaussian_log_prob(before_tanh, mean, log_std)[:, 0], expected)


@pytest.mark.parametrize("gamma", [0.8, 0.999999, 1.0])
def test_accrued_reward_is_the_integral_over_the_step(gamma):
    seconds, reward = column(0.0, 7.0, 45.0), column(-2.0, -1.0, 3.0)
    times = torch.linspace(0, 1, 20_001) * seconds
    expected = reward * (gamma ** (times / 30.0)).mean(dim=1, keepdim=True)
    torch.testing.assert_close(losses.accrued(reward, seconds, gamma, 30.0), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("before_tanh", [-60.0, -9.0, 0.0, 9.0, 60.0])
def test_log_prob_and_gradient_stay_exact_where_the_action_saturates(before_tanh):
    mean = torch.tensor([[before_tanh]], requires_grad=True)
    action, log_prob = losses.tanh_gaussian(mean, torch.zeros(1, 1), torch.zeros(1, 1))
    log_prob.sum().backward()
    # log(1 - tanh(u)^2) = 2 log 2 - 2|u| - 2 log(1 + exp(-2|u|))
    size = abs(before_tanh)
    log_slope = 2 * math.log(2) - 2 * size - 2 * math.log1p(math.exp(-2 * size))
    assert log_prob.item() == pytest.approx(-0.5 * math.log(2 * math.pi) - log_slope, rel=1e-5)
    assert mean.grad.item() == pytest.approx(2 * math.tanh(before_tanh), abs=1e-5)
    assert abs(action.item()) <= 1


SUBSET_Q = torch.tensor([[[1.0], [5.0]], [[3.0], [2.0]]])
LOG_PROB, TEMPERATURE = column(-1.0, 2.0), torch.tensor(0.5)


def test_soft_value_takes_the_minimum_or_the_mean_of_the_subset():
    # min(1, 3) + 0.5; min(5, 2) - 1
    assert torch.equal(losses.soft_value(SUBSET_Q, LOG_PROB, TEMPERATURE, "min"), column(1.5, 1.0))
    # 2 + 0.5; 3.5 - 1
    assert torch.equal(losses.soft_value(SUBSET_Q, LOG_PROB, TEMPERATURE, "mean"), column(2.5, 2.5))


def test_soft_value_names_its_modes():
    with pytest.raises(ValueError, match=r"^soft_value: mode must be min or mean, not 'max'$"):
        losses.soft_value(SUBSET_Q, LOG_PROB, TEMPERATURE, "max")


# Three actions of probability 1/2, 1/4, 1/4: their entropy is 1.5 log 2.
THREE = torch.tensor([[0.5, 0.25, 0.25]]).log()
THREE_Q = torch.tensor([[[1.0, 2.0, 4.0]], [[3.0, 0.0, 5.0]]])


@pytest.mark.parametrize(("mode", "mean_q"), [("min", 0.5 * 1 + 0.25 * 0 + 0.25 * 4), ("mean", 1 + 0.25 + 1.125)])
def test_categorical_soft_value_by_hand(mode, mean_q):
    value = losses.categorical_soft_value(THREE_Q, THREE, torch.tensor(0.2), mode)
    torch.testing.assert_close(value, column(mean_q + 0.2 * 1.5 * math.log(2)))


def test_categorical_actor_loss_and_entropy_by_hand():
    # 0.2 * -1.5 log 2 - (1 + 0.25 + 1.125)
    loss = losses.categorical_actor_loss(THREE_Q, THREE, torch.tensor(0.2))
    assert loss.item() == pytest.approx(-0.3 * math.log(2) - 2.375)
    torch.testing.assert_close(losses.mean_log_prob(THREE), column(-1.5 * math.log(2)))


def test_an_action_of_no_probability_counts_nothing():
    log_prob = torch.tensor([[0.0, -200.0]])
    value = losses.categorical_soft_value(torch.tensor([[[2.0, 1e6]]]), log_prob, TEMPERATURE, "min")
    torch.testing.assert_close(value, column(2.0))


def test_weighted_losses_by_hand():
    q, target, weight = torch.tensor([[[1.0], [2.0]], [[0.0], [4.0]]]), column(2.0, 2.0), column(3.0, 1.0)
    # critic 0: (3 * 1 + 0) / 4; critic 1: (3 * 4 + 4) / 4
    assert losses.critic_loss(q, target, weight).item() == pytest.approx(4.75)
    log_prob, q = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log(), torch.tensor([[[1.0, 3.0], [4.0, 0.0]]])
    # expected values 2 and 1, no entropy: (3 * 2 + 1) / 4
    assert losses.categorical_actor_loss(q, log_prob, torch.tensor(0.0), weight).item() == pytest.approx(-1.75)
    loss = losses.temperature_loss(torch.tensor(2.0), column(-1.0, -5.0), 1.0, weight)
    assert loss.item() == pytest.approx(-2 * (3 * 0 + 1 * -4) / 4)


def test_equal_weights_are_none_and_no_weight_at_all_is_no_loss():
    torch.manual_seed(0)
    q, target = torch.randn(3, 8, 1), torch.randn(8, 1)
    torch.testing.assert_close(losses.critic_loss(q, target, torch.full((8, 1), 0.3)), losses.critic_loss(q, target))
    assert losses.critic_loss(q, target, torch.zeros(8, 1)).item() == 0


def test_only_termination_stops_the_bootstrap():
    reward, terminated = column(1.0, 1.0, 1.0), column(True, False, False)
    # Rows: terminated; truncated (which the target does not even ask about); in the middle of an episode.
    target = losses.bellman_target(reward, terminated, column(0.9, 0.9, 0.9), column(10.0, 10.0, -10.0))
    torch.testing.assert_close(target, column(1.0, 10.0, -8.0))


def test_a_terminated_row_ignores_even_a_diverged_value():
    target = losses.bellman_target(column(1.0), column(True), column(0.9), column(math.inf))
    assert torch.equal(target, column(1.0))


def test_semi_mdp_discount_by_hand():
    # 30 s is the period: half of it takes the root, twice it the square.
    got = losses.discount(column(15.0, 30.0, 60.0, 0.0), 0.81, 30.0)
    torch.testing.assert_close(got, column(0.9, 0.81, 0.6561, 1.0))


def test_critic_loss_sums_over_critics_and_averages_over_rows():
    q, target = torch.tensor([[[1.0], [2.0]], [[0.0], [4.0]]]), column(2.0, 2.0)
    # critic 0: (1 + 0) / 2; critic 1: (4 + 4) / 2
    assert losses.critic_loss(q, target).item() == pytest.approx(4.5)
    assert torch.equal(losses.squared_td_errors(q, target)[:, :, 0], torch.tensor([[1.0, 0.0], [4.0, 4.0]]))


def test_actor_loss_uses_the_mean_of_all_critics():
    # rows: 0.5 * -1 - 2 = -2.5; 0.5 * 2 - 3.5 = -2.5
    assert losses.actor_loss(SUBSET_Q, LOG_PROB, TEMPERATURE).item() == pytest.approx(-2.5)


@pytest.mark.parametrize(("entropy", "direction"), [(3.0, 1.0), (-3.0, -1.0)])
def test_temperature_falls_where_entropy_is_above_its_target(entropy, direction):
    log_temperature = torch.tensor(0.7, requires_grad=True)
    losses.temperature_loss(log_temperature, column(-entropy, -entropy), target_entropy=-1.0).backward()
    assert log_temperature.grad.item() == pytest.approx(entropy + 1)
    assert math.copysign(1, log_temperature.grad.item()) == direction


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: losses.bellman_target(torch.zeros(4), column(True), torch.zeros(4, 1), torch.zeros(4, 1)),
            "shapes must agree: reward [4], terminated [1, 1], step_discount [4, 1], next_value [4, 1]",
        ),
        (
            lambda: losses.critic_loss(torch.zeros(2, 4, 1), torch.zeros(4)),
            "shapes must agree: q [4, 1], target [4]",
        ),
        (
            lambda: losses.actor_loss(torch.zeros(2, 4, 1), torch.zeros(4), TEMPERATURE),
            "shapes must agree: q [4, 1], log_prob [4]",
        ),
        (
            lambda: losses.soft_value(torch.zeros(2, 4), torch.zeros(4, 1), TEMPERATURE, "min"),
            "shapes must agree: subset_q [4], log_prob [4, 1]",
        ),
        (
            lambda: losses.weighted_mean(torch.zeros(4, 1), torch.zeros(4)),
            "shapes must agree: values [4, 1], weight [4]",
        ),
        (
            lambda: losses.categorical_actor_loss(torch.zeros(2, 4, 6), torch.zeros(4, 1), TEMPERATURE),
            "shapes must agree: q [4, 6], log_prob [4, 1]",
        ),
        (
            lambda: losses.tanh_gaussian(torch.zeros(4, 2), torch.zeros(4, 2), torch.zeros(4)),
            "shapes must agree: mean [4, 2], log_std [4, 2], noise [4]",
        ),
    ],
)
def test_shapes_that_would_broadcast_silently_are_an_error(call, message):
    assert refusal(call, ValueError) == message
