"""The JAX contender of the benchmarks makes the plain loop's updates."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers.redq_sac import ACT, OBS, B, make_block
from tests.helpers.scripts import load

pytest.importorskip("jax", reason='needs pip install "genreplay[peers]"')
N, K, H = 4, 3, 16


@pytest.fixture(autouse=True)
def in_float64():
    import jax

    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


def layers(network):
    """Pairs of weights `[in, out]` and biases."""
    linears = [layer for layer in network if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy()) for layer in linears]


def stacked(networks):
    return [tuple(map(np.stack, zip(*same, strict=True))) for same in zip(*map(layers, networks), strict=True)]


def rows_of(block):
    following = block["next"]
    named = {"next_observation": following["observation"], "reward": following["reward"]}
    named |= {"duration": following["duration"] / 30, "terminated": following["terminated"]}
    return {name: rows.double() for name, rows in (named | dict(block.select("observation", "action").items())).items()}


def test_blocks_are_those_of_the_plain_loop():
    import jax

    plain_jax, plain = load("plain_jax"), load("plain_redq").PlainRedq(OBS, ACT, hidden_width=H, ensemble_size=N)
    for network in (plain.actor, *plain.critics, *plain.targets):
        network.double()
    plain.log_alpha.data = plain.log_alpha.data.double()
    state = plain_jax.new_state(*jax.tree.map(jax.numpy.asarray, (layers(plain.actor), stacked(plain.critics))))
    first = stacked(plain.critics)
    update = jax.jit(plain_jax.update_block)
    rng = torch.Generator().manual_seed(0)
    for seed in range(3):
        rows = rows_of(make_block(K, seed=seed))
        noise = torch.randn(K + 1, B, ACT, generator=rng, dtype=torch.float64)
        subset = torch.stack([torch.randperm(N, generator=rng)[:2] for _ in range(K)])
        batches = [{name: tensor[k] for name, tensor in rows.items()} for k in range(K)]
        losses = [plain.update_critics(batch, noise[k], subset[k].tolist()) for k, batch in enumerate(batches)]
        actor_loss = plain.update_actor(batches[-1], noise[K])
        draws = {"noise": noise[:K].numpy(), "subset": subset.numpy(), "actor_noise": noise[K].numpy()}
        state, its_losses, its_actor_loss = update(state, {name: t.numpy() for name, t in rows.items()}, draws)
        np.testing.assert_allclose(its_losses, losses, rtol=1e-7)
        np.testing.assert_allclose(its_actor_loss, actor_loss, rtol=1e-7)
    expected = layers(plain.actor), stacked(plain.critics), stacked(plain.targets)
    for theirs, ours in zip((state["actor"], state["critics"], state["targets"]), expected, strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9), theirs, ours)
    np.testing.assert_allclose(state["log_alpha"], plain.log_alpha.item(), rtol=1e-7)
    assert np.abs(state["critics"][0][0] - first[0][0]).max() > 1e-4


def test_the_contender_learns_the_block_it_is_given():
    call = load("plain_jax").jax_scan(make_block(K), N, H)
    losses = [call().mean() for _ in range(100)]
    assert losses[-1] < 0.8 * losses[0]
