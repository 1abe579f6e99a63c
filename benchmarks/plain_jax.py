"""REDQ-SAC as one jitted JAX function for a block: `lax.scan` over the critic updates, then one of the actor.

Independent of genreplay and of `plain_redq.py`, whose updates a test compares with these.
`pip install "genreplay[peers]"` brings JAX. Shapes: K updates in a block, B batch, O observation, A action, N critics,
M target subset.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from tensordict import TensorDict

LEARNING_RATE, BETA1, BETA2, ADAM_EPSILON = 3e-4, 0.9, 0.999, 1e-8
GAMMA, TARGET_RATE, SUBSET_SIZE, EPSILON = 0.99, 0.005, 2, 1e-6


def limited_to(threads: int) -> None:
    """Give XLA as many CPU threads; only before JAX is first used in the process."""
    os.environ["NPROC"] = str(threads)  # of XLA's pool
    if threads == 1:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()


def mlp(weights: list, x: Any) -> Any:
    """Output of a network of pairs `(weight [in, out], bias [out])`."""
    from jax.nn import relu

    for weight, bias in weights[:-1]:
        x = relu(x @ weight + bias)
    weight, bias = weights[-1]
    return x @ weight + bias


def act(actor: list, observation: Any, noise: Any) -> tuple[Any, Any]:
    """Action `[B, A]` and log-probability `[B, 1]`."""
    import jax.numpy as jnp

    mean, log_std = jnp.split(mlp(actor, observation), 2, axis=-1)
    log_std = jnp.clip(log_std, -20, 2)
    action = jnp.tanh(mean + jnp.exp(log_std) * noise)
    log_prob = -0.5 * noise**2 - log_std - 0.5 * jnp.log(2 * jnp.pi) - jnp.log(1 - action**2 + EPSILON)
    return action, log_prob.sum(axis=-1, keepdims=True)


def values(critics: list, observation: Any, action: Any) -> Any:
    """`[N, B, 1]`, of stacked critics."""
    import jax
    import jax.numpy as jnp

    return jax.vmap(mlp, in_axes=(0, None))(critics, jnp.concatenate([observation, action], axis=-1))


def adam(weights: Any, gradients: Any, moments: dict) -> tuple[Any, dict]:
    """One step of Adam (Kingma and Ba, 2015)."""
    import jax
    import jax.numpy as jnp

    count = moments["count"] + 1
    first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, moments["first"], gradients)
    second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, moments["second"], gradients)
    scale, root = LEARNING_RATE / (1 - BETA1**count), jnp.sqrt(1 - BETA2**count)
    step = partial(jax.tree.map, lambda w, m, v: w - scale * m / (jnp.sqrt(v) / root + ADAM_EPSILON))
    return step(weights, first, second), {"count": count, "first": first, "second": second}


def update_critics(state: dict, update: dict) -> tuple[dict, Any]:
    """One critic update of every critic; the loss before it."""
    import jax
    import jax.numpy as jnp

    batch, alpha = update["batch"], jnp.exp(state["log_alpha"])
    next_action, next_log_prob = act(state["actor"], batch["next_observation"], update["noise"])
    subset = jax.tree.map(lambda w: w[update["subset"]], state["targets"])
    next_value = values(subset, batch["next_observation"], next_action).min(axis=0) - alpha * next_log_prob
    target = batch["reward"] + GAMMA ** batch["duration"] * (1 - batch["terminated"]) * next_value

    def loss_of(critics: list) -> Any:
        q = values(critics, batch["observation"], batch["action"])
        return ((q - target) ** 2).mean(axis=(1, 2)).sum()

    loss, gradients = jax.value_and_grad(loss_of)(state["critics"])
    critics, moments = adam(state["critics"], gradients, state["critic_moments"])
    targets = jax.tree.map(lambda t, w: (1 - TARGET_RATE) * t + TARGET_RATE * w, state["targets"], critics)
    new = {"critics": critics, "critic_moments": moments, "targets": targets}
    return state | new, loss / len(state["critics"][0][0])


def update_actor(state: dict, batch: dict, noise: Any) -> tuple[dict, Any]:
    """One actor and one temperature update; the actor's loss before them."""
    import jax
    import jax.numpy as jnp

    alpha = jnp.exp(state["log_alpha"])

    def loss_of(actor: list) -> tuple[Any, Any]:
        action, log_prob = act(actor, batch["observation"], noise)
        q = values(state["critics"], batch["observation"], action)
        return (alpha * log_prob - q.mean(axis=0)).mean(), log_prob

    (loss, log_prob), gradients = jax.value_and_grad(loss_of, has_aux=True)(state["actor"])
    actor, actor_moments = adam(state["actor"], gradients, state["actor_moments"])
    slope = -(log_prob - noise.shape[-1]).mean()
    log_alpha, alpha_moments = adam(state["log_alpha"], slope, state["alpha_moments"])
    new = {"actor": actor, "actor_moments": actor_moments, "log_alpha": log_alpha, "alpha_moments": alpha_moments}
    return state | new, loss


def update_block(state: dict, batches: dict, draws: dict) -> tuple[dict, Any, Any]:
    """K critic updates and one actor update; the critic losses `[K]` and the actor's.

    Args:
        state: of `new_state`.
        batches: `[K, B, ...]`.
        draws: `noise` `[K, B, A]` and `subset` `[K, M]` of the critic updates, `actor_noise` `[B, A]`.
    """
    import jax

    updates = {"batch": batches, "noise": draws["noise"], "subset": draws["subset"]}
    state, critic_losses = jax.lax.scan(update_critics, state, updates)
    last = jax.tree.map(lambda rows: rows[-1], batches)
    state, actor_loss = update_actor(state, last, draws["actor_noise"])
    return state, critic_losses, actor_loss


def new_state(actor: list, critics: list) -> dict:
    """Where training starts from: these weights, targets equal to the critics, temperature 1."""
    import jax
    import jax.numpy as jnp

    def moments(weights: Any) -> dict:
        zeros = jax.tree.map(jnp.zeros_like, weights)
        return {"count": jnp.zeros(()), "first": zeros, "second": zeros}

    log_alpha = jnp.zeros(())
    return {
        "actor": actor,
        "critics": critics,
        "targets": critics,
        "log_alpha": log_alpha,
        "actor_moments": moments(actor),
        "critic_moments": moments(critics),
        "alpha_moments": moments(log_alpha),
    }


def random_layers(key: Any, in_width: int, out_width: int, hidden_width: int, stack: tuple[int, ...] = ()) -> list:
    """Layers of one network or of a stack of them, with torch's initial law."""
    import jax

    layers, widths = [], [in_width, hidden_width, hidden_width, out_width]
    for i, (before, after) in enumerate(pairwise(widths)):
        draw = partial(jax.random.uniform, minval=-(before**-0.5), maxval=before**-0.5)
        keys = jax.random.split(jax.random.fold_in(key, i))
        layers.append((draw(keys[0], (*stack, before, after)), draw(keys[1], (*stack, after))))
    return layers


def jax_batches(block: TensorDict) -> dict:
    """The block `[K, B]` as JAX arrays."""
    import jax.numpy as jnp

    following = block["next"]
    rows = {
        "observation": block["observation"],
        "action": block["action"],
        "next_observation": following["observation"],
        "reward": following["reward"],
        "duration": following["duration"],
        "terminated": following["terminated"].float(),
    }
    return {name: jnp.asarray(tensor.numpy()) for name, tensor in rows.items()}


def jax_scan(block: TensorDict, ensemble_size: int, hidden_width: int) -> Callable[[], object] | None:
    """One call: the updates of the block `[K, B]`, on a CPU, with fresh random numbers; it returns the critic losses
    `[K]`. None where not installed.
    """
    try:
        limited_to(torch.get_num_threads())
        import jax
    except ImportError:
        return None
    (num_updates, batch_size), width = block.shape, block["action"].shape[-1]
    observation_width, key = block["observation"].shape[-1], jax.random.key(0)

    @partial(jax.jit, donate_argnums=0)
    def train(state: dict, key: Any, batches: dict) -> tuple[dict, Any, Any]:
        keys = jax.random.split(key, 3)
        of_critics = jax.random.uniform(keys[0], (num_updates, ensemble_size))
        draws = {
            "subset": jax.lax.top_k(of_critics, min(SUBSET_SIZE, ensemble_size))[1],
            "noise": jax.random.normal(keys[1], (num_updates, batch_size, width)),
            "actor_noise": jax.random.normal(keys[2], (batch_size, width)),
        }
        return update_block(state, batches, draws)

    actor = random_layers(jax.random.fold_in(key, 1), observation_width, 2 * width, hidden_width)
    critics = random_layers(jax.random.fold_in(key, 2), observation_width + width, 1, hidden_width, (ensemble_size,))
    batches, count = jax_batches(block), 0
    state = jax.tree.map(lambda weight: weight.copy(), new_state(actor, critics))

    def call() -> Any:
        nonlocal state, count
        count += 1
        state, critic_losses, _ = train(state, jax.random.fold_in(key, count), batches)
        return jax.block_until_ready((state, critic_losses))[1]

    return call
