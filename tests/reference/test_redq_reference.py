"""The agent against an independent plain implementation, and its losses against TorchRL's with aligned options."""

import pytest
import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.data import Bounded
from torchrl.modules import ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import REDQLoss, SoftUpdate, ValueEstimators

from genreplay.agents import losses
from tests.helpers.redq_sac import ACT, OBS, B, make_agent, make_block
from tests.helpers.scripts import load

PLAIN = load("plain_redq")
N, K, H, PERIOD = 4, 6, 16, 30.0


@pytest.fixture
def agent():
    rates = dict.fromkeys(("critic_learning_rate", "actor_learning_rate", "temperature_learning_rate"), 1e-3)
    return make_agent(hidden_width=H, ensemble_size=N, critic_updates_per_actor_update=K, **rates)


# The plain implementation --------------------------------------------------------------------------------------


def copy_weights(stacked, i, network):
    """Critic `i` of a stack into an ordinary network."""
    linears = [layer for layer in network if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer, hidden in zip(linears[:-1], stacked.hidden, strict=True):
            layer.weight.copy_(hidden.weight[i].T)
            layer.bias.copy_(hidden.bias[i, 0])
        linears[-1].weight.copy_(stacked.value.weight[i].T)
        linears[-1].bias.copy_(stacked.value.bias[i, 0])


def plain_twin(agent):
    """The same weights in separate networks. Without its epsilon, and in float64, nothing but rounding differs."""
    twin = PLAIN.PlainRedq(OBS, ACT, hidden_width=H, ensemble_size=N, learning_rate=1e-3, epsilon=0.0)
    for network in (twin.actor, *twin.critics, *twin.targets):
        network.double()
    twin.log_alpha.data = twin.log_alpha.data.double()
    twin.actor.load_state_dict(agent.actor.network.state_dict())
    for i in range(N):
        copy_weights(agent.critics, i, twin.critics[i])
        copy_weights(agent.target_critics, i, twin.targets[i])
    return twin


def assert_same_networks(agent, twin):
    tolerance = {"rtol": 1e-7, "atol": 1e-9}
    for name, value in twin.actor.state_dict().items():
        torch.testing.assert_close(agent.actor.network.state_dict()[name], value, **tolerance)
    for stacked, networks in ((agent.critics, twin.critics), (agent.target_critics, twin.targets)):
        for i, network in enumerate(networks):
            linears = [layer for layer in network if isinstance(layer, nn.Linear)]
            for hidden, layer in zip(stacked.hidden, linears[:-1], strict=True):
                torch.testing.assert_close(hidden.weight[i], layer.weight.T, **tolerance)
                torch.testing.assert_close(hidden.bias[i, 0], layer.bias, **tolerance)
            torch.testing.assert_close(stacked.value.weight[i], linears[-1].weight.T, **tolerance)
            torch.testing.assert_close(stacked.value.bias[i, 0], linears[-1].bias, **tolerance)
    torch.testing.assert_close(agent.log_temperature, twin.log_alpha[0], **tolerance)


def plain_block(twin, block, draws):
    """K critic updates and one actor update; the last batch and the losses' means."""
    critic_losses = []
    for k, rows in enumerate(block):
        batch = {
            "observation": rows["observation"],
            "action": rows["action"],
            "next_observation": rows["next", "observation"],
            "reward": rows["next", "reward"],
            "duration": rows["next", "duration"] / PERIOD,
            "terminated": rows["next", "terminated"].to(rows["next", "reward"].dtype),
        }
        critic_losses.append(twin.update_critics(batch, draws.next_noise[k], draws.subsets[k].tolist()))
    actor_loss = twin.update_actor(batch, draws.actor_noise)
    return sum(critic_losses) / len(critic_losses), actor_loss


def test_blocks_equal_the_updates_of_separate_networks_and_optimizers(agent):
    agent.double()
    twin = plain_twin(agent)
    first = [p.detach().clone() for p in agent.parameters()]
    for i in range(3):
        block = make_block(K, seed=i).apply(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)
        torch.manual_seed(100 + i)
        draws = agent.draw(K, B)
        torch.manual_seed(100 + i)
        metrics = agent.training_step(block)
        critic_loss, actor_loss = plain_block(twin, block, draws)
        assert metrics["critic_loss"].item() == pytest.approx(critic_loss, rel=1e-7)
        assert metrics["actor_loss"].item() == pytest.approx(actor_loss, rel=1e-7)
    moved = min((new - old).abs().max().item() for new, old in zip(agent.parameters(), first, strict=True))
    assert moved > 1e-5
    assert_same_networks(agent, twin)


# TorchRL -------------------------------------------------------------------------------------------------------

ALPHA = 0.3


class LocScale(nn.Module):
    """The agent's actor as TorchRL wants it: mean and deviation."""

    def __init__(self, actor):
        super().__init__()
        self.actor = actor

    def forward(self, observation):
        mean, log_std = self.actor(observation)
        return mean, log_std.exp()


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(OBS + ACT, H), nn.ReLU(), nn.Linear(H, H), nn.ReLU(), nn.Linear(H, 1))

    def forward(self, observation, action):
        return self.network(torch.cat([observation, action], dim=-1))


@pytest.fixture
def theirs(agent):
    """REDQLoss on the agent's weights, targets apart from the critics; its defaults replaced by the published ones."""
    with torch.no_grad():
        for parameter in agent.target_critics.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        agent.log_temperature.fill_(torch.tensor(ALPHA).log())
    critics = [Critic() for _ in range(N)]
    for i, critic in enumerate(critics):
        copy_weights(agent.critics, i, critic.network)
    actor = ProbabilisticActor(
        TensorDictModule(LocScale(agent.actor), in_keys=["observation"], out_keys=["loc", "scale"]),
        in_keys=["loc", "scale"],
        spec=Bounded(-1, 1, (ACT,)),
        distribution_class=TanhNormal,
        # Ours does not fold the tanh's far ends back.
        distribution_kwargs={"safe_tanh": False},
    )
    loss = REDQLoss(
        actor,
        [ValueOperator(critic, in_keys=["observation", "action"]) for critic in critics],
        num_qvalue_nets=N,
        sub_sample_len=2,
        loss_function="l2",
        alpha_init=ALPHA,
        min_alpha=1e-6,
        max_alpha=1e6,
        target_entropy=-float(ACT),
        delay_qvalue=True,
    )
    loss.make_value_estimator(ValueEstimators.TD0, gamma=0.99)
    SoftUpdate(loss, eps=0.995)  # it makes the targets copies; they are set apart below
    for i in range(N):
        network = Critic()
        copy_weights(agent.target_critics, i, network.network)
        for name, value in network.named_parameters():
            loss.target_qvalue_network_params.get(("module", *name.split(".")))[i].copy_(value.detach())
    return loss


def their_draws(seed):
    """The subset and the noise that REDQLoss is about to draw: actions, then next actions."""
    torch.manual_seed(seed)
    subset = torch.randperm(N)[:2].sort()[0]
    noise = torch.normal(torch.zeros(2, B, ACT), torch.ones(2, B, ACT))
    torch.manual_seed(seed)
    return subset, noise[0], noise[1]


def our_losses(agent, rows, subset, noise, next_noise):
    temperature = agent.log_temperature.detach().exp()
    with torch.no_grad():
        next_observation = rows["next", "observation"]
        next_action, next_log_prob = agent._act(next_observation, next_noise)
        next_q = agent.target_critics(torch.cat([next_observation, next_action], dim=-1), subset)
        next_value = losses.soft_value(next_q, next_log_prob, temperature, "min")
        discount = losses.discount(rows["next", "duration"], 0.99, PERIOD)
        target = losses.bellman_target(rows["next", "reward"], rows["next", "terminated"], discount, next_value)
    q = agent.critics(torch.cat([rows["observation"], rows["action"]], dim=-1))
    action, log_prob = agent._act(rows["observation"], noise)
    actor_q = agent.critics(torch.cat([rows["observation"], action], dim=-1))
    both = torch.cat([log_prob.detach(), next_log_prob])
    return {
        "loss_qvalue": losses.critic_loss(q, target) / N,
        "loss_actor": losses.actor_loss(actor_q, log_prob, temperature),
        # TorchRL's temperature loss also counts the next actions, and is written on alpha instead of its logarithm.
        "loss_alpha": losses.temperature_loss(agent.log_temperature, both, agent.target_entropy),
    }


def test_losses_and_gradients_equal_torchrls(agent, theirs):
    rows = make_block()[0]
    rows["next", "done"] = rows["next", "terminated"]
    rows["next", "duration"].fill_(PERIOD)  # TorchRL has one discount for every step
    draws = their_draws(seed=5)
    reference = theirs(rows.exclude("is_synthetic"))
    ours = our_losses(agent, rows, *draws)

    their_critics = theirs.qvalue_network_params.get(("module", "network", "2", "weight"))
    their_actor = theirs.actor_network_params.get(("module", "0", "module", "actor", "network", "2", "weight"))
    for name, our_weight, their_weight in (
        ("loss_qvalue", agent.critics.hidden[1].weight, their_critics),
        ("loss_actor", agent.actor.network[2].weight, their_actor),
    ):
        torch.testing.assert_close(ours[name], reference[name], rtol=1e-4, atol=1e-5)
        gradient = torch.autograd.grad(ours[name], our_weight)[0]
        expected = torch.autograd.grad(reference[name], their_weight, retain_graph=True)[0]
        assert gradient.abs().max() > 1e-3
        torch.testing.assert_close(gradient.mT if gradient.ndim == 3 else gradient, expected, rtol=1e-3, atol=1e-6)

    their_alpha = torch.autograd.grad(reference["loss_alpha"], theirs.log_alpha)[0]
    our_alpha = torch.autograd.grad(ours["loss_alpha"], agent.log_temperature)[0]
    torch.testing.assert_close(ALPHA * our_alpha, their_alpha, rtol=1e-4, atol=1e-6)
