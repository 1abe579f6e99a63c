"""Fit a generator to rows that are held in memory, on one process or on several.

Shapes: N training rows, B rows of a batch on each rank, R ranks, D columns.

All ranks hold all rows. Every step's indices and random numbers are drawn for the global batch of R * B rows from one
seeded stream, and each rank takes its slice: no row of noise is used twice, and R ranks take the same step as one
process with a batch R times as large.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import IterableDataset

from genreplay.common.errors import GeneratorDiverged
from genreplay.common.precision import matmul_precision
from genreplay.common.seeding import derive_seed
from genreplay.generators.base import Generator

OnProgress = Callable[[int, int, float], None]
"""`(steps done, steps in all, mean loss since the last call)`, about 50 times a fit."""

NUM_REPORTS = 50


class Batches(IterableDataset[dict[str, Tensor]]):
    """One rank's batches of a whole fit (`config.fit.num_steps` of them), for `fit` or for a Trainer's DataLoader.

    Args:
        generator: says what each batch holds.
        rows: `[N, D]`.
        condition: `[N, 1]`, or None.
        seed: the same on every rank.
        rank: this process.
        num_ranks: R.
    """

    def __init__(
        self, generator: Generator, rows: Tensor, condition: Tensor | None, seed: int, rank: int = 0, num_ranks: int = 1
    ):
        self.generator, self.rows, self.condition, self.seed = generator, rows, condition, seed
        self.rank, self.num_ranks = rank, num_ranks

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        rng = torch.Generator(self.rows.device).manual_seed(derive_seed(self.seed, "batches"))
        size = self.generator.config.fit.batch_size
        here = slice(self.rank * size, (self.rank + 1) * size)
        for _ in range(self.generator.config.fit.num_steps):
            index = torch.randint(len(self.rows), (self.num_ranks * size,), generator=rng, device=rng.device)[here]
            batch = {name: draw[here] for name, draw in self.generator.draw(self.num_ranks * size, rng).items()}
            batch["rows"] = self.rows[index]
            if self.condition is not None:
                batch["condition"] = self.condition[index]
            yield batch


def fit(
    fabric: Fabric,
    generator: Generator,
    rows: Tensor,
    condition: Tensor | None,
    seed: int,
    on_progress: OnProgress | None = None,
) -> dict[str, float]:
    """Fit `generator` to rows `[N, D]` and conditions `[N, 1]`; every rank calls it with the same arguments.

    Returns `loss_first` and `loss_last` (means over the first and the last tenth of the steps, over all ranks),
    `num_steps` and `seconds`.

    Raises:
        GeneratorDiverged: the loss is no longer a number, on every rank; the generator is as it was before.
    """
    started = time.perf_counter()
    rows = rows.to(fabric.device)
    condition = None if condition is None else condition.to(fabric.device)
    generator.to(fabric.device)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    generator.begin_fit(rows, condition, seed)
    plan: Any = generator.configure_optimizers()
    schedule = plan["lr_scheduler"]["scheduler"]
    module, optimizer = fabric.setup(generator, plan["optimizer"])

    num_steps = generator.config.fit.num_steps
    losses = torch.zeros(num_steps, device=fabric.device)
    reported = 0
    batches = Batches(generator, rows, condition, seed, fabric.global_rank, fabric.world_size)
    with matmul_precision(generator.speed.matmul_precision):
        for i, batch in enumerate(batches):
            loss = module.training_step(batch, i)
            optimizer.zero_grad()
            fabric.backward(loss)
            generator.on_before_optimizer_step(optimizer)
            optimizer.step()
            schedule.step()
            generator.on_train_batch_end(loss, batch, i)
            losses[i] = loss.detach()
            if on_progress is not None and (i + 1) * NUM_REPORTS // num_steps > i * NUM_REPORTS // num_steps:
                on_progress(i + 1, num_steps, losses[reported : i + 1].mean().item())
                reported = i + 1
    generator.on_train_end()

    tenth = max(1, num_steps // 10)
    is_finite = losses.isfinite().all().to(losses.dtype)
    means = torch.stack([losses[:tenth].mean(), losses[-tenth:].mean(), is_finite])
    first, last, share_finite = fabric.all_reduce(means).tolist()  # type: ignore[union-attr]
    if share_finite < 1:
        generator.load_state_dict(before)
        raise GeneratorDiverged("generator: the loss is no longer a number; lower generator.fit.learning_rate")
    seconds = time.perf_counter() - started
    return {"loss_first": first, "loss_last": last, "num_steps": float(num_steps), "seconds": seconds}
