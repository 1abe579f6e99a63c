"""Critic updates per second: genreplay's agent, an independent plain loop, and TorchRL's REDQLoss as it ships.

    python benchmarks/critic_updates.py --seconds 60 --json critic_updates.json

The contestants take turns, one block of 20 critic updates and one actor update each, on the same data held in memory,
so load on the machine falls on all of them. Reported are medians, and the median of the ratios within a turn.
TorchRL's loss also computes (and here steps) actor and temperature in each of the 20; that is its shape.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from plain_redq import PlainRedq, mlp
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torchrl.data import Bounded
from torchrl.modules import NormalParamExtractor, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import REDQLoss, SoftUpdate, ValueEstimators

from genreplay.agents.config import RedqSacConfig
from genreplay.agents.redq_sac import RedqSac

OBSERVATION_WIDTH, ACTION_WIDTH, BATCH_SIZE, HIDDEN_WIDTH, NUM_UPDATES = 21, 4, 256, 256, 20
PLAIN = "plain loop"


def random_block() -> TensorDict:
    shape = (NUM_UPDATES, BATCH_SIZE)
    terminated = torch.rand(*shape, 1) < 0.01
    following = TensorDict(
        {
            "observation": torch.randn(*shape, OBSERVATION_WIDTH),
            "reward": torch.randn(*shape, 1),
            "duration": torch.ones(*shape, 1),
            "terminated": terminated,
            "done": terminated.clone(),
        },
        batch_size=shape,
    )
    return TensorDict(
        {
            "observation": torch.randn(*shape, OBSERVATION_WIDTH),
            "action": torch.rand(*shape, ACTION_WIDTH) * 2 - 1,
            "next": following,
            "is_synthetic": torch.zeros_like(terminated),
        },
        batch_size=shape,
    )


def ours(block: TensorDict, ensemble_size: int, matmul_precision: str) -> Callable[[], object]:
    config = RedqSacConfig(
        hidden_width=HIDDEN_WIDTH,
        ensemble_size=ensemble_size,
        critic_updates_per_actor_update=NUM_UPDATES,
        matmul_precision=matmul_precision,
    )
    agent = RedqSac(config, OBSERVATION_WIDTH, ACTION_WIDTH, discount_period=1.0)
    return lambda: agent.training_step(block)


def plain(block: TensorDict, ensemble_size: int) -> Callable[[], object]:
    agent = PlainRedq(OBSERVATION_WIDTH, ACTION_WIDTH, hidden_width=HIDDEN_WIDTH, ensemble_size=ensemble_size)
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


def torchrl_loss(ensemble_size: int) -> REDQLoss:
    network = torch.nn.Sequential(mlp(OBSERVATION_WIDTH, 2 * ACTION_WIDTH, HIDDEN_WIDTH, 2), NormalParamExtractor())
    actor = ProbabilisticActor(
        TensorDictModule(network, in_keys=["observation"], out_keys=["loc", "scale"]),
        in_keys=["loc", "scale"],
        spec=Bounded(-1, 1, (ACTION_WIDTH,)),
        distribution_class=TanhNormal,
    )

    class Critic(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = mlp(OBSERVATION_WIDTH + ACTION_WIDTH, 1, HIDDEN_WIDTH, 2)

        def forward(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return self.network(torch.cat([observation, action], dim=-1))

    critic = ValueOperator(Critic(), in_keys=["observation", "action"])
    loss = REDQLoss(actor, critic, num_qvalue_nets=ensemble_size, delay_qvalue=True)
    loss.make_value_estimator(ValueEstimators.TD0, gamma=0.99)
    return loss


def torchrl(block: TensorDict, ensemble_size: int) -> Callable[[], object]:
    loss = torchrl_loss(ensemble_size)
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


def measure(contestants: dict[str, Callable[[], object]], seconds: float) -> dict[str, dict[str, float]]:
    """Updates per second and ratio to the plain loop; at least three turns, whatever `seconds` says."""
    for update in contestants.values():
        update()
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken[PLAIN]) < 3:
        for name, update in contestants.items():
            started = time.perf_counter()
            update()
            taken[name].append(time.perf_counter() - started)
    return {
        name: {
            "critic_updates_per_second": NUM_UPDATES / statistics.median(times),
            "ratio_to_plain": statistics.median(a / b for a, b in zip(taken[PLAIN], times, strict=True)),
            "turns": len(times),
        }
        for name, times in taken.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="in all, shared by the ensemble sizes")
    parser.add_argument("--threads", type=int, help="torch threads; its own choice otherwise")
    parser.add_argument("--json", help="also write the figures to this file")
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    block = random_block()

    results: dict[str, object] = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    for ensemble_size in (10, 2):
        figures = measure(
            {
                PLAIN: plain(block, ensemble_size),
                "genreplay fp32": ours(block, ensemble_size, "highest"),
                "genreplay matmul_precision=medium": ours(block, ensemble_size, "medium"),
                "TorchRL REDQLoss": torchrl(block, ensemble_size),
            },
            args.seconds / 2,
        )
        results[f"critics_{ensemble_size}"] = figures
        print(f"{ensemble_size} critics, {torch.get_num_threads()} threads")
        for name, row in figures.items():
            print(f"  {name:36s}{row['critic_updates_per_second']:8.1f} updates/s{row['ratio_to_plain']:8.2f} x plain")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    main()
