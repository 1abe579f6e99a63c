"""The continuous agent: updates, policies, optimisers, resuming."""

import copy
import math

import pytest
import torch
from lightning import Trainer
from tensordict import TensorDict
from torch.utils.data import DataLoader

from tests.helpers.redq_sac import ACT, MEDIUM, OBS, B, assert_same_state, make_agent, make_block, step
from tests.helpers.refusal import refusal

# A block -------------------------------------------------------------------------------------------------------


def test_targets_start_as_copies_and_take_no_gradient():
    agent = make_agent()
    for target, online in zip(agent.target_critics.parameters(), agent.critics.parameters(), strict=True):
        assert torch.equal(target, online)
        assert target.data_ptr() != online.data_ptr()
        assert not target.requires_grad


def test_the_deterministic_policy_is_the_average_of_the_actors():
    agent = make_agent(actor_average_rate=0.25)
    averages = [p.detach().clone() for p in agent.actor.parameters()]
    for update in range(1, 40):
        step(agent, make_block(seed=update), seed=update)
        share = max(0.25, 9 / (9 + update))
        averages = [a + share * (p.detach() - a) for a, p in zip(averages, agent.actor.parameters(), strict=True)]
    for average, own in zip(averages, agent.average_actor.parameters(), strict=True):
        torch.testing.assert_close(own, average)
        assert not own.requires_grad
    observation = TensorDict({"observation": torch.ones(1, OBS)}, batch_size=[1])
    mean, _ = agent.average_actor(observation["observation"])
    assert torch.equal(agent.policy(deterministic=True)(observation)["action"], mean.tanh())
    assert not torch.equal(mean, agent.actor(observation["observation"])[0])


@pytest.mark.parametrize("num_updates", [1, 3])
def test_a_block_changes_everything_that_learns(num_updates):
    agent = make_agent(critic_updates_per_actor_update=num_updates, critic_layer_norm=True)
    before = copy.deepcopy(agent.state_dict())
    metrics = step(agent, make_block(num_updates))
    assert [name for name, value in agent.state_dict().items() if torch.equal(value, before[name])] == []
    assert set(metrics) == {
        "critic_loss",
        "critic_loss_real",
        "critic_loss_synthetic",
        "q_mean",
        "target_mean",
        "actor_loss",
        "temperature",
        "entropy",
    }
    for value in metrics.values():
        assert value.shape == ()
        assert not value.requires_grad
        assert value.isfinite()


def test_an_actor_update_at_full_width_leaves_the_critics_without_its_gradient():
    agent = make_agent(hidden_width=64, critic_updates_per_actor_update=1)
    step(agent, make_block(1, batch_size=256))
    before = [p.grad.clone() for p in agent.critics.parameters()]
    agent._update_actor(make_block(1, batch_size=256)[0], torch.zeros(256, ACT))
    for parameter, gradient in zip(agent.critics.parameters(), before, strict=True):
        assert parameter.requires_grad
        assert torch.equal(parameter.grad, gradient)


def test_losses_are_told_apart_by_the_source_of_the_rows():
    block = make_block()
    mixed = step(make_agent(), block)
    real = step(make_agent(), block.clone().set("is_synthetic", torch.zeros_like(block["is_synthetic"])))
    torch.testing.assert_close(real["critic_loss_real"], real["critic_loss"])
    assert real["critic_loss_synthetic"].isnan()
    share = block["is_synthetic"].float().mean()
    torch.testing.assert_close(
        share * mixed["critic_loss_synthetic"] + (1 - share) * mixed["critic_loss_real"], mixed["critic_loss"]
    )


def test_a_fixed_temperature_stays():
    agent = make_agent(learn_temperature=False, initial_temperature=0.3)
    metrics = step(agent, make_block())
    assert agent.log_temperature.item() == pytest.approx(math.log(0.3))
    assert metrics["temperature"].item() == pytest.approx(0.3)
    assert set(agent.optimizer_state_dict()) == {"critics", "actor"}


def test_target_entropy_is_minus_the_action_width_unless_told():
    assert make_agent().target_entropy == -2.0
    assert make_agent(target_entropy=0.5).target_entropy == 0.5


def test_subsets_are_distinct_and_uniform():
    agent = make_agent(ensemble_size=5)
    torch.manual_seed(0)
    subsets = agent.draw(4000, 1).subsets
    assert subsets.shape == (4000, 2)
    assert (subsets[:, 0] != subsets[:, 1]).all()
    share = torch.bincount(subsets.flatten(), minlength=5) / 4000
    assert (share - 0.4).abs().max() < 0.04


def test_mean_mode_sets_higher_targets_than_min():
    block = make_block()
    means = {mode: step(make_agent(target_mode=mode), block)["target_mean"] for mode in ("min", "mean")}
    assert means["mean"] > means["min"] + 1e-3


def test_a_medium_precision_block_leaves_torchs_setting_alone():
    agent = make_agent(speed=MEDIUM)
    before = torch.get_float32_matmul_precision()
    assert before == "highest"
    step(agent, make_block())
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize("shape", [(2, B), (B,)])
def test_a_block_of_another_length_is_an_error(shape):
    block = make_block(2) if len(shape) == 2 else make_block(2)[0]
    assert refusal(lambda: make_agent().training_step(block), ValueError) == (
        f"training_step: the block has shape {list(shape)}, but agent.critic_updates_per_actor_update needs [3, batch]"
    )


# Acting and scoring --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("shape", [(), (1,), (3, 4)])
def test_policies_stay_in_the_action_space(deterministic, shape):
    policy = make_agent().policy(deterministic)
    observation = 100 * torch.randn(*shape, OBS)
    action = policy(TensorDict({"observation": observation}, batch_size=shape))["action"]
    assert action.shape == (*shape, ACT)
    assert action.abs().max() <= 1
    assert not action.requires_grad


def test_policies_follow_what_the_agent_learns():
    agent, rows = make_agent(actor_learning_rate=0.05), make_block()[0]
    policy = agent.policy(deterministic=True)
    before = policy(rows.clone())["action"]
    assert torch.equal(before, policy(rows.clone())["action"])
    step(agent, make_block())
    mean, _ = agent.actor(rows["observation"])
    after = policy(rows.clone())["action"]
    assert torch.equal(after, mean.detach().tanh())
    assert (after - before).abs().max() > 1e-3


def test_the_exploring_policy_samples_the_actors_gaussian():
    agent = make_agent()
    torch.manual_seed(3)
    observation = torch.randn(1, OBS).expand(20_000, OBS)
    action = agent.policy(deterministic=False)(TensorDict({"observation": observation}, [20_000]))["action"]
    mean, log_std = agent.actor(observation[:1])
    before_tanh = action.atanh()
    torch.testing.assert_close(before_tanh.mean(dim=0), mean[0].detach(), atol=0.04, rtol=0)
    torch.testing.assert_close(before_tanh.std(dim=0), log_std[0].detach().exp(), atol=0.04, rtol=0)


def test_td_error_uses_the_means_of_critics_and_targets():
    agent, rows = make_agent(initial_temperature=0.2), make_block()[0]
    with torch.no_grad():
        for parameter in agent.target_critics.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        agent.actor.network[-1].weight.zero_()
        agent.actor.network[-1].bias.copy_(torch.tensor([0.5, -0.5, -20.0, -20.0]))
    # A policy this sharp acts alike whatever the noise; its log-probability is fixed up to the noise's square.
    noise = torch.randn(B, ACT, generator=torch.Generator().manual_seed(0))
    action = torch.tensor([0.5, -0.5]).tanh().expand(B, ACT)
    log_prob = (20 - 0.5 * math.log(2 * math.pi) - 0.5 * noise**2 - (1 - action**2).log()).sum(dim=1, keepdim=True)
    next_q = agent.target_critics(torch.cat([rows["next", "observation"], action], dim=1))
    next_value = next_q.mean(dim=0) - 0.2 * log_prob
    discount = 0.99 ** (rows["next", "duration"] / 30)
    target = rows["next", "reward"] + (~rows["next", "terminated"]).float() * discount * next_value
    q = agent.critics(torch.cat([rows["observation"], rows["action"]], dim=1)).mean(dim=0)
    torch.testing.assert_close(agent.td_error(rows), (target - q).abs().detach(), rtol=1e-4, atol=1e-4)


# Optimisers and the Trainer ------------------------------------------------------------------------------------


def test_optimizers_of_another_agent_are_refused():
    state = make_agent(learn_temperature=False).optimizer_state_dict()
    message = (
        r"^the checkpoint has optimisers \['actor', 'critics'\], "
        r"this agent \['actor', 'critics', 'temperature'\]$"
    )
    with pytest.raises(ValueError, match=message):
        make_agent().load_optimizer_state_dict(state)


def test_a_lightning_trainer_takes_the_same_steps(tmp_path):
    blocks = [make_block(seed=1), make_block(seed=2)]
    direct, trained = make_agent(), make_agent()
    torch.manual_seed(7)
    for block in blocks:
        direct.training_step(block)
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    # The order of the blocks must draw nothing from the stream that the agent draws from.
    loader = DataLoader(blocks, batch_size=None, collate_fn=lambda block: block, generator=torch.Generator())
    torch.manual_seed(7)
    trainer.fit(trained, loader)
    assert trainer.global_step == 2 * (3 + 1 + 1)
    assert_same_state(trained.state_dict(), direct.state_dict())
