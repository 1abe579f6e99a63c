"""Critic updates per second: genreplay's agent, a plain loop, a jitted JAX scan, TorchRL, Stable-Baselines3.

    python benchmarks/critic_updates.py --seconds 60 --json critic_updates.json

The contenders take turns, one block of 20 critic updates and one actor update each, on the same data held in memory,
so load on the machine falls on all of them. TorchRL's loss and Stable-Baselines3 also step actor and temperature in
each of the 20; that is their shape. Between their turns one matrix product tells what the machine can do at that
moment: the floor is the time that the products of the block would take at that speed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from measuring import Record, Settings, command, product_call, rates, record, take_turns
from plain_jax import jax_scan
from plain_redq import PlainRedq, mlp
from stable_baselines import NOT_INSTALLED, stable_baselines
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torchrl.data import Bounded
from torchrl.modules import NormalParamExtractor, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import REDQLoss, SoftUpdate, ValueEstimators

from genreplay.agents.config import RedqSacConfig
from genreplay.agents.continuous.redq_sac import RedqSac
from genreplay.common.precision import Speed

BATCH_SIZE, HIDDEN_WIDTH, NUM_UPDATES, SUBSET_SIZE = 256, 256, 20, 2
SHAPES = {"SUMO-like 21/4": (21, 4), "quadruped-like 78/12": (78, 12)}
"""Observation and action width."""
PLAIN, TORCHRL = "plain loop", "TorchRL REDQLoss"
PEERS = {"JAX scan": jax_scan, "Stable-Baselines3 SAC": stable_baselines}
"""Of the extra `peers`; JAX on a CPU only, where it is known to have as many threads."""
OURS = {
    "genreplay fp32": Speed(),
    "genreplay matmul_precision=medium": Speed("medium"),
    "genreplay compiled": Speed(compile=True),
    "genreplay compiled, medium": Speed("medium", compile=True),
}
"""Compiled ones take part on a CPU only."""
UNIT = "updates/s"


def random_block(observation_width: int, action_width: int, device: str) -> TensorDict:
    shape = (NUM_UPDATES, BATCH_SIZE)
    terminated = torch.rand(*shape, 1) < 0.01
    following = TensorDict(
        {
            "observation": torch.randn(*shape, observation_width),
            "reward": torch.randn(*shape, 1),
            "duration": torch.ones(*shape, 1),
            "terminated": terminated,
            "done": terminated.clone(),
        },
        batch_size=shape,
    )
    block = TensorDict(
        {
            "observation": torch.randn(*shape, observation_width),
            "action": torch.rand(*shape, action_width) * 2 - 1,
            "next": following,
            "is_synthetic": torch.zeros_like(terminated),
        },
        batch_size=shape,
    )
    return block.to(device)


def widths(block: TensorDict) -> tuple[int, int]:
    return block["observation"].shape[-1], block["action"].shape[-1]


def ours(block: TensorDict, ensemble_size: int, speed: Speed) -> Callable[[], object]:
    config = RedqSacConfig(
        hidden_width=HIDDEN_WIDTH,
        ensemble_size=ensemble_size,
        critic_updates_per_actor_update=NUM_UPDATES,
    )
    agent = RedqSac(config, *widths(block), discount_period=1.0, speed=speed).to(block.device)
    return lambda: agent.training_step(block)


def plain(block: TensorDict, ensemble_size: int) -> Callable[[], object]:
    with torch.device(block.device):
        agent = PlainRedq(*widths(block), hidden_width=HIDDEN_WIDTH, ensemble_size=ensemble_size)
    batches = [
        {
            "observation": batch["observation"],
            "action": batch["action"],
            "next_observation": batch["next", "observation"],
            "reward": batch["next", "reward"],
            "duration": batch["next", "duration"],
            "terminated": batch["next", "terminated"].float(),
        }
        for batch in block
    ]

    def update() -> None:
        for batch in batches:
            agent.update_critics(batch)
        agent.update_actor(batches[-1])

    return update


def torchrl_loss(observation_width: int, action_width: int, ensemble_size: int, device: torch.device) -> REDQLoss:
    network = torch.nn.Sequential(mlp(observation_width, 2 * action_width, HIDDEN_WIDTH), NormalParamExtractor())
    actor = ProbabilisticActor(
        TensorDictModule(network, in_keys=["observation"], out_keys=["loc", "scale"]),
        in_keys=["loc", "scale"],
        spec=Bounded(-1, 1, (action_width,), device=device),
        distribution_class=TanhNormal,
    )

    class Critic(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = mlp(observation_width + action_width, 1, HIDDEN_WIDTH)

        def forward(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return self.network(torch.cat([observation, action], dim=-1))

    critic = ValueOperator(Critic(), in_keys=["observation", "action"])
    loss = REDQLoss(actor.to(device), critic.to(device), num_qvalue_nets=ensemble_size, delay_qvalue=True)
    loss.make_value_estimator(ValueEstimators.TD0, gamma=0.99)
    return loss.to(device)


def torchrl(block: TensorDict, ensemble_size: int) -> Callable[[], object]:
    loss = torchrl_loss(*widths(block), ensemble_size, block.device)
    optimizer = torch.optim.Adam(loss.parameters(), lr=3e-4)
    targets = SoftUpdate(loss, eps=0.995)
    batches = [batch.exclude("is_synthetic") for batch in block]

    def update() -> None:
        for batch in batches:
            values = loss(batch)
            optimizer.zero_grad()
            (values["loss_qvalue"] + values["loss_actor"] + values["loss_alpha"]).backward()
            optimizer.step()
            targets.step()

    return update


def block_operations(observation_width: int, action_width: int, ensemble_size: int) -> float:
    """Floating-point operations in the matrix products of one block, as REDQ's algorithm 1 needs them.

    A linear layer of B rows costs 2 B in out forward, the same for the gradient of its weights, and the same for that
    of its input, which the first layer of a network needs only where something is learned through it.
    """

    def layers(inputs: int, outputs: int) -> tuple[float, float]:
        """Forward, and the gradient of the inputs of all layers but the first."""
        inner = HIDDEN_WIDTH * HIDDEN_WIDTH + HIDDEN_WIDTH * outputs
        return 2.0 * BATCH_SIZE * (inputs * HIDDEN_WIDTH + inner), 2.0 * BATCH_SIZE * inner

    actor, actor_inner = layers(observation_width, 2 * action_width)
    critic, critic_inner = layers(observation_width + action_width, 1)
    to_action = 2.0 * BATCH_SIZE * action_width * HIDDEN_WIDTH
    subset = min(SUBSET_SIZE, ensemble_size)
    critic_update = actor + subset * critic + ensemble_size * (2 * critic + critic_inner)
    actor_update = 2 * actor + actor_inner + ensemble_size * (critic + critic_inner + to_action)
    return NUM_UPDATES * critic_update + actor_update


def measure(case: str, block: TensorDict, ensemble_size: int, settings: Settings) -> list[Record]:
    contenders: dict[str, Callable[[], object]] = {PLAIN: plain(block, ensemble_size)}
    for name, speed in OURS.items():
        if settings.device == "cpu" or not speed.compile:
            contenders[name] = ours(block, ensemble_size, speed)
    contenders[TORCHRL] = torchrl(block, ensemble_size)
    missing = []
    for name, build in PEERS.items():
        if settings.device != "cpu" and name == "JAX scan":
            continue
        peer = build(block, ensemble_size, HIDDEN_WIDTH)
        if peer is None:
            missing.append(record(case, name, None, UNIT, rounds=0, note=NOT_INSTALLED))
        else:
            contenders[name] = peer
    width = 256 if settings.quick else 1024
    products = {precision: product_call(width, settings.device, precision) for precision in ("highest", "medium")}
    taken = take_turns(contenders | products, settings)

    lines = rates(case, {name: taken[name] for name in contenders}, NUM_UPDATES, UNIT)
    operations = block_operations(*widths(block), ensemble_size)
    for line in lines:
        # Each is held to what the machine does at the precision it asked for.
        precision = OURS.get(line["contender"], Speed()).matmul_precision
        alone, times = taken[precision], taken[line["contender"]]
        least = (operations * a / (2.0 * width**3) for a in alone)
        line["floor"] = statistics.median(a / b for a, b in zip(least, times, strict=True))
    return lines + missing


def records(settings: Settings) -> list[Record]:
    lines = []
    for shape, (observation_width, action_width) in list(SHAPES.items())[: 1 if settings.quick else None]:
        block = random_block(observation_width, action_width, settings.device)
        for ensemble_size in (2,) if settings.quick else (10, 2):
            lines += measure(f"{ensemble_size} critics, {shape}", block, ensemble_size, settings)
    return lines


if __name__ == "__main__":
    command(__doc__, records)
